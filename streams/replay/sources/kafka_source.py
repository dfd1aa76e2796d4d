"""Kafka as a source of a replay: mentions partition by partition as they were, or messages of all partitions in the
order of their arrival.

What is read is settled when the source is opened: the offsets that the range comes to, and for an open end where the
topic ends at that moment. A run that goes on later is given these offsets again (`SourceFacts.parts`).
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal

from kafka import TopicPartition
from kafka.errors import UnknownTopicOrPartitionError, for_code

from streams.config import Settings
from streams.errors import InputError, RecordError, TopicError
from streams.records import FEED_MARK_KEY, LogEntry, Mention, decode_mention, decode_message
from streams.replay.core import time_alone
from streams.replay.sources.files import identity_of
from streams.replay.sources.options import Window
from streams.replay.sources.source import BadRecord, Numbered, OnBad, SourceFacts
from streams.replay.sources.spec import KafkaSpec
from streams.replay.sources.topic_reader import Span, TopicReader, topic_consumer, warn_of_retention
from streams.scoring import RawRecord
from streams.topics import admin_client, design

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LOG_APPEND_TIME = 1
"""The broker's clock: it does not go back within a partition."""
_EDGE_MS = 5_000
"""How long a record at the edge of a partition is waited for, to tell its time."""
_PARTITIONS_TOLD = 4
_TOPICS_TOLD = 8


class _Stretch:
    """What both kinds of source have in common: which offsets of which topic.

    Args:
        spec: what the user named; where that is no topic, it is the one of the kind.
        settings: the configuration.
        window: which part is wanted.
        resume: what the source was when the run that is to go on began.

    Raises:
        InputError: the range holds nothing, or what the topic no longer or not yet holds.
        BrokerError: Kafka cannot be reached.
        TopicError: there is no such topic.
    """

    _kind: ClassVar[Literal["mentions", "messages"]]
    """What is on the topic."""

    def __init__(
        self, spec: KafkaSpec, settings: Settings, *, window: Window, resume: SourceFacts | None = None
    ) -> None:
        self._settings = settings
        usual = {"mentions": settings.topics.mentions, "messages": settings.topics.messages}
        self._topic = spec.topic or usual[self._kind]
        self._window = window
        cluster, numbers = _described(settings, self._topic)
        remembered = _remembered(spec, resume, self._topic)
        self._spans = _spans(settings, self._topic, numbers, spec) if remembered is None else remembered
        parts = tuple(
            {"topic": self._topic, "partition": number, "start": span.start, "end": span.end}
            for number, span in sorted(self._spans.items())
        )
        decides = {
            "kind": self._kind,
            "cluster": cluster,
            "parts": parts,
            "window": [window.since, window.until, window.known_at],
        }
        self.facts = SourceFacts(kind="kafka", text=spec.text, parts=parts, identity=identity_of(decides))
        self.partitions: Sequence[int] = sorted(self._spans)
        self.total: int | None = sum(map(len, self._spans.values()))

    def _reader(self, consumer: Any) -> TopicReader:
        servers = ", ".join(self._settings.kafka.bootstrap_servers)
        return TopicReader(consumer, self._topic, self._spans, servers=servers)


class KafkaMentions(_Stretch):
    """Scored mentions of a topic as a `MentionSource`; what it takes and raises: see `_Stretch`."""

    _kind = "mentions"

    def records(self, partition: int, *, after: int = -1, on_bad: OnBad) -> Iterator[Numbered]:
        """Yield the records of a partition with offsets above `after`; see `sources.source.MentionSource`.

        A mention from outside the window moves the clock, as it did live, and does no more.

        Raises:
            InputError: retention has deleted what is needed.
            BrokerError: Kafka stops answering.
        """
        window = self._window
        with topic_consumer(self._settings) as consumer:
            for record in self._reader(consumer).read(partition, after=after):
                if not window.knows(_arrival(record)):
                    if record.timestamp_type == _LOG_APPEND_TIME:
                        return
                    continue
                try:
                    item: LogEntry = decode_mention(record.value)
                except RecordError as error:
                    where = f"{record.topic}[{record.partition}]@{record.offset}"
                    on_bad(BadRecord(where, error.reason, error.detail))
                    continue
                if isinstance(item, Mention) and not window.holds(item.published_at):
                    item = time_alone(item)
                yield Numbered(record.offset, item)


