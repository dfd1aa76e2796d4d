"""Delivery from an alerts topic that was made anew: what was committed of the one before says nothing of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import OffsetAndMetadata

from streams.app.deliverer import DeliveryLoop
from streams.app.delivery_progress import Beyond
from streams.app.security import aiokafka_options
from streams.config import Settings
from streams.deliver import ListSink
from streams.records import Alert, encode
from streams.topics import create_topics
from tests.streams.app.test_deliverer import alert, committed, loop_for, publish, running, until

RECEIVER = "desk"


class Holding(ListSink):
    """A sink that is never done with one alert."""

    lanes = 4

    def __init__(self, held: str) -> None:
        super().__init__()
        self.held = held

    async def deliver(self, alert: Alert, *, age_s: float = 0.0) -> None:
        if alert.id == self.held:
            await asyncio.Event().wait()
        await super().deliver(alert)


async def commit(settings: Settings, offset: int, metadata: str) -> None:
    """Commit as an earlier process has: for a topic that had more in it."""
    group = f"{settings.topics.prefix}-deliver-{RECEIVER}"
    consumer = AIOKafkaConsumer(**aiokafka_options(settings.kafka), group_id=group, enable_auto_commit=False)
    partition = TopicPartition(settings.topics.alerts, 0)
    consumer.assign([partition])
    await consumer.start()
    await consumer.commit({partition: OffsetAndMetadata(offset, metadata)})
    await consumer.stop()


async def make_anew(settings: Settings) -> None:
    admin = AIOKafkaAdminClient(**aiokafka_options(settings.kafka))
    await admin.start()
    try:
        await admin.delete_topics([settings.topics.alerts])
        async with asyncio.timeout(30):
            while settings.topics.alerts in await admin.list_topics():  # noqa: ASYNC110 - it goes in another process
                await asyncio.sleep(0.1)
    finally:
        await admin.close()
    create_topics(settings)


@pytest.mark.parametrize("metadata", ["", "1;5;0,2"])
@pytest.mark.parametrize("leads_here", [None, lambda alert: True], ids=["no-past-needed", "past-needed"])
async def test_offsets_beyond_the_end_are_not_believed_and_all_is_delivered(
    settings_with_topics: Settings,
    caplog: pytest.LogCaptureFixture,
    leads_here: Callable[[Alert], bool] | None,
    metadata: str,
) -> None:
    settings, sink = settings_with_topics, ListSink()
    await commit(settings, 100, metadata)
    await publish(settings, *(alert(f"a{number}", minute=number) for number in range(3)))
    options: dict[str, Any] = {"leads_here": leads_here} if leads_here else {}
    async with running(loop_for(settings, sink, RECEIVER, **options)):
        await until(lambda: len(sink.alerts) == 3, "all of the new topic arrives")
        await publish(settings, alert("a3", minute=3))
        await until(lambda: len(sink.alerts) == 4, "and what comes after it")
    assert f"{settings.topics.alerts}[0] ends at 3, but 100 is committed" in caplog.text
    assert await committed(settings, RECEIVER) == 4


async def test_offsets_at_the_end_are_believed(
    settings_with_topics: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings, sink = settings_with_topics, ListSink()
    await publish(settings, *(alert(f"a{number}", minute=number) for number in range(3)))
    await commit(settings, 3, "")
    async with running(loop_for(settings, sink, RECEIVER, leads_here=lambda alert: True)):
        await publish(settings, alert("a3", minute=3))
        await until(lambda: sink.alerts, "what comes after it arrives")
    assert [one.id for one in sink.alerts] == ["a3"]
    assert "is committed" not in caplog.text


async def test_a_topic_that_is_made_anew_under_a_running_delivery_is_delivered_from_its_beginning(
    settings_with_topics: Settings,
) -> None:
    settings, sink = settings_with_topics, Holding("old2")
    names = [f"old{number}" for number in range(6)]
    await publish(settings, *(alert(name, entity=name, minute=number) for number, name in enumerate(names)))
    async with running(loop_for(settings, sink, RECEIVER)):
        await until(lambda: len(sink.alerts) == 5, "all but the one that is held arrive")
    again = ListSink()
    async with running(loop_for(settings, again, RECEIVER)):
        await until(lambda: again.alerts, "the one that was held arrives")
        assert [one.id for one in again.alerts] == ["old2"]
        await make_anew(settings)
        await publish(settings, *(alert(f"new{number}", minute=number) for number in range(3)))
        await until(lambda: len(again.alerts) == 4, "all of the new topic arrives", deadline_s=120)
        await publish(settings, alert("new3", minute=3))
        await until(lambda: len(again.alerts) == 5, "and what comes after it")
    assert [one.id for one in again.alerts[1:]] == ["new0", "new1", "new2", "new3"]
    assert await committed(settings, RECEIVER) == 4


async def test_offsets_that_go_back_are_of_a_new_topic_and_no_old_alert_is_noted_as_done_in_it() -> None:
    """A consumer that finds its offset gone goes to the beginning by itself: records with lower offsets then come."""

    def record(offset: int, id_: str) -> ConsumerRecord[Any, Any]:
        value, now_ms = encode(alert(id_, entity=id_)), round(time.time() * 1000)
        return ConsumerRecord("alerts", 0, offset, now_ms, 0, None, value, None, 0, len(value), ())

    sink, partition = Holding("held"), TopicPartition("alerts", 0)
    loop = DeliveryLoop(RECEIVER, sink, options={}, group="g", topic="alerts")
    loop._beyond[partition] = Beyond.read(5, "1;5;0")
    loop._take([record(5, "held"), record(6, "was-done")])
    assert loop._progress[partition].commit == (5, "1;2;0")
    loop._take([record(0, "new0"), record(1, "new1")])
    await until(lambda: len(sink.alerts) == 2, "the new ones arrive")
    assert loop._progress[partition].commit == (2, "")
    loop._take([record(2, "new2"), record(3, "new3"), record(4, "new4"), record(5, "new5"), record(6, "new6")])
    await until(lambda: len(sink.alerts) == 7, "also those at offsets that an earlier process had done")
    assert [one.id for one in sink.alerts] == [f"new{number}" for number in range(7)]
    await until(lambda: loop._progress[partition].commit == (7, ""), "all is noted")
    await loop._close_queues()
