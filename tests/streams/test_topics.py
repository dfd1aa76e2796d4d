"""The topics of the design, on a real broker; the comparison also on invented findings."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
from typing import Any

import pytest
from kafka import KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import MessageSizeTooLargeError

from deploy.kafka import LocalBroker, free_port
from streams.config import Settings
from streams.errors import BrokerError, TopicError
from streams.topics import (
    MESSAGE_BATCH_BYTES,
    admin_client,
    check_topics,
    create_topics,
    design,
    differences,
    require_topics,
)

NAMES = ("messages", "mentions", "alerts", "labels", "dead-letters", "control")


def by_name(settings: Settings) -> dict[str, Any]:
    return {topic.name.removeprefix(f"{settings.topics.prefix}."): topic for topic in design(settings)}


def test_design_follows_partitions_and_copies_of_the_settings() -> None:
    settings = Settings.model_validate(
        {"topics": {"prefix": "desk", "message_partitions": 12, "mention_partitions": 6, "replication_factor": 3}}
    )
    topics = by_name(settings)
    assert tuple(topics) == NAMES
    assert [topics[name].partitions for name in NAMES] == [12, 6, 6, 1, 12, 1]
    assert {topic.replication_factor for topic in topics.values()} == {3}
    assert {topic.configs["min.insync.replicas"] for topic in topics.values()} == {"2"}


def test_design_keeps_verdicts_for_ever_and_history_for_more_than_a_year() -> None:
    topics = by_name(Settings())
    assert {name for name in NAMES if topics[name].configs["cleanup.policy"] == "compact"} == {"labels", "control"}
    days = {name: int(topics[name].configs.get("retention.ms", 0)) / 86_400_000 for name in NAMES}
    assert days == {"messages": 7, "mentions": 400, "alerts": 400, "dead-letters": 400, "labels": 0, "control": 0}


def test_dead_letters_hold_the_largest_message_and_its_headers() -> None:
    topics = by_name(Settings.model_validate({"ingest": {"max_bytes": 1_048_576}}))
    largest_message = int(topics["messages"].configs["max.message.bytes"])
    assert largest_message == MESSAGE_BATCH_BYTES > 1_048_576
    assert int(topics["dead-letters"].configs["max.message.bytes"]) >= largest_message + 65_536


def test_a_topic_like_the_design_has_no_differences() -> None:
    topic = by_name(Settings())["mentions"]
    assert not list(differences(topic, topic.partitions, topic.replication_factor, topic.configs))


def test_each_difference_says_what_was_expected_and_found_and_how_to_mend_it() -> None:
    topic = dataclasses.replace(by_name(Settings())["mentions"], partitions=4, replication_factor=3)
    found = {**topic.configs, "retention.ms": "60000"}
    del found["compression.type"]
    drifts = {drift.what: drift for drift in differences(topic, 2, 1, found)}
    assert set(drifts) == {"partitions", "replication factor", "retention.ms", "compression.type"}
    assert (drifts["partitions"].expected, drifts["partitions"].found) == ("4", "2")
    assert drifts["retention.ms"].mend == (
        "kafka-configs --alter --topic squall.mentions --add-config retention.ms=34560000000"
    )
    assert drifts["compression.type"].found == "unknown to this cluster"


@pytest.mark.parametrize(
    ("name", "found", "words"),
    [
        (
            "messages",
            2,
            "kafka-topics --alter --topic squall.messages --partitions 4 (or set topics.message_partitions",
        ),
        ("messages", 9, "set topics.message_partitions to 9: Kafka cannot take partitions away"),
        ("mentions", 2, "set topics.mention_partitions to 2: an entity's state stays on its partition"),
        ("mentions", 9, "set topics.mention_partitions to 9: an entity's state stays on its partition"),
        ("control", 3, "make squall.control anew: it must have one partition"),
    ],
)
def test_a_wrong_number_of_partitions_is_mended_without_harm(name: str, found: int, words: str) -> None:
    topic = by_name(Settings())[name]
    (drift,) = differences(topic, found, 1, topic.configs)
    assert words in drift.mend


@pytest.mark.broker
def test_topics_are_made_as_designed_and_making_them_again_changes_nothing(settings: Settings) -> None:
    first = create_topics(settings)
    assert first.created == tuple(f"{settings.topics.prefix}.{name}" for name in NAMES)
    assert not first.existing
    assert not first.drifts
    assert check_topics(settings) == []
    second = create_topics(settings)
    assert second.created == ()
    assert second.existing == first.created
    assert second.drifts == ()


@pytest.mark.broker
def test_missing_topics_are_a_drift_and_keep_a_worker_from_starting(settings: Settings) -> None:
    drifts = check_topics(settings)
    assert [(drift.what, drift.found) for drift in drifts] == [("topic", "missing")] * 6
    with pytest.raises(TopicError, match=r"missing topics: .*\.messages, .*squall topics create"):
        require_topics(settings)
    create_topics(settings)
    require_topics(settings)


@pytest.mark.broker
def test_what_exists_is_reported_as_drift_and_not_altered(settings: Settings) -> None:
    with admin_client(settings.kafka) as admin:
        admin.create_topics(
            {
                settings.topics.alerts: {
                    "num_partitions": 1,
                    "replication_factor": 1,
                    "configs": {"retention.ms": "7000"},
                }
            },
            wait_for_metadata=True,
        )
    report = create_topics(settings)
    assert len(report.created) == 5
    found = {drift.what: (drift.expected, drift.found) for drift in report.drifts}
    assert found == {
        "partitions": ("2", "1"),
        "retention.ms": (str(400 * 86_400_000), "7000"),
        "message.timestamp.type": ("LogAppendTime", "CreateTime"),
    }
    assert check_topics(settings) == list(report.drifts)


@pytest.mark.broker
def test_a_setting_changed_by_hand_is_found(settings_with_topics: Settings) -> None:
    name = settings_with_topics.topics.labels
    with admin_client(settings_with_topics.kafka) as admin:
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, {"cleanup.policy": "delete"})])
    (drift,) = check_topics(settings_with_topics)
    assert (drift.topic, drift.what, drift.expected, drift.found) == (name, "cleanup.policy", "compact", "delete")


@pytest.mark.broker
def test_history_published_today_carries_the_time_of_its_arrival_and_is_not_deleted_as_old(
    settings_with_topics: Settings,
) -> None:
    servers, topic = list(settings_with_topics.kafka.bootstrap_servers), settings_with_topics.topics.messages
    before_ms = time.time_ns() // 1_000_000
    producer = KafkaProducer(bootstrap_servers=servers, acks="all")
    sent = producer.send(topic, b"from the year 2014", timestamp_ms=1_400_000_000_000, partition=0).get(timeout=30)
    producer.close()
    assert before_ms - 1_000 <= sent.timestamp <= time.time_ns() // 1_000_000 + 1_000


@pytest.mark.broker
def test_a_message_larger_than_squall_takes_still_arrives_to_be_accounted_for(settings_with_topics: Settings) -> None:
    producer = KafkaProducer(
        bootstrap_servers=list(settings_with_topics.kafka.bootstrap_servers), max_request_size=8 * 1024 * 1024
    )
    largest = settings_with_topics.ingest.max_bytes * 4
    producer.send(settings_with_topics.topics.messages, bytes(largest)).get(timeout=30)
    producer.send(settings_with_topics.topics.dead_letters, bytes(MESSAGE_BATCH_BYTES)).get(timeout=30)
    with pytest.raises(MessageSizeTooLargeError):
        producer.send(settings_with_topics.topics.messages, bytes(MESSAGE_BATCH_BYTES)).get(timeout=30)
    producer.close()


@pytest.mark.broker
def test_more_copies_than_brokers_is_a_clear_error(kafka: LocalBroker, make_settings: Any, topic_prefix: str) -> None:
    settings = make_settings(kafka.bootstrap, topic_prefix, topics={"replication_factor": 3})
    with pytest.raises(TopicError, match=rf"{topic_prefix}\.messages cannot be made: .*replic"):
        create_topics(settings)


def test_an_unreachable_cluster_is_named(make_settings: Any) -> None:
    port = free_port()
    settings = make_settings(f"127.0.0.1:{port}", "nobody")
    with pytest.raises(BrokerError, match=rf"127\.0\.0\.1:{port}: Connection refused.*squall broker start"):
        check_topics(settings)


@pytest.mark.broker
def test_the_wrong_protocol_is_told_from_an_unreachable_cluster(kafka: LocalBroker) -> None:
    # In a process of its own: kafka-python leaves sockets open after a failed handshake, and here warnings are errors.
    program = f"""
from streams.config import KafkaSettings
from streams.topics import admin_client
settings = KafkaSettings(bootstrap_servers=("{kafka.bootstrap}",), security_protocol="SSL")
with admin_client(settings, timeout_s=1.0):
    pass
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert f"BrokerError: cannot speak to Kafka at {kafka.bootstrap} as SSL" in done.stderr
    assert "kafka.security_protocol" in done.stderr


@pytest.mark.broker
@pytest.mark.parametrize("setting", ["message_partitions", "mention_partitions"])
def test_a_worker_refuses_a_number_of_partitions_that_is_not_the_topics(
    settings_with_topics: Settings, setting: str
) -> None:
    other = settings_with_topics.topics.model_copy(update={setting: 3})
    wrong = settings_with_topics.model_copy(update={"topics": other})
    with pytest.raises(TopicError, match=r"has 2 partitions, the settings say 3: .*set topics\."):
        require_topics(wrong)
