"""`squall worker` as an operator meets it: its start, its health, its end, and bad records on its own topics."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from kafka import KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient

from streams.config import Settings
from streams.records import DeadLetter, Mention, Message, Progress, decode_mention, encode
from tests.streams.app.harness import WorkerProcess, records_of, until

pytestmark = [pytest.mark.broker, pytest.mark.timeout(300)]


@pytest.fixture
def worker(settings_with_topics: Settings, tmp_path: Path) -> Iterator[WorkerProcess]:
    with WorkerProcess(settings_with_topics, tmp_path) as process:
        yield process.wait_ready()


def run_worker(settings: Settings, folder: Path, **worker: object) -> subprocess.CompletedProcess[str]:
    """Run a worker that is not expected to live."""
    values = settings.model_dump(mode="json", exclude_unset=True)
    values["worker"] = {"data_dir": str(folder), "port": 0, **worker}
    config = folder / "squall.yaml"
    config.write_text(yaml.safe_dump(values))
    return subprocess.run(
        [sys.executable, "-m", "deploy.cli", "--config", str(config), "worker", "--role", "monitor"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def send(settings: Settings, topic: str, *values: bytes, key: bytes = b"wire") -> None:
    producer = KafkaProducer(**settings.kafka.client_options(), acks="all")
    for value in values:
        producer.send(topic, key=key, value=value)
    producer.flush()
    producer.close()


def live_message(number: int, text: str) -> bytes:
    return encode(Message(id=str(number), source="wire", published_at=datetime.now(UTC), text=text))


def test_without_topics_it_says_how_to_make_them(settings: Settings, tmp_path: Path) -> None:
    ended = run_worker(settings, tmp_path)
    assert ended.returncode == 2
    assert "missing topics" in ended.stderr
    assert "squall topics create" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_taken_port_is_named(settings_with_topics: Settings, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run_worker(settings_with_topics, tmp_path, port=port)
    assert ended.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port} (worker.host, worker.port)" in ended.stderr


def test_a_rule_file_that_is_wrong_stops_the_start(settings_with_topics: Settings, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("rules:\n  - alert: Surge\n    type: spike\n    fier: {arl: 30d}\n")
    monitor = settings_with_topics.monitor.model_copy(update={"rules": rules})
    ended = run_worker(settings_with_topics.model_copy(update={"monitor": monitor}), tmp_path)
    assert ended.returncode == 2
    assert "unknown key 'fier'" in ended.stderr
    assert "'fire'" in ended.stderr


def test_a_live_message_becomes_a_scored_mention_and_time_goes_on_without_more(
    worker: WorkerProcess, settings_with_topics: Settings
) -> None:
    settings = settings_with_topics
    assert worker.get("/healthz") == (200, "ok\n")
    assert worker.get("/readyz") == (200, "ready\n")
    send(settings, settings.topics.messages, live_message(1, "$MSFT plunges after a fraud investigation"))

    def mentions() -> list[Mention]:
        found = [decode_mention(record.value) for record in records_of(settings, settings.topics.mentions)]
        return [record for record in found if isinstance(record, Mention)]

    (mention,) = until(mentions, "no mention came")
    assert (mention.entity, mention.message_id) == ("MSFT", "wire:1")
    assert mention.negative > 0.5
    assert sum(mention.topics.values()) <= 1.0001
    assert mention.model.version
    assert worker.metric("squall_mentions_total") == 1

    def idle() -> bool:
        progress = (decode_mention(record.value) for record in records_of(settings, settings.topics.mentions))
        told = [one for one in progress if isinstance(one, Progress) and one.idle and one.event_time is not None]
        return any(one.event_time > mention.published_at for one in told if one.event_time is not None)

    until(idle, "the idle partition's time does not go on with the clock")


def test_a_bad_record_among_the_mentions_goes_to_the_dead_letters(
    worker: WorkerProcess, settings_with_topics: Settings
) -> None:
    settings = settings_with_topics
    send(settings, settings.topics.mentions, b'{"type": "mention", "entity": 7}', key=b"ACME")

    def letters() -> list[DeadLetter]:
        return [
            DeadLetter.from_headers(record.headers, key=record.key, value=record.value)
            for record in records_of(settings, settings.topics.dead_letters)
        ]

    (letter,) = until(letters, "no dead letter came")
    assert (letter.topic, letter.reason, letter.key) == (settings.topics.mentions, "wrong_type", b"ACME")
    assert letter.value == b'{"type": "mention", "entity": 7}'
    assert letter.refused_by.startswith("squall ")
    until(lambda: worker.metric("squall_dead_letters_total") == 1, "the dead letter is not counted")


def test_records_that_are_gone_before_they_were_read_are_counted_and_bad_ones_are_not(
    settings_with_topics: Settings, tmp_path: Path
) -> None:
    settings = settings_with_topics
    topic = settings.topics.mentions
    still = encode(Progress(partition=0, partitions=1, event_time=None, idle=False))

    def publish(values: list[bytes]) -> None:
        producer = KafkaProducer(**settings.kafka.client_options())
        for value in values:
            producer.send(topic, value=value, partition=0)
        producer.close()

    publish([still] * 9 + [b"no mention"])
    with WorkerProcess(settings, tmp_path, role="monitor") as worker:
        until(lambda: worker.metric("squall_monitor_records_total") == 9, "the mentions are not read")
        assert worker.send(signal.SIGTERM) == 0
    publish([still] * 20)
    admin = KafkaAdminClient(**settings.kafka.client_options())
    admin.delete_records({TopicPartition(topic, 0): 25})  # as retention does
    admin.close()
    with WorkerProcess(settings, tmp_path, role="monitor") as worker:
        until(lambda: worker.metric("squall_monitor_records_total") == 5, "what is left is not read")
        assert worker.metric("squall_monitor_passed_over_total") == 15
        assert f"15 records of {topic}[0] before offset 25 were not read" in worker.log.read_text()


def test_it_stops_cleanly_and_lets_go_of_its_port(worker: WorkerProcess) -> None:
    assert worker.send(signal.SIGTERM) == 0
    log = worker.log.read_text()
    assert "stopped" in log.splitlines()[-1]
    assert "Traceback" not in log
    assert "Unclosed" not in log
    with socket.create_server(("127.0.0.1", worker.port)):
        pass