class KafkaMessages(_Stretch):
    """Raw messages of a topic as a `MessageSource`, in the order of (arrival, partition, offset).

    What it takes and raises: see `_Stretch`.
    """

    _kind = "messages"

    def records(self, *, skip: int = 0, on_bad: OnBad) -> Iterator[RawRecord]:  # the protocol's
        """Yield the records after the first `skip`; see `streams.replay.sources.source.MessageSource`.

        What is no message, and every feed mark, is handed on: it is the scoring stage that refuses and counts, as
        live. `on_bad` is never called.

        Raises:
            InputError: retention has deleted what is needed.
            BrokerError: Kafka stops answering.
        """
        count = 0
        with topic_consumer(self._settings) as consumer:
            for record in self._reader(consumer).merged():
                arrived = _arrival(record)
                if not self._window.knows(arrived) or not self._wanted(record):
                    continue
                count += 1
                if count > skip:
                    yield RawRecord(
                        partition=record.partition,
                        offset=record.offset,
                        key=record.key,
                        value=record.value,
                        received_at=arrived,
                    )

    def _wanted(self, record: Any) -> bool:
        if (self._window.since is None and self._window.until is None) or record.key == FEED_MARK_KEY:
            return True
        try:
            return self._window.holds(decode_message(record.value).published_at)
        except RecordError:
            return True


def _arrival(record: Any) -> datetime:
    arrived: datetime = _EPOCH + record.timestamp * _MILLISECOND
    return arrived


def _described(settings: Settings, topic: str) -> tuple[str, list[int]]:
    """Id of the cluster, and numbers of the topic's partitions."""
    with admin_client(settings.kafka) as admin:
        cluster = str(admin.describe_cluster().get("cluster_id") or "")
        (found,) = admin.describe_topics([topic])
        error = for_code(found["error_code"])
        if error is UnknownTopicOrPartitionError:
            ours = {there.name for there in design(settings)}
            raise TopicError(no_topic(topic, ours, [] if topic in ours else admin.list_topics()))
        if found["error_code"]:
            raise TopicError(f"topic {topic} cannot be read: {error.__name__}")
        return cluster, sorted(int(entry["partition_index"]) for entry in found["partitions"])


def no_topic(topic: str, ours: Collection[str], there: Iterable[str]) -> str:
    """Say that there is no such topic, and what to do: only topics of the design can be made by Squall.

    Args:
        topic: what was asked for.
        ours: the topics of the design.
        there: the topics of the cluster.
    """
    told = f"there is no topic {topic} on this cluster"
    if topic in ours:
        return f"{told}. Make the topics with: squall topics create"
    known = sorted(name for name in there if not name.startswith("__"))
    near = difflib.get_close_matches(topic, known, n=1)
    if near:
        return f"{told}; did you mean {near[0]}?"
    named = ", ".join(known[:_TOPICS_TOLD]) + (", ..." if len(known) > _TOPICS_TOLD else "")
    return f"{told}; there {'is ' + named if known else 'are none'}"


def _remembered(spec: KafkaSpec, resume: SourceFacts | None, topic: str) -> dict[int, Span] | None:
    """The spans of the run that is to go on, if it read from the same; None for a new run."""
    if resume is None or resume.kind != "kafka" or resume.text != spec.text:
        return None
    if any(part.get("topic") != topic for part in resume.parts):
        return None
    return {part["partition"]: Span(part["start"], part["end"]) for part in resume.parts}


