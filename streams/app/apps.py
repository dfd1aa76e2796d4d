"""Makes Faust apps as FACTS demand: acks in order, no web extras, no leader topic, loud failures."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import faust

from streams.app.layout import group
from streams.app.lean import LeanMonitor, LeanTransport
from streams.app.security import faust_credentials
from streams.app.store import StateTable
from streams.config import Settings

Fatal = Callable[[BaseException], None]
"""Ends the process: called when a batch can neither be done nor be skipped."""

_COMMIT_INTERVAL_S = 1.0


def make_app(settings: Settings, role: str) -> faust.App:
    """Return a Faust app of a consumer group of its own, `<prefix>-<role>`, without Faust's web server."""
    options: dict[str, Any] = {}
    credentials = faust_credentials(settings.kafka)
    if credentials is not None:
        options["broker_credentials"] = credentials
    worker = settings.worker
    if worker.instance_id is not None:
        options["consumer_group_instance_id"] = worker.instance_id
    app = faust.App(
        group(settings, role),
        broker=";".join(f"aiokafka://{server}" for server in settings.kafka.bootstrap_servers),
        store="memory://",
        datadir=str(worker.data_dir / role),
        topic_disable_leader=True,  # the leader topic is one more to make, and nothing here elects anybody
        topic_replication_factor=settings.topics.replication_factor,
        topic_partitions=settings.topics.mention_partitions,  # of the table's changelog
        table_standby_replicas=0,
        stream_wait_empty=True,  # a rebalance waits for what is under way
        consumer_auto_offset_reset="earliest",
        broker_commit_interval=_COMMIT_INTERVAL_S,
        broker_session_timeout=worker.session_timeout_s,
        broker_heartbeat_interval=worker.session_timeout_s / 5,
        broker_max_poll_records=2 * worker.batch_messages,
        Table=StateTable,
        Monitor=LeanMonitor,
        web_enabled=False,
        **options,
    )
    app.transport = LeanTransport(app.conf.broker_consumer, app)
    app.boot_strategy.enable_web = False
    return app


def raw_topic(app: faust.App, name: str) -> Any:
    """Return a topic of raw bytes: with a typed one, a bad record or a tombstone ends a batching agent silently."""
    return app.topic(name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")


def received_at(message: Any) -> datetime:
    """Kafka's time of a record, UTC, to the millisecond."""
    return datetime.fromtimestamp(round(message.timestamp * 1000) / 1000, tz=UTC)


def assigned_partitions(assigned: set[Any], topic: str) -> set[int]:
    """Return the partitions of one topic in an assignment."""
    return {tp.partition for tp in assigned if tp.topic == topic}


log = logging.getLogger("squall.worker")
