"""Reading ahead on a real broker: what was taken and not delivered is never passed over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from aiokafka.errors import KafkaConnectionError
from kafka import KafkaProducer

from streams.app.express import ExpressLane
from streams.app.security import aiokafka_options
from streams.config import Settings
from streams.scoring import RawRecord

pytestmark = pytest.mark.broker


class Lane:
    """A lane whose takes are told what to do, and what they were given."""

    def __init__(self, settings: Settings) -> None:
        self.taken: list[tuple[int, int]] = []
        self.wrong: BaseException | None = None
        self.ended_by: list[BaseException] = []
        self.arrived = asyncio.Event()
        self.lane = ExpressLane(
            aiokafka_options(settings.kafka),
            settings.topics.messages,
            following=lambda: {0: 2, 1: 0},
            take=self._take,
            fatal=self.ended_by.append,
        )
        self.task = asyncio.create_task(self.lane.run())

    async def _take(self, records: Sequence[RawRecord]) -> None:
        self.taken += [(record.partition, record.offset) for record in records]
        self.arrived.set()
        if self.wrong is not None:
            raise self.wrong


@pytest.fixture
async def lane(settings_with_topics: Settings) -> AsyncIterator[Lane]:
    producer = KafkaProducer(**settings_with_topics.kafka.client_options())
    for partition in (0, 1):
        for number in range(5):
            producer.send(settings_with_topics.topics.messages, value=b"%d" % number, partition=partition)
    producer.flush()
    producer.close()
    found = Lane(settings_with_topics)
    yield found
    found.task.cancel()
    await asyncio.gather(found.task, return_exceptions=True)


async def test_it_reads_from_where_the_turn_is_to_the_end_once_it_is_open(lane: Lane) -> None:
    lane.lane.set_open(True)
    async with asyncio.timeout(60):
        while len(lane.taken) < 8:
            lane.arrived.clear()
            await lane.arrived.wait()
        await lane.lane.settled()
    assert sorted(lane.taken) == [(0, offset) for offset in (2, 3, 4)] + [(1, offset) for offset in range(5)]
    assert lane.ended_by == []


@pytest.mark.parametrize(
    "wrong", [KafkaConnectionError(), ConnectionResetError(), TimeoutError(), RuntimeError("defect")]
)
async def test_what_was_taken_and_not_delivered_ends_the_process_and_is_never_settled(
    lane: Lane, wrong: Exception
) -> None:
    lane.wrong = wrong
    lane.lane.set_open(True)
    async with asyncio.timeout(60):
        await lane.arrived.wait()
        await asyncio.gather(lane.task, return_exceptions=True)
    assert lane.ended_by == [wrong]
    settled = asyncio.create_task(lane.lane.settled())
    done, _ = await asyncio.wait([settled], timeout=0.2)
    assert not done
    settled.cancel()