def _spans(settings: Settings, topic: str, numbers: Sequence[int], spec: KafkaSpec) -> dict[int, Span]:
    with topic_consumer(settings) as consumer:
        partitions = [TopicPartition(topic, number) for number in numbers]
        starts, ends = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
        held = {part.partition: Span(starts[part], ends[part]) for part in partitions}
        if not any(map(len, held.values())):
            raise InputError(f"{spec.label}: topic {topic} holds no records")
        if spec.offsets:
            return _by_offset(consumer, topic, spec, held)
        return _by_time(consumer, topic, spec, held)


def _by_offset(consumer: Any, topic: str, spec: KafkaSpec, held: Mapping[int, Span]) -> dict[int, Span]:
    wanted = {}
    for number, first, last in spec.offsets:
        if number not in held:
            there = f"0 to {len(held) - 1}" if len(held) > 1 else "0 alone"
            raise InputError(f"{spec.label}: {topic} has no partition {number}, there is {there}")
        if first < held[number].start or last >= held[number].end:
            told = _told(consumer, topic, {number: held[number]})
            raise InputError(f"{spec.label}: offsets {first} to {last} are not all there: {told}")
        wanted[number] = Span(first, last + 1)
    return wanted


def _by_time(consumer: Any, topic: str, spec: KafkaSpec, held: Mapping[int, Span]) -> dict[int, Span]:
    starts = _found(consumer, topic, held, None if spec.since is None else math.ceil(_ms(spec.since)), "start")
    ends = _found(consumer, topic, held, None if spec.until is None else math.floor(_ms(spec.until)) + 1, "end")
    spans = {number: Span(starts[number], max(starts[number], ends[number])) for number in held}
    if not any(map(len, spans.values())):
        raise InputError(f"{spec.label}: nothing arrived in this range: {_told(consumer, topic, held)}")
    for number, span in held.items():
        if span.start and spans[number].start == span.start:
            warn_of_retention(TopicPartition(topic, number), span.start)
    return spans


def _found(consumer: Any, topic: str, held: Mapping[int, Span], time_ms: int | None, edge: str) -> dict[int, int]:
    """The first offset of each partition that arrived at a time or later; without a time the edge of what is held."""
    if time_ms is None:
        return {number: getattr(span, edge) for number, span in held.items()}
    asked = {TopicPartition(topic, number): max(0, time_ms) for number in held}
    found = consumer.offsets_for_times(asked)
    offsets = {}
    for partition in asked:
        span, answer = held[partition.partition], found.get(partition)
        # Nothing is as late as that, or it came after the ends were asked for.
        offsets[partition.partition] = span.end if answer is None else min(answer.offset, span.end)
    return offsets


def _told(consumer: Any, topic: str, held: Mapping[int, Span]) -> str:
    """What a topic holds, in words: offsets and times of arrival."""
    words = []
    for number, span in sorted(held.items())[:_PARTITIONS_TOLD]:
        partition = TopicPartition(topic, number)
        if not len(span):
            words.append(f"{topic}[{number}] holds nothing")
            continue
        first, last = (_time_at(consumer, partition, offset) for offset in (span.start, span.end - 1))
        words.append(f"{topic}[{number}] holds offsets {span.start} to {span.end - 1}, arrived {first} to {last}")
    if len(held) > _PARTITIONS_TOLD:
        words.append(f"and {len(held) - _PARTITIONS_TOLD} more partitions")
    return "; ".join(words)


def _time_at(consumer: Any, partition: TopicPartition, offset: int) -> str:
    consumer.assign([partition])
    consumer.seek(partition, offset)
    records = consumer.poll(timeout_ms=_EDGE_MS, max_records=1).get(partition, [])
    return f"{_arrival(records[0]):%Y-%m-%dT%H:%M:%SZ}" if records else "at a time that is not known"


def _ms(time: datetime) -> float:
    return (time - _EPOCH) / _MILLISECOND
