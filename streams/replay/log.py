"""Reads topics from their beginning to where they end now: assigned partitions, no group, nothing committed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from streams.config import Settings
from streams.errors import RecordError
from streams.records import Alert, decode_alert
from streams.replay.sources.topic_reader import TopicReader, partitions_of, topic_consumer, whole
from streams.topics import require_topics

_log = logging.getLogger(__name__)


def read_topic(settings: Settings, topic: str) -> Iterator[Any]:
    """Yield kafka-python's records of a topic as it stands now, partition by partition.

    Raises:
        BrokerError: Kafka cannot be reached, or stops answering.
        TopicError: a topic is missing.
    """
    require_topics(settings)
    servers = ", ".join(settings.kafka.bootstrap_servers)
    with topic_consumer(settings) as consumer:
        reader = TopicReader(consumer, topic, whole(consumer, partitions_of(consumer, topic)), servers=servers)
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
