"""Reads topics from their beginning to where they end now: assigned partitions, no group, nothing committed."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from streams.assembly import company_names, monitor_options
from streams.config import Settings
from streams.errors import RecordError
from streams.monitor import RuleSet
from streams.records import Alert, decode_alert
from streams.replay.core import LogRecord, replay_partition
from streams.replay.partitioner import partition_of
from streams.replay.topic_reader import OnProgress, TopicReader, partitions_of, topic_consumer, whole
from streams.topics import require_topics

_log = logging.getLogger(__name__)


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


@contextmanager
def _reader(
    settings: Settings, topic: str, *, entity: str | None = None, on_progress: OnProgress | None = None
) -> Iterator[TopicReader]:
    require_topics(settings)
    servers = ", ".join(settings.kafka.bootstrap_servers)
    with topic_consumer(settings) as consumer:
        partitions = partitions_of(consumer, topic)
        if entity is not None:
            partitions = [partitions[partition_of(entity, len(partitions))]]
        yield TopicReader(consumer, topic, whole(consumer, partitions), servers=servers, on_progress=on_progress)
