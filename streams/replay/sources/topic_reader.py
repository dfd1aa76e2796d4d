"""Reads stretches of topics: assigned partitions, no group, nothing committed, the live system untouched.

How far a topic goes is settled when a reading begins; what comes later is not read. Nothing here keeps a connection
between two readings.
"""

from __future__ import annotations

import heapq
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, OffsetOutOfRangeError

from streams.config import Settings
from streams.errors import BrokerError, InputError, TopicError

_log = logging.getLogger(__name__)

_POLL_MS = 1_000
_POLL_RECORDS = 2_000
_STALLED_S = 30.0
"""A broker that is up answers within this."""
_AHEAD_BYTES = 32 * 1024 * 1024
_AHEAD_RECORDS = 32_000
"""What a merge holds of all partitions together, about."""
_LEAST_BYTES = 256 * 1024
_LEAST_RECORDS = 250
"""What it holds of each, however many there are: less, and it would fetch most of it twice."""

OnProgress = Callable[[int, int], None]
"""Called now and then with records read and records to read."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of one partition: offsets from `start` up to but not including `end`."""

    start: int
    end: int

    def __len__(self) -> int:
        return max(0, self.end - self.start)


@contextmanager
def topic_consumer(settings: Settings) -> Iterator[Any]:
    """Connect a kafka-python consumer that belongs to no group.

    Raises:
        BrokerError: Kafka cannot be reached, or any of its errors inside the block.
    """
    servers = ", ".join(settings.kafka.bootstrap_servers)
    try:
        consumer = KafkaConsumer(
            **settings.kafka.client_options(),
            client_id="squall-replay",
            group_id=None,  # the live group's offsets are not ours to move
            enable_auto_commit=False,
            auto_offset_reset="none",  # a record that retention deletes under our hands is an error, not a leap
            allow_auto_create_topics=False,
        )
        try:
            yield consumer
        finally:
            consumer.close(autocommit=False)
    except OffsetOutOfRangeError as error:
        msg = f"Kafka at {servers} has deleted records that this replay needs ({error}): their retention is over"
        raise InputError(msg) from error
    except KafkaError as error:
        msg = f"Kafka at {servers} cannot be read: {type(error).__name__}: {error}"
        raise BrokerError(msg) from error


def partitions_of(consumer: Any, topic: str) -> list[TopicPartition]:
    """The partitions of a topic, by number. Raises TopicError if there are none."""
    numbers = sorted(consumer.partitions_for_topic(topic) or ())
    if not numbers:
        msg = f"topic {topic} has no partitions. Make it with: squall topics create"
        raise TopicError(msg)
    return [TopicPartition(topic, number) for number in numbers]


def whole(consumer: Any, partitions: Sequence[TopicPartition]) -> dict[int, Span]:
    """What partitions hold now. Warns where retention has taken their beginning away."""
    starts = consumer.beginning_offsets(list(partitions))
    ends = consumer.end_offsets(list(partitions))
    for partition in partitions:
        if starts[partition]:
            warn_of_retention(partition, starts[partition])
    return {partition.partition: Span(starts[partition], ends[partition]) for partition in partitions}


def warn_of_retention(partition: TopicPartition, start: int) -> None:
    """Say that a replay begins later than the live monitor did."""
    _log.warning(
        "%s[%d] begins at offset %d: what came before is past its retention, and so are the baselines that were "
        "learned from it; early alerts may differ from the live ones",
        partition.topic,
        partition.partition,
        start,
    )


class TopicReader:
    """Reads spans of a topic's partitions, one after the other or merged.

    Args:
        consumer: connected; `topic_consumer`.
        topic: its name.
        spans: what to read, by partition.
        servers: for the words of an error.
        on_progress: told now and then.
    """

    def __init__(
        self,
        consumer: Any,
        topic: str,
        spans: Mapping[int, Span],
        *,
        servers: str,
        on_progress: OnProgress | None = None,
    ) -> None:
        self._consumer = consumer
        self._topic = topic
        self._spans = dict(spans)
        self._servers = servers
        self._on_progress = on_progress
        self._total = sum(map(len, spans.values()))
        self._read = 0
        self._assigned: TopicPartition | None = None

    @property
    def partitions(self) -> list[int]:
        """Their numbers, ascending."""
        return sorted(self._spans)

    def read(self, number: int, *, after: int = -1) -> Iterator[Any]:
        """Yield kafka-python's records of one partition's span, those with offsets above `after`.

        Raises:
            BrokerError: Kafka sends nothing more.
        """
        position = max(self._spans[number].start, after + 1)
        while position < self._spans[number].end:
            records, position = self._poll(number, position)
            yield from records
            self._count(len(records))

    def merged(self) -> Iterator[Any]:
        """Yield the records of all spans in the order of (timestamp, partition, offset).

        Within a partition the order is that of the offsets, whatever the timestamps. The partitions are read in turns,
        some way ahead each, so what is held is bounded. (Pausing those that are ahead would be the usual way; but
        kafka-python 3.0.12 may never go on with a partition that was paused while its records were being handed out:
        `Fetcher.fetched_records` looks for them only while `_next_partition_records` is None, which it is not after
        another partition's were drained.)

        Raises:
            BrokerError: Kafka sends nothing more.
        """
        return heapq.merge(*(self._ahead(number) for number in self.partitions), key=_by_arrival)

    def _ahead(self, number: int) -> Iterator[Any]:
        """Yield one partition's records, of which many are fetched before it is another's turn."""
        position, end = self._spans[number].start, self._spans[number].end
        most_bytes = max(_LEAST_BYTES, _AHEAD_BYTES // len(self._spans))
        most_records = max(_LEAST_RECORDS, _AHEAD_RECORDS // len(self._spans))
        while position < end:
            held: list[Any] = []
            size = 0
            while position < end and size < most_bytes and len(held) < most_records:
                records, position = self._poll(number, position)
                held += records
                size += sum(len(record.value or b"") for record in records)
            yield from held
            self._count(len(held))

    def _poll(self, number: int, position: int) -> tuple[list[Any], int]:
        """Fetch some records of a partition from a position on, and return the position after them.

        There is at least one, unless the end of the span is reached: the last offsets may hold no records.
        """
        partition, end = TopicPartition(self._topic, number), self._spans[number].end
        if self._assigned != partition:
            self._consumer.assign([partition])
            self._consumer.seek(partition, position)
            self._assigned = partition
        heard_s = time.monotonic()
        while position < end:
            records = self._consumer.poll(timeout_ms=_POLL_MS, max_records=_POLL_RECORDS).get(partition, [])
            position = self._consumer.position(partition)
            if records:
                return [record for record in records if record.offset < end], position
            if time.monotonic() - heard_s > _STALLED_S:
                where = f"{self._topic}[{number}] from {position} on"
                msg = f"Kafka at {self._servers} sends nothing more of {where}, although it ends at {end}"
                raise BrokerError(f"{msg}. Is the broker up (`squall broker status`)?")
        return [], position

    def _count(self, read: int) -> None:
        self._read += read
        if self._on_progress is not None:
            self._on_progress(self._read, self._total)


def _by_arrival(record: Any) -> tuple[int, int, int]:
    return record.timestamp, record.partition, record.offset
