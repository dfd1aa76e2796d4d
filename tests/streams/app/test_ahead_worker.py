"""A real scorer with a backlog before it, and a watch list: what it says of how far it has read ahead is true."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from kafka import KafkaProducer

from streams.config import Settings
from streams.records import AheadProgress, LogEntry, Mention, Message, Progress, decode_mention, encode
from streams.replay.log import read_topic
from tests.models.tiny_model import write_tiny_model
from tests.streams.app.harness import WorkerProcess, until

pytestmark = pytest.mark.broker

COUNT = 12_000
WATCHED = ("MSFT", "XOM")
SYMBOLS = (*WATCHED, "AAPL", "JPM", "WMT", "PFE", "BAC", "KO", "CVX", "HD")
START = datetime(2026, 3, 18, 10, 0, tzinfo=UTC)


@pytest.fixture
def settings(settings_with_topics: Settings, tmp_path: Path) -> Settings:
    (tmp_path / "model").mkdir()
    write_tiny_model(tmp_path / "model")
    (tmp_path / "desk.txt").write_text("".join(f"{symbol}\n" for symbol in WATCHED))
    values = settings_with_topics.model_dump(mode="json", exclude_unset=True)
    values["classifier"] = {
        "model": str(tmp_path / "model"),
        "model_languages": "*",
        "max_windows": 1,
        "degrade_after_s": 0.1,
        "remembered_texts": 0,
    }
    values["entities"] = {"watchlists": [str(tmp_path / "desk.txt")]}
    values["worker"] = {"batch_messages": 32}
    return Settings.model_validate(yaml.safe_load(yaml.safe_dump(values)))


def publish(settings: Settings) -> None:
    producer = KafkaProducer(**settings.kafka.client_options(), acks="all", linger_ms=20)
    for number in range(COUNT):
        message = Message(
            id=str(number),
            source="wire",
            published_at=START + number * timedelta(seconds=2),
            text=f"${SYMBOLS[number % len(SYMBOLS)]} opens plant number {number}",
        )
        partition = number % settings.topics.message_partitions
        producer.send(settings.topics.messages, value=encode(message), partition=partition)
    producer.flush()
    producer.close()


def logs(settings: Settings) -> dict[int, list[LogEntry]]:
    found: dict[int, list[LogEntry]] = defaultdict(list)
    for record in read_topic(settings, settings.topics.mentions):
        found[record.partition].append(decode_mention(record.value))
    return found


def test_what_is_said_to_have_been_read_ahead_was_delivered_before(settings: Settings, tmp_path: Path) -> None:
    publish(settings)
    with WorkerProcess(settings, tmp_path, role="scorer") as worker:
        worker.wait_ready()
        until(
            lambda: (worker.metric("squall_messages_total") or 0) >= COUNT or worker.must_live(),
            "the backlog is worked off",
        )
    told = really_ahead = 0
    mentioned: set[str] = set()
    for log in logs(settings).values():
        in_turn: dict[int, datetime] = {}
        ahead: dict[int, datetime] = {}
        for record in log:
            if isinstance(record, AheadProgress):
                told += 1
                really_ahead += record.event_time > in_turn.get(record.partition, START) + timedelta(minutes=5)
                ahead[record.partition] = max(record.event_time, ahead.get(record.partition, START))
            elif isinstance(record, Progress) and record.event_time is not None:
                in_turn[record.partition] = record.event_time
            elif isinstance(record, Mention):
                assert record.watched is (record.entity in WATCHED)
                if record.watched and record.message_id not in mentioned:
                    assert record.published_at > ahead.get(record.origin.partition, datetime.min.replace(tzinfo=UTC))
                mentioned.add(record.message_id)
    assert len(mentioned) == COUNT
    assert told >= settings.topics.mention_partitions
    assert really_ahead > 0
