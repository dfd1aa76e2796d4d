"""Refused records as `squall.dead-letters` keeps them: read, chosen, and sent once more after a fix.

Nothing is ever taken away: what was sent again stays among the dead letters until its retention ends. Partitions are
assigned, no group is joined and nothing is committed, so that a look changes nothing for anybody.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from streams.config import Settings
from streams.errors import BrokerError, InputError, RecordError, TopicError
from streams.ingest.publish import MAX_IN_FLIGHT, kafka_producer
from streams.records import DeadLetter
from streams.topics import DEAD_LETTER_BATCH_BYTES, require_topics

_CLIENT = "squall-dead-letters"
_POLL_MS = 1_000
_STALLED_S = 30.0
"""A broker that is up answers within this."""
_MOST_IN_FLIGHT_BYTES = 32 * 1024 * 1024
_DELIVERY_TIMEOUT_S = 120.0

OnBad = Callable[[str], None]
"""Told where a record stands that is no dead letter, and why it is none."""


@dataclass(frozen=True, slots=True)
class KeptLetter:
    """A dead letter and where it is kept."""

    partition: int
    """Of `squall.dead-letters`; so is `offset`."""
    offset: int
    at: datetime
    """When Kafka took it, UTC: moments after the record was refused."""
    letter: DeadLetter

    @property
    def place(self) -> str:
        """`PARTITION:OFFSET`, as `squall dead-letters show` takes it."""
        return f"{self.partition}:{self.offset}"


@dataclass(frozen=True, slots=True)
class Query:
    """Which dead letters are meant.

    Args:
        reasons: those with one of these; with any if it is empty.
        since: those that came at this time or later, with an offset.
        until: those that came before this time, with an offset.
    """

    reasons: frozenset[str] = frozenset()
    since: datetime | None = None
    until: datetime | None = None

    def matches(self, kept: KeptLetter) -> bool:
        """Whether a dead letter is meant."""
        return (
            (not self.reasons or kept.letter.reason in self.reasons)
            and (self.since is None or kept.at >= self.since)
            and (self.until is None or kept.at < self.until)
        )


ALL = Query()


@dataclass(frozen=True, slots=True)
class SendPlan:
    """What sending again would send.

    Args:
        places: partition and offset of the letters to send.
        by_reason: how many of them have which reason.
        repeated: letters left out because another one has the same key and bytes.
        without_bytes: letters left out because they are tombstones.
        from_elsewhere: letters left out because they were no records of `squall.messages`.
    """

    places: frozenset[tuple[int, int]]
    by_reason: Mapping[str, int]
    repeated: int
    without_bytes: int
    from_elsewhere: int


def read_letters(settings: Settings, query: Query = ALL, *, on_bad: OnBad | None = None) -> Iterator[KeptLetter]:
    """Yield the dead letters there are now, partition by partition, each in the order in which they came.

    Args:
        settings: the configuration.
        query: which ones.
        on_bad: told of each record that is no dead letter; without it they are passed over.

    Raises:
        BrokerError: Kafka cannot be reached, or stops answering.
        TopicError: a topic is missing.
    """
    with _reading(settings) as (consumer, partitions):
        ends = consumer.end_offsets(partitions)
        starts = consumer.beginning_offsets(partitions)
        if query.since is not None:
            since_ms = round(query.since.timestamp() * 1000)
            found = consumer.offsets_for_times(dict.fromkeys(partitions, since_ms))
            starts = {partition: ends[partition] if at is None else at.offset for partition, at in found.items()}
        for partition in partitions:
            for record in _records(consumer, partition, starts[partition], ends[partition], settings):
                try:
                    kept = _kept(record)
                except RecordError as error:
                    if on_bad is not None:
                        on_bad(f"{record.topic}[{record.partition}]@{record.offset} is no dead letter: {error.detail}")
                    continue
                if query.matches(kept):
                    yield kept


def read_letter(settings: Settings, partition: int, offset: int) -> KeptLetter:
    """Return one dead letter.

    Raises:
        InputError: there is none at this place, or the record there is no dead letter.
        BrokerError: Kafka cannot be reached, or stops answering.
        TopicError: a topic is missing.
    """
    topic = settings.topics.dead_letters
    with _reading(settings) as (consumer, partitions):
        wanted = TopicPartition(topic, partition)
        if wanted not in partitions:
            raise InputError(f"{topic} has no partition {partition}; it has 0 to {len(partitions) - 1}")
        first, end = consumer.beginning_offsets([wanted])[wanted], consumer.end_offsets([wanted])[wanted]
        if not first <= offset < end:
            kept = f"holds offsets {first} to {end - 1}" if end > first else "is empty"
            raise InputError(f"{topic}[{partition}] has nothing at offset {offset}: it {kept}")
        for record in _records(consumer, wanted, offset, offset + 1, settings):
            try:
                return _kept(record)
            except RecordError as error:
                raise InputError(f"{topic}[{partition}]@{offset} is no dead letter: {error.detail}") from error
    raise InputError(f"{topic}[{partition}] has nothing at offset {offset}")


def plan_sending(letters: Iterable[KeptLetter], topic: str) -> SendPlan:
    """Decide which dead letters are worth sending again. Pure.

    What was refused, sent again and refused once more is there twice, with the same bytes: it is sent once, or each
    try would double it.

    Args:
        letters: those that are asked for.
        topic: the topic of the messages; what was refused elsewhere is no message.
    """
    places: set[tuple[int, int]] = set()
    seen: set[bytes] = set()
    by_reason: Counter[str] = Counter()
    repeated = without_bytes = from_elsewhere = 0
    for kept in letters:
        if kept.letter.topic != topic:
            from_elsewhere += 1
        elif kept.letter.value is None:
            without_bytes += 1
        elif (content := _digest(kept.letter.key, kept.letter.value)) in seen:
            repeated += 1
        else:
            seen.add(content)
            places.add((kept.partition, kept.offset))
            by_reason[kept.letter.reason] += 1
    return SendPlan(frozenset(places), by_reason, repeated, without_bytes, from_elsewhere)


def send_again(settings: Settings, plan: SendPlan, *, on_sent: Callable[[int], None] | None = None) -> int:
    """Send the original bytes and keys to `squall.messages`, and return how many Kafka has acknowledged.

    It may be fewer than planned, if the retention of the dead letters took some away since.

    Args:
        settings: the configuration.
        plan: which ones.
        on_sent: told from time to time how many are acknowledged.

    Raises:
        BrokerError: Kafka cannot be reached, or did not take a message; it says how many it took before.
        TopicError: a topic is missing.
    """
    topic = settings.topics.messages
    # A message that came in a compressed batch may be larger than the batches of its topic.
    options = {"client_id": _CLIENT, "max_request_size": 4 * DEAD_LETTER_BATCH_BYTES}
    producer: Any = kafka_producer({**settings.kafka.client_options(), **options})
    waiting: deque[tuple[KeptLetter, int, Any]] = deque()
    in_flight_bytes = acknowledged = 0

    def await_oldest() -> None:
        nonlocal in_flight_bytes, acknowledged
        kept, size, delivery = waiting.popleft()
        try:
            delivery.get(timeout=_DELIVERY_TIMEOUT_S)
        except KafkaError as error:
            raise _not_delivered(topic, kept, error, acknowledged) from error
        in_flight_bytes -= size
        acknowledged += 1
        if on_sent is not None:
            on_sent(acknowledged)

    try:
        for kept in read_letters(settings):
            if (kept.partition, kept.offset) not in plan.places:
                continue
            size = len(kept.letter.value or b"")
            while waiting and (
                waiting[0][2].is_done or len(waiting) >= MAX_IN_FLIGHT or in_flight_bytes + size > _MOST_IN_FLIGHT_BYTES
            ):
                await_oldest()
            try:
                delivery = producer.send(topic, value=kept.letter.value, key=kept.letter.key)
            except KafkaError as error:
                raise _not_delivered(topic, kept, error, acknowledged) from error
            waiting.append((kept, size, delivery))
            in_flight_bytes += size
        while waiting:
            await_oldest()
    finally:
        producer.close(timeout=10.0)
    return acknowledged


def _not_delivered(topic: str, kept: KeptLetter, error: KafkaError, acknowledged: int) -> BrokerError:
    return BrokerError(
        f"{topic}: dead letter {kept.place} was not delivered: {str(error).rstrip('.')}. {acknowledged} before it "
        "were; sending all of them again is safe, since a message counts once"
    )


def _digest(key: bytes | None, value: bytes) -> bytes:
    content = blake2b(b"-" if key is None else b"%d:" % len(key) + key, digest_size=16)
    content.update(value)
    return content.digest()


def _kept(record: Any) -> KeptLetter:
    letter = DeadLetter.from_headers(record.headers, key=record.key, value=record.value)
    at = datetime.fromtimestamp(record.timestamp / 1000, UTC)
    return KeptLetter(record.partition, record.offset, at, letter)


@contextmanager
def _reading(settings: Settings) -> Iterator[tuple[Any, list[TopicPartition]]]:
    require_topics(settings)
    topic = settings.topics.dead_letters
    servers = ", ".join(settings.kafka.bootstrap_servers)
    try:
        consumer = KafkaConsumer(
            **settings.kafka.client_options(),
            client_id=_CLIENT,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",  # a record that retention deletes under our hands is an error, not a leap
            allow_auto_create_topics=False,
        )
        try:
            numbers = sorted(consumer.partitions_for_topic(topic) or ())
            if not numbers:
                raise TopicError(f"topic {topic} has no partitions. Make it with: squall topics create")
            yield consumer, [TopicPartition(topic, number) for number in numbers]
        finally:
            consumer.close(autocommit=False)
    except KafkaError as error:
        raise BrokerError(f"Kafka at {servers}: {topic} cannot be read: {type(error).__name__}: {error}") from error


def _records(consumer: Any, partition: TopicPartition, start: int, end: int, settings: Settings) -> Iterator[Any]:
    """Yield the records of a partition from one offset to before another."""
    if start >= end:
        return
    consumer.assign([partition])
    consumer.seek(partition, start)
    heard_s = time.monotonic()
    while (position := consumer.position(partition)) is None or position < end:
        records = consumer.poll(timeout_ms=_POLL_MS).get(partition, [])
        if records:
            heard_s = time.monotonic()
        elif time.monotonic() - heard_s > _STALLED_S:
            servers = ", ".join(settings.kafka.bootstrap_servers)
            raise BrokerError(
                f"Kafka at {servers} sends nothing more of {partition.topic}[{partition.partition}] from {position} "
                f"on, although it ends at {end}. Is the broker up (`squall broker status`)?"
            )
        for record in records:
            if record.offset >= end:
                return
            yield record
