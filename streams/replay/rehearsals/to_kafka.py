"""History played into topics of its own, at its own pace or faster: so that dashboards and receivers can be rehearsed.

Messages go the way of `squall publish`, to be scored by a worker; mentions as they were scored go where the scorer
would have put them, for a worker with the monitor alone. Either carries its own times, on Kafka too.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from typing import TypeVar

from kafka.errors import KafkaError

from streams.config import Settings
from streams.errors import BrokerError, InputError, RecordError
from streams.ingest.pace import Pace
from streams.ingest.producer import DELIVERY_TIMEOUT_S, Delivery, Producer, epoch_ms, kafka_producer
from streams.ingest.publish import LONGEST_WAIT_S, MAX_IN_FLIGHT, Publisher
from streams.monitor.bins import BIN_MS
from streams.records import FEED_MARK_KEY, LogEntry, Mention, Message, decode_message, encode
from streams.replay.rehearsals.lanes import Due, keep_apart, spread
from streams.replay.rehearsals.rehearsal import make_topics, rehearsal_design, rehearsal_settings
from streams.replay.sources.open_source import open_mentions, open_messages
from streams.replay.sources.options import FileOptions, Window
from streams.replay.sources.source import BadRecord, MentionSource, MessageSource, OnBad
from streams.replay.sources.spec import FileSpec, KafkaSpec, parse_sources

_PROGRESS_EVERY = 200
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Play:
    """What is to be played, and where to.

    Attributes:
        texts: the sources, as they were named; see `streams.replay.sources.spec`.
        prefix: of the topics to play into.
        as_scored: the source holds mentions with their scores; otherwise messages.
        speed: 1.0 is the pace at which it happened, 60.0 an hour a minute; None as fast as possible.
        window: which part of the source.
        paced_from: event time from which on the speed counts; what comes before is played as fast as possible.
        files: how files are read.
        trust_stories: take the stories that the source names.
        add: the topics may hold records already.
    """

    texts: tuple[str, ...]
    prefix: str
    as_scored: bool = False
    speed: float | None = None
    window: Window = field(default_factory=Window)
    paced_from: datetime | None = None
    files: FileOptions = field(default_factory=FileOptions)
    trust_stories: bool = False
    add: bool = False


@dataclass(frozen=True, slots=True)
class PlayWatch:
    """Whom a play tells how it gets on.

    Attributes:
        on_start: told once the topics are there: the one that is played into, its partitions, about how many records
            are to come (None if that is not known), and the names of the topics that were made.
        on_progress: told now and then how many records were played, and the event time reached.
        on_bad: told of each row or record that cannot be used.
        clock: seconds that only go forward.
        sleep: waits for so many seconds.
        producer: makes the producer; Kafka's without it.
    """

    on_start: Callable[[str, int, int | None, tuple[str, ...]], None] = lambda topic, partitions, total, made: None
    on_progress: Callable[[int, datetime], None] = lambda count, event_time: None
    on_bad: OnBad = lambda bad: None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    producer: Callable[[Settings], Producer] = lambda settings: kafka_producer(settings.kafka.client_options())


@dataclass(frozen=True, slots=True)
class Played:
    """What came of it.

    Attributes:
        topic: where to.
        count: messages or mentions that were played and Kafka has acknowledged.
        bad: rows and records that could not be used.
        first: least event time; None if there was nothing.
        last: greatest event time.
        seconds: how long it took.
    """

    topic: str
    count: int
    bad: int
    first: datetime | None
    last: datetime | None
    seconds: float


def check_play(play: Play, settings: Settings) -> Settings:
    """Refuse what must not be, before anything is opened or made, and return the settings of the rehearsal.

    Raises:
        InputError: the prefix is the live one or names no topics, or a source is a topic that would be played into.
    """
    target = rehearsal_settings(settings, play.prefix)
    for text in play.texts:
        if not text.startswith("kafka:"):
            continue
        spec = parse_sources([text])
        name = spec.topic if isinstance(spec, KafkaSpec) else None
        if name in {topic.name for topic in rehearsal_design(target)}:
            raise InputError(f"{text}: --prefix {play.prefix} would play this topic into itself; choose another prefix")
    return target


def play_to_kafka(play: Play, settings: Settings, watch: PlayWatch | None = None) -> Played:
    """Play a source into the topics of a rehearsal, which are made where they are missing.

    An interruption (Ctrl-C) leaves on Kafka what was handed over by then, and is raised again.

    Args:
        play: what, and where to.
        settings: the live configuration, under whose prefix nothing is touched.
        watch: told how it gets on.

    Raises:
        InputError: see `check_play`; or the source cannot be used, breaks off, or the range holds nothing.
        TopicError: the topics there are not of a rehearsal, or hold records; or the source's topic is missing.
        BrokerError: Kafka cannot be reached, or does not take a record.
    """
    watch = watch or PlayWatch()
    target = check_play(play, settings)
    bad = _Counted(watch.on_bad)
    return (_play_mentions if play.as_scored else _play_messages)(play, settings, target, watch, bad)


class _Counted:
    def __init__(self, on_bad: OnBad) -> None:
        self._on_bad = on_bad
        self.count = 0

    def __call__(self, bad: BadRecord) -> None:
        self.count += 1
        self._on_bad(bad)


def _play_messages(play: Play, settings: Settings, target: Settings, watch: PlayWatch, bad: _Counted) -> Played:
    source = open_messages(play.texts, settings, options=play.files, window=play.window)
    messages = _started(_messages(source, bad, settings.ingest.max_bytes))
    topic = target.topics.messages
    report = make_topics(target, topic, add=play.add)
    watch.on_start(topic, target.topics.message_partitions, source.total, report.created)
    with Publisher(
        {}, topic=topic, producer=watch.producer(target), clock=watch.clock, sleep=watch.sleep, own_times=True
    ) as publisher:
        done = publisher.publish(
            messages, speed=play.speed, paced_from=play.paced_from, on_progress=watch.on_progress, on_bad=None
        )
    return Played(topic, done.sent, bad.count, done.first, done.last, done.seconds)


def _messages(source: MessageSource, on_bad: OnBad, max_bytes: int) -> Iterator[Message]:
    """The source's messages. Marks of feeds are left out: there is a new feed now."""
    for record in source.records(on_bad=on_bad):
        if record.key == FEED_MARK_KEY:
            continue
        where = f"messages[{record.partition}]@{record.offset}"
        if record.value is not None and len(record.value) > max_bytes:
            on_bad(BadRecord(where, "too_large", f"{len(record.value)} bytes, more than ingest.max_bytes"))
            continue
        try:
            yield decode_message(record.value)
        except RecordError as error:
            on_bad(BadRecord(where, error.reason, error.detail))


