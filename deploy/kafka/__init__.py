"""A local Apache Kafka for development, demonstrations and tests: one KRaft node, durable on disk, loopback only.

broker = LocalBroker(Path(".squall/broker"), port=9092)
broker.start()
... clients connect to broker.bootstrap ...
broker.stop()
"""

from __future__ import annotations

from deploy.kafka.broker import LocalBroker, Status, free_port
from deploy.kafka.runtime import KAFKA_VERSION

__all__ = ["KAFKA_VERSION", "LocalBroker", "Status", "free_port"]
