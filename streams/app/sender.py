"""Sends records to Kafka and returns when they are there: nothing is acknowledged before.

A producer of our own beside Faust's: Faust only logs a failed send and commits the offset all the same, and sends one
record at a time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from streams.errors import DeliveryError

_log = logging.getLogger(__name__)

GIVE_UP_AFTER_S = 45.0
"""Under Faust's rebalance timeout of 60 s: a worker that cannot send for so long ends, and starts anew elsewhere."""
_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One record to be sent."""

    topic: str
    value: bytes | None
    key: bytes | None = None
    partition: int | None = None
    """None: by the key."""
    headers: tuple[tuple[str, bytes], ...] = ()


class Sender:
    """An idempotent producer that waits for all replicas, and tries again while the broker is away.

    Args:
        options: aiokafka client options.
        give_up_after_s: how long a batch may take in all.
    """

    def __init__(self, options: dict[str, Any], *, give_up_after_s: float = GIVE_UP_AFTER_S) -> None:
        self._options = options
        self._give_up_after_s = give_up_after_s
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Connect. Raises KafkaError if no broker answers."""
        self._producer = AIOKafkaProducer(
            **self._options,
            client_id="squall",
            acks="all",
            enable_idempotence=True,
            linger_ms=2,
            max_batch_size=262_144,
            max_request_size=4 * 1_048_576,
            compression_type="lz4",
            request_timeout_ms=20_000,
        )
        await self._producer.start()

    async def stop(self) -> None:
        """Disconnect, after what is under way."""
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await producer.stop()

    async def send(self, records: Sequence[Outgoing]) -> None:
        """Send records and return when Kafka has them all. Of one partition, their order is kept.

        Raises:
            DeliveryError: it did not work for `give_up_after_s`; some of them may be there.
        """
        deadline = time.monotonic() + self._give_up_after_s
        left = list(records)
        while left:
            failed = await self._try(left)
            if failed is None:
                return
            left, error = failed
            if isinstance(error, MessageSizeTooLargeError) or time.monotonic() > deadline:
                topics = ", ".join(sorted({record.topic for record in left}))
                msg = f"{len(left)} records could not be sent to {topics}: {error!r}. Is Kafka up, and is there room?"
                raise DeliveryError(msg)
            _log.warning("%d of %d records were not sent (%r); trying again", len(left), len(records), error)
            await asyncio.sleep(_PAUSE_S)

    async def _try(self, records: Sequence[Outgoing]) -> tuple[list[Outgoing], BaseException] | None:
        if self._producer is None:
            msg = "the sender is not started"
            raise DeliveryError(msg)
        futures: list[asyncio.Future[Any]] = []
        error: BaseException | None = None
        for record in records:
            try:
                futures.append(
                    await self._producer.send(
                        record.topic,
                        value=record.value,
                        key=record.key,
                        partition=record.partition,
                        headers=list(record.headers),
                    )
                )
            except KafkaError as failure:  # no connection, or no room: what was queued may still go
                error = failure
                break
        results = await asyncio.gather(*futures, return_exceptions=True)
        for position, result in enumerate(results):
            if isinstance(result, BaseException):
                if not isinstance(result, KafkaError):
                    raise result
                return list(records[position:]), result  # from the first failure on, to keep their order
        return None if error is None else (list(records[len(futures) :]), error)
