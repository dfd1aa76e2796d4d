"""Publishes at a rate that is kept whatever the worker does: an open loop, which a slow worker cannot slow down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

from deploy.bench.mixed_feed import Row
from streams.app.security import aiokafka_options
from streams.app.sender import Outgoing, Sender
from streams.config import Settings

MakeRow = Callable[[int], Row]
"""Makes the message of a number; called when it is due."""

_MOST_AT_ONCE = 1_000
"""Messages that are sent together where the publisher has fallen behind."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time at one rate.

    Attributes:
        per_s: messages per second, above 0.
        seconds: how long.
    """

    per_s: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Offered:
    """What was published in one stretch.

    Attributes:
        first, last: numbers of the messages, the last not included.
        began_ms, ended_ms: Unix time in milliseconds.
        late_s: the longest that a message came after its time.
    """

    first: int
    last: int
    began_ms: int
    ended_ms: int
    late_s: float

    @property
    def per_s(self) -> float:
        """Messages per second that really went out."""
        return (self.last - self.first) / max(1e-3, (self.ended_ms - self.began_ms) / 1000)


def offer(settings: Settings, make: MakeRow, stretch: Stretch, *, first: int = 0, lump_s: float = 0.05) -> Offered:
    """Publish messages for a while, and return when Kafka has them all.

    A message goes to the partition of its number, so that a repeat follows the one that it repeats.

    Args:
        settings: where to.
        make: makes the messages.
        stretch: how many and for how long.
        first: number of the first message.
        lump_s: what is due is looked for this often, and sent together.

    Raises:
        DeliveryError: Kafka does not take them.
    """
    return asyncio.run(_offer(settings, make, stretch, first, lump_s))


def publish_rows(settings: Settings, topic: str, partitions: int, rows: Iterable[Row]) -> None:
    """Publish rows to a topic as fast as it goes, and return when Kafka has them all. Raises DeliveryError."""
    asyncio.run(_publish(settings, topic, partitions, rows))


async def _offer(settings: Settings, make: MakeRow, stretch: Stretch, first: int, lump_s: float) -> Offered:
    topics = settings.topics
    sender = Sender(aiokafka_options(settings.kafka))
    await sender.start()
    try:
        began_ms, began_s = time.time_ns() // 1_000_000, time.monotonic()
        number, last, late_s = first, first + round(stretch.per_s * stretch.seconds), 0.0
        while number < last:
            elapsed_s = time.monotonic() - began_s
            due = min(last, first + int(elapsed_s * stretch.per_s), number + _MOST_AT_ONCE)
            if due <= number:
                await asyncio.sleep(lump_s)
                continue
            late_s = max(late_s, elapsed_s - (number - first) / stretch.per_s)
            rows = [make(at) for at in range(number, due)]
            number = due
            await sender.send([_outgoing(row, topics.messages, topics.message_partitions) for row in rows])
        return Offered(first, last, began_ms, time.time_ns() // 1_000_000, late_s)
    finally:
        await sender.stop()


async def _publish(settings: Settings, topic: str, partitions: int, rows: Iterable[Row]) -> None:
    sender = Sender(aiokafka_options(settings.kafka))
    await sender.start()
    try:
        left = iter(rows)
        while some := list(islice(left, _MOST_AT_ONCE)):
            await sender.send([_outgoing(row, topic, partitions) for row in some])
    finally:
        await sender.stop()


def _outgoing(row: Row, topic: str, partitions: int) -> Outgoing:
    return Outgoing(topic, row.value, row.key, partition=row.number % partitions, headers=row.headers)
