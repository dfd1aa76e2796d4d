"""A monitor saves what it knows now and then, and not with each batch; what nobody follows up is saved too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from streams.config import Settings
from streams.records import Progress, encode
from tests.streams.app.harness import WorkerProcess, end_of, until
from tests.streams.monitor.invented import mention

pytestmark = pytest.mark.broker

COUNT = 6_000
ABSORBED = 'squall_step_seconds_count{step="absorb"}'
START = datetime(2026, 3, 18, 10, 0, tzinfo=UTC)


def publish(settings: Settings) -> None:
    """Mentions of one company, and before them that its one message partition is there; all on its partition."""
    producer = KafkaProducer(**settings.kafka.client_options(), acks="all")
    topic = settings.topics.mentions
    begin = Progress(partition=0, partitions=1, event_time=START, idle=False)
    for partition in range(settings.topics.mention_partitions):
        producer.send(topic, value=encode(begin), partition=partition)
    for number in range(COUNT):
        record = mention(number, START + number * timedelta(seconds=1))
        producer.send(topic, key=record.entity.encode(), value=encode(record))
    producer.flush()
    producer.close()


def unread(settings: Settings) -> int:
    """Records that the group of monitors has not acknowledged."""
    consumer = KafkaConsumer(**settings.kafka.client_options(), group_id=f"{settings.topics.prefix}-monitor")
    topic = settings.topics.mentions
    try:
        partitions = [TopicPartition(topic, number) for number in range(settings.topics.mention_partitions)]
        return end_of(settings, topic) - sum(consumer.committed(partition) or 0 for partition in partitions)
    finally:
        consumer.close()


def test_state_is_saved_less_often_than_batches_come_and_all_of_it_in_the_end(
    settings_with_topics: Settings, tmp_path: Path
) -> None:
    settings = settings_with_topics
    with WorkerProcess(settings, tmp_path, role="monitor") as worker:
        worker.wait_ready()
        publish(settings)
        until(lambda: unread(settings) == 0 or worker.must_live(), "all is acknowledged, though nothing follows it")
        (line,) = [one for one in worker.get("/metrics")[1].splitlines() if one.startswith(ABSORBED)]
        batches = float(line.split()[-1])
        saved = end_of(settings, f"{settings.topics.prefix}-monitor-state-changelog")
    # Each save writes the clock of a partition, and the company with the chunk of an hour or two.
    assert batches >= 6
    assert 0 < saved < 4 * batches
