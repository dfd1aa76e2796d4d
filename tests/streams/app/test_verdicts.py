"""The reader of verdicts on a real broker: from now on, past what is broken, and on after an outage."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import count

import pytest
from kafka import KafkaProducer

from deploy.kafka import LocalBroker
from streams.app.security import aiokafka_options
from streams.app.verdicts import Said, VerdictReader
from streams.config import Settings
from streams.records import Verdict, encode
from streams.verdicts import Subject

pytestmark = [pytest.mark.broker, pytest.mark.timeout(300)]

DEADLINE_S = 120.0


def verdict(message_id: str) -> Verdict:
    at = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)
    return Verdict(message_id=message_id, alert_id=None, verdict="negative", by="desk", learned_at=at)


def publish(settings: Settings, *records: tuple[str, bytes | None]) -> None:
    producer = KafkaProducer(**settings.kafka.client_options(), acks="all")
    for key, value in records:
        producer.send(settings.topics.labels, key=key.encode(), value=value)
    producer.flush()
    producer.close()


@asynccontextmanager
async def reading(settings: Settings) -> AsyncIterator[list[Said]]:
    """A reader at work, and what it has heard."""
    heard: list[Said] = []
    reader = VerdictReader(aiokafka_options(settings.kafka), settings.topics.labels)
    task = asyncio.create_task(reader.follow(heard.extend))
    try:
        yield heard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool], what: str) -> None:
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():  # noqa: ASYNC110  # the reader sets no event
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"waited in vain: {what}") from None


async def begun(settings: Settings, heard: list[Said]) -> None:
    """Wait until the reader hears: it begins at the end of the topic, wherever that is when it is connected."""
    numbers = count()
    while not heard:
        await asyncio.to_thread(publish, settings, ("begin", encode(verdict(f"begin:{next(numbers)}"))))
        await asyncio.sleep(0.2)


def beyond_the_begin(heard: list[Said]) -> list[Said]:
    return [said for said in heard if not isinstance(said, Verdict) or not str(said.message_id).startswith("begin:")]


async def test_it_begins_where_the_topic_ends_and_passes_over_what_is_no_verdict(
    settings_with_topics: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings_with_topics
    publish(settings, ("wire:old", encode(verdict("wire:old"))))
    async with reading(settings) as heard:
        await begun(settings, heard)
        publish(settings, ("x", b"{"), ("wire:1", encode(verdict("wire:1"))), ("wire:7", None))
        publish(settings, ('["message","wire:0","ACME","desk"]', None), ('["alert","a1",null,"desk"]', None))
        await until(lambda: len(beyond_the_begin(heard)) == 4, "the verdicts are not read")
    assert beyond_the_begin(heard) == [
        verdict("wire:1"),
        "wire:7",
        Subject("message", "wire:0", "ACME", "desk"),
        Subject("alert", "a1", None, "desk"),
    ]
    assert "is passed over" in caplog.text


async def test_after_an_outage_it_goes_on_where_it_was(settings_with_topics: Settings, kafka: LocalBroker) -> None:
    settings = settings_with_topics
    async with reading(settings) as heard:
        await begun(settings, heard)
        await asyncio.to_thread(kafka.stop)
        await asyncio.to_thread(kafka.start, timeout_s=120)
        # Said while the reader may not have noticed yet that Kafka is back.
        await asyncio.to_thread(publish, settings, ("wire:1", encode(verdict("wire:1"))))
        await until(lambda: bool(beyond_the_begin(heard)), "what was said after the outage is not read")
    assert beyond_the_begin(heard) == [verdict("wire:1")]
