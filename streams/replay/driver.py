"""The whole path in memory, under a clock that moves when it is told: messages in, alerts out.

Made of the very objects of the worker (stage, feed clock, monitors), without Kafka, Faust, threads and waiting. Tests
that would have to sleep drive this instead: an hour of silence is one call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

from models.prediction import Scorer
from streams.assembly import monitor_options
from streams.config import Settings
from streams.ingest.entities import Linker
from streams.monitor import PartitionMonitor, RuleSet, default_rules
from streams.records import (
    FEED_MARK_KEY,
    Alert,
    DeadLetter,
    FeedMark,
    Mention,
    Message,
    Progress,
    decode_mention,
    encode,
)
from streams.replay.core import LogRecord
from streams.replay.sources.partitioner import partition_of
from streams.scoring import FeedClock, RawRecord
from streams.scoring.build import make_stage

_TICK_S = 1.0
"""As often as the worker looks which partitions are idle."""


class MemoryPath:
    """Squall's path from messages to alerts, in memory.

    Args:
        scorer: the classifier, or a fake of it (`models.testing.FakeClassifier`).
        now: where the clock stands at first, with an offset.
        settings: the configuration; partitions, lateness and the like are read off it.
        linker: finds companies; that of the settings if None.
        rules: the rules in force; the shipped ones if None.
        names: display names by entity.
    """

    def __init__(
        self,
        scorer: Scorer,
        *,
        now: datetime,
        settings: Settings | None = None,
        linker: Linker | None = None,
        rules: RuleSet | None = None,
        names: Mapping[str, str] | None = None,
    ) -> None:
        self._settings = settings or Settings()
        self._scorer, self._linker = scorer, linker
        self._rules, self._names = rules or default_rules(), names or {}
        self._began = now
        self.now = now.astimezone(UTC)
        """The clock: when a message arrives that is published now."""
        self.alerts: list[Alert] = []
        """All transitions so far, in the order in which they were raised; a restart may raise one again."""
        self.dead_letters: list[DeadLetter] = []
        self.log: dict[int, list[LogRecord]] = {n: [] for n in range(self._settings.topics.mention_partitions)}
        """What would stand on `squall.mentions`, by partition."""
        self._saved: dict[int, dict[str, bytes]] = {number: {} for number in self.log}
        self._arrived = dict.fromkeys(range(self._settings.topics.message_partitions), 0)
        self._start()

    @property
    def mentions(self) -> list[Mention]:
        """All mentions so far, partition by partition."""
        records = (decode_mention(record.value) for records in self.log.values() for record in records)
        return [record for record in records if isinstance(record, Mention)]

    def send(self, *messages: Message | FeedMark | bytes, partition: int | None = None) -> list[Alert]:
        """Let messages arrive now, as one batch, and return the transitions that follow.

        Args:
            messages: messages, feed marks, or the bytes of anything at all.
            partition: of the messages; without one it is the source's, for a feed mark all of them, and 0 for bytes.
        """
        return self.send_raw(*(raw for message in messages for raw in self._raw(message, partition)))

    def send_raw(self, *records: RawRecord) -> list[Alert]:
        """Let raw records arrive as one batch; for times of arrival, keys and offsets of one's own."""
        prepared = self._stage.prepare(records)
        news = list(self._feeds.wake({record.partition for record in records}))
        outcome = self._stage.finish(prepared, self._stage.score(prepared), scored_at=self.now)
        self.dead_letters += outcome.dead
        raised = self._tell(news) + self._append(outcome.mentions)
        for number, published_at, arrived_at in prepared.times:
            self._feeds.seen(number, published_at, arrived_at)
        for number, mark in prepared.marks:
            self._feeds.marked(number, mark)
        raised += self._tell(self._feeds.advanced())
        self._stage.delivered(prepared)
        return raised

    def advance(self, by: timedelta) -> list[Alert]:
        """Let time pass in which nothing arrives, and return the transitions that follow.

        Raises:
            ValueError: time would go backwards.
        """
        if by < timedelta(0):
            msg = f"time cannot go back by {-by}"
            raise ValueError(msg)
        raised: list[Alert] = []
        end = self.now + by
        while self.now < end:
            self.now = min(end, self.now + timedelta(seconds=_TICK_S))
            elapsed_s = (self.now - self._began).total_seconds()
            raised += self._tell(self._feeds.tick(self.now, elapsed_s, waiting=set()))
        return raised

    def crash(self) -> None:
        """Lose everything in memory; what was saved stays, as after SIGKILL and a new start."""
        self._start()

    def _start(self) -> None:
        topics, worker = self._settings.topics, self._settings.worker
        self._stage = make_stage(self._settings, self._scorer, self._linker)
        self._feeds = FeedClock(
            partitions=topics.message_partitions,
            idle_after_s=worker.idle_after_s,
            lateness_s=self._settings.monitor.allowed_lateness_s,
        )
        self._feeds.assign(set(self._arrived))
        self._monitors: dict[int, PartitionMonitor] = {}
        for number, saved in self._saved.items():
            monitor = PartitionMonitor(number, self._rules, monitor_options(self._settings), names=self._names)
            monitor.restore(saved.items())
            self._monitors[number] = monitor

    def _raw(self, message: Message | FeedMark | bytes, partition: int | None) -> Iterator[RawRecord]:
        key, value, usual = None, b"", [0]
        if isinstance(message, Message):
            key, value = message.source.encode(), encode(message)
            usual = [partition_of(message.source, len(self._arrived))]
        elif isinstance(message, FeedMark):
            key, value, usual = FEED_MARK_KEY, encode(message), list(self._arrived)
        else:
            value = message
        for number in usual if partition is None else [partition]:
            offset = self._arrived[number]
            self._arrived[number] += 1
            yield RawRecord(partition=number, offset=offset, key=key, value=value, received_at=self.now)

    def _tell(self, news: Iterable[Progress]) -> list[Alert]:
        return [alert for item in news for number in self.log for alert in self._absorb(number, item)]

    def _append(self, mentions: Iterable[Mention]) -> list[Alert]:
        raised: list[Alert] = []
        for mention in mentions:
            raised += self._absorb(partition_of(mention.entity, len(self.log)), mention)
        return raised

    def _absorb(self, number: int, record: Mention | Progress) -> list[Alert]:
        """Write a record to the log, let the monitor read it from there, and save what it knows then."""
        entry = LogRecord(number, len(self.log[number]), encode(record))
        self.log[number].append(entry)
        monitor, saved = self._monitors[number], self._saved[number]
        raised = monitor.absorb(decode_mention(entry.value), entry.offset)
        changes = monitor.changes()
        for key, value in (*changes.entities, *changes.clock):
            if value is None:
                saved.pop(key, None)
            else:
                saved[key] = value
        self.alerts += raised
        return raised
