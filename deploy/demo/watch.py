"""What a running demonstration looks like from outside: the worker's metrics, Kafka's offsets, the alerts."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import KafkaError
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from streams.config import Settings
from streams.records import Alert, decode_alert
from streams.topics import admin_client

RATE_OVER_S = 3.0
_METRICS_EVERY_S = 0.5
_OFFSETS_EVERY_S = 1.0


@dataclass(slots=True)
class WorkerView:
    """What the worker's metrics say."""

    scored: int = 0
    """Records that scoring is done with: messages, repeats, and those refused."""
    mentions: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    """Dead letters by reason."""
    batches: int = 0
    batch_messages: int = 0
    """Messages in all batches together."""
    watermarks: dict[int, datetime] = field(default_factory=dict)
    """Event time up to which bins are closed, by partition of the mentions."""

    @property
    def event_time(self) -> datetime | None:
        """Event time that every partition has reached."""
        return min(self.watermarks.values(), default=None)


def read_metrics(text: str) -> WorkerView:
    """Read what the worker serves on /metrics. Pure."""
    families: dict[str, Metric] = {family.name: family for family in text_string_to_metric_families(text)}
    view = WorkerView()
    for sample in _samples(families, "squall_messages"):
        if sample.name.endswith("_total"):
            view.scored += round(sample.value)
    for sample in _samples(families, "squall_mentions"):
        if sample.name.endswith("_total"):
            view.mentions += round(sample.value)
    for sample in _samples(families, "squall_dead_letters"):
        if sample.name.endswith("_total"):
            view.refused[sample.labels["reason"]] = round(sample.value)
    for sample in _samples(families, "squall_batch_messages"):
        if sample.name.endswith("_count"):
            view.batches = round(sample.value)
        elif sample.name.endswith("_sum"):
            view.batch_messages = round(sample.value)
    for sample in _samples(families, "squall_watermark_seconds"):
        view.watermarks[int(sample.labels["partition"])] = datetime.fromtimestamp(sample.value, tz=UTC)
    return view


def _samples(families: dict[str, Metric], name: str) -> Iterable[Any]:
    return families[name].samples if name in families else ()


class Rate:
    """Records per second over the last few seconds. The clock is an argument.

    Args:
        over_s: length of the window.
    """

    def __init__(self, over_s: float = RATE_OVER_S) -> None:
        self._over_s = over_s
        self._points: deque[tuple[float, int]] = deque()

    def add(self, now_s: float, count: int) -> None:
        """Take note of a running count."""
        self._points.append((now_s, count))
        while len(self._points) > 2 and self._points[1][0] <= now_s - self._over_s:
            self._points.popleft()

    @property
    def per_second(self) -> float:
        """The rate; 0 before there are two points."""
        if len(self._points) < 2:
            return 0.0
        (first_s, first), (last_s, last) = self._points[0], self._points[-1]
        return (last - first) / (last_s - first_s) if last_s > first_s else 0.0


@dataclass(slots=True)
class Lag:
    """Records that wait, by Kafka's own offsets, which do not stand still when a worker does."""

    to_score: int = 0
    to_judge: int = 0
    alerts_end: int = 0
    """Alert records on Kafka."""


class Watch:
    """Looks at a running demonstration. Use it as a context manager.

    Args:
        settings: of the run.
        metrics_url: the worker's.

    Raises:
        BrokerError: Kafka cannot be reached.
    """

    def __init__(self, settings: Settings, metrics_url: str) -> None:
        self._settings = settings
        self._url = metrics_url
        self._consumer = KafkaConsumer(
            **settings.kafka.client_options(), client_id="squall-demo", enable_auto_commit=False, group_id=None
        )
        topics = settings.topics
        self._alert_partitions = _partitions(topics.alerts, topics.mention_partitions)
        self._consumer.assign(self._alert_partitions)
        self._consumer.seek_to_beginning()
        self._admin_context = admin_client(settings.kafka)
        self._admin = self._admin_context.__enter__()
        self._next_metrics_s = 0.0
        self._next_offsets_s = 0.0
        self._rate = Rate()
        self.worker = WorkerView()
        self.lag = Lag()
        self.alerts: list[Alert] = []

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close(timeout_ms=2_000)
        self._admin_context.__exit__(None, None, None)

    @property
    def scored_per_s(self) -> float:
        """Records scored per second, over the last few seconds."""
        return self._rate.per_second

    @property
    def has_all_alerts(self) -> bool:
        """Every alert record that was on Kafka at the last look has been read."""
        return len(self.alerts) >= self.lag.alerts_end

    def look(self) -> list[Alert]:
        """Look at everything that is due, and return the alert records that are new. Takes about 0.1 s."""
        now_s = time.monotonic()
        if now_s >= self._next_metrics_s:
            self._next_metrics_s = now_s + _METRICS_EVERY_S
            self._look_at_worker(now_s)
        if now_s >= self._next_offsets_s:
            self._next_offsets_s = now_s + _OFFSETS_EVERY_S
            self._look_at_offsets()
        new = []
        for records in self._consumer.poll(timeout_ms=100).values():
            new += [decode_alert(record.value) for record in records]
        new.sort(key=lambda alert: (alert.at, alert.id, alert.transition))
        self.alerts += new
        return new

    def look_at_offsets(self) -> None:
        """Read the offsets now, whenever they were last read."""
        self._look_at_offsets()

    def _look_at_worker(self, now_s: float) -> None:
        try:
            with urllib.request.urlopen(self._url, timeout=5) as answer:  # noqa: S310 - our own worker
                self.worker = read_metrics(answer.read().decode())
        except (urllib.error.URLError, OSError):
            return  # it is starting; if it has ended, the session says so
        self._rate.add(now_s, self.worker.scored)

    def _look_at_offsets(self) -> None:
        topics = self._settings.topics
        scoring = self._waiting("scorer", topics.messages, topics.message_partitions)
        judging = self._waiting("monitor", topics.mentions, topics.mention_partitions)
        ends = self._consumer.end_offsets(self._alert_partitions)
        self.lag = Lag(to_score=scoring, to_judge=judging, alerts_end=sum(ends.values()))

    def _waiting(self, role: str, topic: str, count: int) -> int:
        group = f"{self._settings.topics.prefix}-{role}"
        partitions = _partitions(topic, count)
        ends = self._consumer.end_offsets(partitions)
        try:
            committed = self._admin.list_group_offsets({group: partitions}).get(group, {})
        except KafkaError:
            committed = {}  # the group is not there before the worker has joined
        done = {partition: max(0, found.offset) for partition, found in committed.items()}
        return sum(max(0, ends[partition] - done.get(partition, 0)) for partition in partitions)


def read_all(settings: Settings, topic: str, partitions: int) -> list[ConsumerRecord]:
    """Read a topic from its beginning to its present end, partition by partition in the order of the log."""
    consumer = KafkaConsumer(
        **settings.kafka.client_options(), client_id="squall-demo", enable_auto_commit=False, group_id=None
    )
    try:
        every = _partitions(topic, partitions)
        consumer.assign(every)
        consumer.seek_to_beginning()
        ends = consumer.end_offsets(every)
        records: list[ConsumerRecord] = []
        while any(consumer.position(partition) < end for partition, end in ends.items()):
            for batch in consumer.poll(timeout_ms=500).values():
                records += batch
        return sorted(records, key=lambda record: (record.partition, record.offset))
    finally:
        consumer.close(timeout_ms=2_000)


def _partitions(topic: str, count: int) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for number in range(count)]
