"""The way out of a wrong setting: a real worker refuses a message, the setting is mended, the message is sent again."""

from __future__ import annotations

import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest
from kafka import KafkaProducer

from deploy.kafka import LocalBroker
from streams.config import Settings
from streams.dead_letters import plan_sending, read_letters, send_again
from streams.records import Mention, Message, decode_mention, encode
from streams.topics import create_topics
from tests.conftest import MakeSettings
from tests.streams.app.harness import WorkerProcess, records_of, until

pytestmark = [pytest.mark.broker, pytest.mark.timeout(300)]


def mentions_of(settings: Settings) -> list[Mention]:
    found = [decode_mention(record.value) for record in records_of(settings, settings.topics.mentions)]
    return [record for record in found if isinstance(record, Mention)]


def test_a_message_that_a_wrong_setting_refused_is_scored_after_the_setting_is_mended(
    kafka: LocalBroker, make_settings: MakeSettings, topic_prefix: str, tmp_path: Path
) -> None:
    too_tight = make_settings(kafka.bootstrap, topic_prefix, ingest={"max_bytes": 2_048})
    mended = make_settings(kafka.bootstrap, topic_prefix)
    create_topics(mended)
    text = "$MSFT plunges after a fraud investigation. " + "The board has nothing to add. " * 100
    value = encode(Message(id="1", source="wire", published_at=datetime.now(UTC), text=text))
    producer = KafkaProducer(**mended.kafka.client_options())
    producer.send(mended.topics.messages, key=b"wire", value=value).get(timeout=30)
    producer.close()

    with WorkerProcess(too_tight, tmp_path) as worker:
        worker.wait_ready()
        (kept,) = until(lambda: list(read_letters(mended)), "the message is not refused")
        assert worker.send(signal.SIGTERM) == 0
    assert (kept.letter.reason, kept.letter.value) == ("too_large", value)

    with WorkerProcess(mended, tmp_path) as worker:
        worker.wait_ready()
        assert send_again(mended, plan_sending([kept], mended.topics.messages)) == 1
        (mention,) = until(lambda: mentions_of(mended), "the message is not scored")
    assert (mention.entity, mention.message_id) == ("MSFT", "wire:1")
    assert len(list(read_letters(mended))) == 1
