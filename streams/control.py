"""Tells all workers something: a record on `squall.control`, acknowledged by every replica before it counts as said."""

from __future__ import annotations

from kafka.errors import KafkaError

from streams.config import Settings
from streams.errors import BrokerError
from streams.ingest.producer import DELIVERY_TIMEOUT_S, kafka_producer
from streams.records import Control, control_key, encode
from streams.topics import require_topics


def tell_workers(settings: Settings, record: Control) -> None:
    """Write a record to the control topic.

    Raises:
        BrokerError: Kafka cannot be reached, or did not take the record.
        TopicError: a topic is missing.
    """
    require_topics(settings)
    producer = kafka_producer({**settings.kafka.client_options(), "client_id": "squall-control"})
    topic = settings.topics.control
    try:
        producer.send(topic, encode(record), control_key(record)).get(timeout=DELIVERY_TIMEOUT_S)
    except KafkaError as error:
        msg = f"{topic} did not take the record: {error}. No worker was told; try again"
        raise BrokerError(msg) from error
    finally:
        producer.close()