def _play_mentions(play: Play, settings: Settings, target: Settings, watch: PlayWatch, bad: _Counted) -> Played:
    source = open_mentions(
        play.texts, settings, options=play.files, window=play.window, trust_stories=play.trust_stories
    )
    records = _started(_due(play, source, target, bad))
    topic = target.topics.mentions
    report = make_topics(target, topic, add=play.add)
    watch.on_start(topic, target.topics.mention_partitions, source.total, report.created)
    producer = watch.producer(target)
    try:
        return _send(records, play, target, watch, bad, _Outbox(producer, topic))
    finally:
        producer.close(timeout=10.0)


def _send(
    records: Iterable[Due], play: Play, target: Settings, watch: PlayWatch, bad: _Counted, outbox: _Outbox
) -> Played:
    started_s = watch.clock()
    pace = Pace(play.speed, started_s)
    first: datetime | None = None
    last: datetime | None = None
    mentions = count = 0
    before: LogEntry | None = None
    try:
        for due in _until(records, play.window.until, target.monitor.allowed_lateness_s):
            if play.paced_from is None or due.reached >= play.paced_from:
                for now in pace.waits(due.reached, watch.clock, watch.sleep, longest_s=LONGEST_WAIT_S):
                    watch.on_progress(count, now)
            outbox.send(due)
            count += due.record is not before  # copies for other partitions are one record
            before = due.record
            if isinstance(due.record, Mention):
                mentions += 1
                first = due.at if first is None else min(first, due.at)
                last = due.at if last is None else max(last, due.at)
            if count % _PROGRESS_EVERY == 0:
                watch.on_progress(count, due.reached)
    finally:  # whatever ends it, what was handed over is there when this returns
        outbox.finish()
    if last is not None:
        watch.on_progress(count, last)
    return Played(outbox.topic, mentions, bad.count, first, last, watch.clock() - started_s)


