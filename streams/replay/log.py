"""Reads topics from their beginning to where they end now: assigned partitions, no group, nothing committed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from streams.assembly import company_names, monitor_options
from streams.config import Settings
from streams.errors import BrokerError, RecordError, TopicError
from streams.monitor import RuleSet
from streams.records import Alert, decode_alert
from streams.replay.core import LogRecord, replay_partition
from streams.replay.partitioner import partition_of
from streams.topics import require_topics

_log = logging.getLogger(__name__)

_POLL_MS = 1_000
_POLL_RECORDS = 2_000
_STALLED_S = 30.0
"""A broker that is up answers within this."""

OnProgress = Callable[[int, int], None]
"""Called now and then with records read and records to read."""


def replay_mentions(
    settings: Settings,
    *,
    rules: RuleSet,
    entity: str | None = None,
    until: datetime | None = None,
    names: Mapping[str, str] | None = None,
    on_progress: OnProgress | None = None,
) -> Iterator[Alert]:
    """Yield the alert transitions that follow from `squall.mentions` as it stands now.

    The partitions are read one after the other, and within one the transitions come in the order of event time. With
    an entity, only its own partition is read.

    Args:
        settings: the configuration.
        rules: the rules to apply.
        entity: this entity's transitions only.
        until: no transition after this event time, UTC.
        names: display names by entity; those of the configured tables if None.
        on_progress: told how far it is.

    Raises:
        BrokerError: Kafka cannot be reached, or stops answering.
        TopicError: a topic is missing.
        InputError: an entity table cannot be used.
    """
    known = company_names(settings) if names is None else names
    options = monitor_options(settings)
    with _reader(settings, settings.topics.mentions, entity=entity, on_progress=on_progress) as reader:
        for partition in reader.partitions:
            yield from replay_partition(
                partition,
                (LogRecord(partition, record.offset, record.value) for record in reader.read(partition)),
                rules=rules,
                options=options,
                names=known,
                entity=entity,
                until=until,
            )


def read_topic(settings: Settings, topic: str) -> Iterator[Any]:
    """Yield kafka-python's records of a topic as it stands now, partition by partition.

    Raises:
        BrokerError: Kafka cannot be reached, or stops answering.
        TopicError: a topic is missing.
    """
    with _reader(settings, topic) as reader:
        for partition in reader.partitions:
            yield from reader.read(partition)


def read_alerts(settings: Settings, *, entity: str | None = None, until: datetime | None = None) -> Iterator[Alert]:
    """Yield what stands on `squall.alerts` now, partition by partition.

    Args:
        settings: the configuration.
        entity: this entity's only.
        until: no transition after this event time, UTC.

    Raises:
        BrokerError: Kafka cannot be reached, or stops answering.
        TopicError: a topic is missing.
    """
    for record in read_topic(settings, settings.topics.alerts):
        try:
            alert = decode_alert(record.value)
        except RecordError as error:
            _log.warning("%s[%d]@%d is no alert: %s", record.topic, record.partition, record.offset, error)
            continue
        if (entity is None or alert.labels.get("entity") == entity) and (until is None or alert.at <= until):
            yield alert


class _Reader:
    def __init__(
        self, consumer: Any, partitions: Sequence[TopicPartition], servers: str, on_progress: OnProgress | None
    ) -> None:
        self._consumer = consumer
        self._partitions = {partition.partition: partition for partition in partitions}
        self._servers = servers
        self._on_progress = on_progress
        self._starts: dict[TopicPartition, int] = consumer.beginning_offsets(list(partitions))
        self._ends: dict[TopicPartition, int] = consumer.end_offsets(list(partitions))
        self._total = sum(self._ends[partition] - self._starts[partition] for partition in partitions)
        self._read = 0
        for partition in partitions:
            if self._starts[partition]:
                where = f"{partition.topic}[{partition.partition}]"
                _log.warning(
                    "%s begins at offset %d: what came before is past its retention, and so are the baselines that "
                    "were learned from it; early alerts may differ from the live ones",
                    where,
                    self._starts[partition],
                )

    @property
    def partitions(self) -> list[int]:
        return sorted(self._partitions)

    def read(self, number: int) -> Iterator[Any]:
        """Yield the records of one partition, up to where it ended when the reader was made."""
        partition = self._partitions[number]
        end = self._ends[partition]
        self._consumer.assign([partition])
        self._consumer.seek(partition, self._starts[partition])
        heard_s = time.monotonic()
        while (position := self._consumer.position(partition)) is None or position < end:
            records = self._consumer.poll(timeout_ms=_POLL_MS, max_records=_POLL_RECORDS).get(partition, [])
            if records:
                heard_s = time.monotonic()
            elif time.monotonic() - heard_s > _STALLED_S:
                msg = f"Kafka at {self._servers} sends nothing more of {partition.topic}[{number}] from {position} on"
                raise BrokerError(f"{msg}, although it ends at {end}. Is the broker up (`squall broker status`)?")
            for record in records:
                if record.offset >= end:
                    return
                yield record
            self._read += len(records)
            if self._on_progress is not None:
                self._on_progress(self._read, self._total)


@contextmanager
def _reader(
    settings: Settings, topic: str, *, entity: str | None = None, on_progress: OnProgress | None = None
) -> Iterator[_Reader]:
    require_topics(settings)
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
            numbers = sorted(consumer.partitions_for_topic(topic) or ())
            if not numbers:
                msg = f"topic {topic} has no partitions. Make it with: squall topics create"
                raise TopicError(msg)
            if entity is not None:
                numbers = [numbers[partition_of(entity, len(numbers))]]
            yield _Reader(consumer, [TopicPartition(topic, number) for number in numbers], servers, on_progress)
        finally:
            consumer.close(autocommit=False)
    except KafkaError as error:
        msg = f"Kafka at {servers} cannot be read: {type(error).__name__}: {error}"
        raise BrokerError(msg) from error
