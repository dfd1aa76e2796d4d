"""Whatever the order in which fetches and seeks come about: from what was committed on, every record is delivered."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from kafka import KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

from deploy.kafka import LocalBroker
from streams.app.layout import full_key, group, state_changelog
from streams.config import Settings
from streams.topics import create_topics
from tests.conftest import MakeSettings

RECORDS = 400
COMMITTED = {0: None, 1: 150}
"""By partition: nothing was ever committed, or this offset."""


@pytest.fixture
def settings(kafka: LocalBroker, make_settings: MakeSettings, topic_prefix: str) -> Settings:
    """Two full partitions, a changelog to recover from, and a group that has read a part of one."""
    made: Settings = make_settings(kafka.bootstrap, topic_prefix, topics={"mention_partitions": 2})
    create_topics(made)
    changelog = state_changelog(made)
    admin = KafkaAdminClient(**made.kafka.client_options())
    admin.create_topics([NewTopic(changelog, num_partitions=2, replication_factor=1)])
    admin.close()
    producer = KafkaProducer(**made.kafka.client_options())
    for partition in COMMITTED:
        for number in range(RECORDS):
            producer.send(made.topics.mentions, partition=partition, value=str(number).encode())
        for number in range(30):
            producer.send(changelog, partition=partition, key=full_key(partition, str(number)), value=b"kept")
    producer.flush()
    producer.close()
    consumer = KafkaConsumer(**made.kafka.client_options(), group_id=group(made, "monitor"), enable_auto_commit=False)
    consumer.assign([TopicPartition(made.topics.mentions, 1)])
    consumer.commit({TopicPartition(made.topics.mentions, 1): OffsetAndMetadata(150, "", -1)})
    consumer.close()
    return made


@pytest.mark.broker
@pytest.mark.timeout(150)
@pytest.mark.parametrize("held_back", ["seek_to_committed", "getmany"])
def test_nothing_between_the_committed_offset_and_the_end_is_passed_over(
    settings: Settings, tmp_path: Path, held_back: str
) -> None:
    config = tmp_path / "squall.yaml"
    values = settings.model_dump(mode="json", exclude_unset=True)
    (tmp_path / "data" / "monitor").mkdir(parents=True)
    config.write_text(yaml.safe_dump({**values, "worker": {"data_dir": str(tmp_path / "data")}}))
    done = subprocess.run(
        [sys.executable, "-m", "tests.streams.app.steady_reader", str(config), str(RECORDS), held_back],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    for partition, committed in COMMITTED.items():
        begin = committed or 0
        offsets = found[str(partition)]
        assert min(offsets) >= begin, "what is committed is not read again"
        assert sorted(set(offsets)) == list(range(begin, RECORDS))
