"""Alerts that a receiver did not take go to the dead letters, before their offset is committed: nothing is lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiokafka import TopicPartition

from streams import __version__
from streams.app.sender import Outgoing, Sender
from streams.records import Alert, DeadLetter, encode

Keep = Callable[[Alert, TopicPartition, int, str, str], Awaitable[None]]
"""(alert, partition of the alerts topic, offset, receiver, why): returns when Kafka has it; raises DeliveryError."""

_MOST_DETAIL = 1_000


def keeper(sender: Sender, topic: str) -> Keep:
    """Return what keeps alerts among the dead letters.

    Args:
        sender: takes them there.
        topic: of the dead letters.
    """

    async def keep(alert: Alert, partition: TopicPartition, offset: int, receiver: str, why: str) -> None:
        letter = DeadLetter(
            value=encode(alert),
            key=alert.id.encode(),
            reason="undelivered",
            detail=why[:_MOST_DETAIL],
            topic=partition.topic,
            partition=partition.partition,
            offset=offset,
            refused_by=f"squall {__version__}",
            receiver=receiver,
        )
        await sender.send([Outgoing(topic, letter.value, key=letter.key, headers=tuple(letter.headers()))])

    return keep