def _until(records: Iterable[Due], until: datetime | None, lateness_s: float) -> Iterator[Due]:
    """Yield what comes before the range's last bins have closed."""
    end = None if until is None else until + timedelta(seconds=lateness_s, milliseconds=BIN_MS)
    for due in records:
        if end is not None and due.reached > end:
            return
        yield due


class _Outbox:
    """Sends records, and makes sure that each arrived."""

    def __init__(self, producer: Producer, topic: str, max_in_flight: int = MAX_IN_FLIGHT) -> None:
        self._producer = producer
        self.topic = topic
        self._max_in_flight = max_in_flight
        self._waiting: deque[Delivery] = deque()

    def send(self, due: Due) -> None:
        """Hand a record over. Raises BrokerError if it, or one before it, cannot be delivered."""
        while self._waiting and (self._waiting[0].is_done or len(self._waiting) >= self._max_in_flight):
            self._await_oldest()
        stamp = epoch_ms(min(due.at, datetime.now(UTC)))  # Kafka refuses records of the future
        try:
            delivery = self._producer.send(
                self.topic, value=encode(due.record), key=due.key, partition=due.partition, timestamp_ms=stamp
            )
        except KafkaError as error:
            raise self._not_delivered(error) from error
        self._waiting.append(delivery)

    def finish(self) -> None:
        """Wait until Kafka has everything. Raises BrokerError if it has not."""
        try:
            self._producer.flush(timeout=DELIVERY_TIMEOUT_S)
        except KafkaError as error:
            raise self._not_delivered(error) from error
        while self._waiting:
            self._await_oldest()

    def _await_oldest(self) -> None:
        delivery = self._waiting.popleft()
        try:
            delivery.get(timeout=DELIVERY_TIMEOUT_S)
        except KafkaError as error:
            raise self._not_delivered(error) from error

    def _not_delivered(self, error: KafkaError) -> BrokerError:
        prefix = self.topic.rpartition(".")[0]
        return BrokerError(
            f"{self.topic}: a record was not delivered: {str(error).rstrip('.')}. Begin anew with: squall topics "
            f"remove --prefix {prefix}"
        )


def _due(play: Play, source: MentionSource, target: Settings, on_bad: OnBad) -> Iterator[Due]:
    partitions, lateness_s = target.topics.mention_partitions, target.monitor.allowed_lateness_s
    lanes = {number: (item.record for item in source.records(number, on_bad=on_bad)) for number in source.partitions}
    spec = parse_sources(play.texts)
    if isinstance(spec, FileSpec):
        return spread(chain.from_iterable(lanes.values()), partitions, lateness_s=lateness_s)
    # Offsets may name some of the partitions; then each company is looked at as it comes.
    if len(lanes) > partitions or (len(lanes) < partitions and not spec.offsets):
        raise InputError(
            f"{spec.text} has {len(lanes)} partitions, the settings say {partitions} "
            "(topics.mention_partitions): a company's mentions would come to stand on another one. Play it with "
            f"SQUALL_TOPICS__MENTION_PARTITIONS={len(lanes)}"
        )
    return keep_apart(lanes, partitions, lateness_s=lateness_s)


def _started(items: Iterable[_T]) -> Iterator[_T]:
    """Take the first item now, so that a source which cannot be read is told before any topic is made."""
    items = iter(items)
    return chain(list(islice(items, 1)), items)
