"""Sends records to Kafka and returns when they are there: nothing is acknowledged before.

A producer of our own beside Faust's: Faust only logs a failed send and commits the offset all the same, and sends one
record at a time. Records go by the batch, which costs the event loop a sixth of what single ones do.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, OutOfOrderSequenceNumber
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.producer.message_accumulator import BatchBuilder

from streams.errors import DeliveryError

_log = logging.getLogger(__name__)

GIVE_UP_AFTER_S = 45.0
"""Under Faust's rebalance timeout of 60 s: a worker that cannot send for so long ends, and starts anew elsewhere."""
_PAUSE_S = 1.0
_MAX_REQUEST_BYTES = 4 * 1_048_576
_by_key = DefaultPartitioner()


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
        self._producer = await self._connect()

    async def _connect(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **self._options,
            client_id="squall",
            acks="all",
            enable_idempotence=True,
            linger_ms=2,
            max_batch_size=262_144,
            max_request_size=_MAX_REQUEST_BYTES,
            compression_type="lz4",
            request_timeout_ms=20_000,
        )
        await producer.start()
        return producer

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
            used = self._producer
            failed = await self._try(left)
            if failed is None:
                return
            left, error = failed
            if isinstance(error, MessageSizeTooLargeError) or time.monotonic() > deadline:
                topics = ", ".join(sorted({record.topic for record in left}))
                msg = f"{len(left)} records could not be sent to {topics}: {error!r}. Is Kafka up, and is there room?"
                raise DeliveryError(msg)
            _log.warning("%d of %d records were not sent (%r); trying again", len(left), len(records), error)
            if isinstance(error, OutOfOrderSequenceNumber):
                await self._renew(used)
            else:
                await asyncio.sleep(_PAUSE_S)

    async def _renew(self, used: AIOKafkaProducer | None) -> None:
        """Go on with another producer.

        An idempotent producer numbers its batches, and aiokafka 0.14 counts those that it has given up too: after one
        of them Kafka refuses all that follow on the partition, for as long as the producer lives. What it had under way
        may come twice, which readers bear.
        """
        if used is None or used is not self._producer:
            return  # another sender was first, or all is over
        try:
            fresh = await self._connect()
        except (KafkaError, OSError) as error:
            _log.warning("cannot connect anew (%r); trying again", error)
            await asyncio.sleep(_PAUSE_S)
            return
        if used is self._producer:
            self._producer = fresh
            await used.stop()
        else:
            await fresh.stop()

    async def _try(self, records: Sequence[Outgoing]) -> tuple[list[Outgoing], BaseException] | None:
        """Send all once; return the records that Kafka may not have, in order, and the first error."""
        if self._producer is None:
            msg = "the sender is not started"
            raise DeliveryError(msg)
        batches: list[_Batch] = []
        futures: list[asyncio.Future[Any]] = []
        error: BaseException | None = None
        try:
            batches = self._batches(records, await self._partitions(records))
            for batch in batches:
                partition = batch.target.partition
                futures.append(await self._producer.send_batch(batch.builder, batch.target.topic, partition=partition))
        except KafkaError as failure:  # no connection, or no room: what was queued may still go
            error = failure
            if not batches:
                return list(records), error
        results: list[Any] = await asyncio.gather(*futures, return_exceptions=True)
        results += [error] * (len(batches) - len(results))
        return _left(records, batches, results)

    async def _partitions(self, records: Sequence[Outgoing]) -> dict[str, list[int]]:
        """Return the partitions of all topics that records go to."""
        assert self._producer is not None  # noqa: S101  # the caller looked
        topics = dict.fromkeys(record.topic for record in records)
        return {topic: sorted(await self._producer.partitions_for(topic)) for topic in topics}

    def _batches(self, records: Sequence[Outgoing], partitions: Mapping[str, list[int]]) -> list[_Batch]:
        """Pack records by partition. A record of its own, with a future of its own, costs the loop six times as much.

        Raises:
            MessageSizeTooLargeError: no request can hold one of the records.
        """
        assert self._producer is not None  # noqa: S101  # the caller looked
        batches: list[_Batch] = []
        open_batches: dict[tuple[str, int], _Batch] = {}
        for position, record in enumerate(records):
            _require_room(record)
            partition = record.partition
            if partition is None:
                partition = _partition(record.key, tuple(partitions[record.topic]))
            place = (record.topic, partition)
            batch = open_batches.get(place)
            if batch is None or not batch.add(position, record):
                batch = open_batches[place] = _Batch(self._producer.create_batch(), TopicPartition(*place))
                batches.append(batch)
                batch.add(position, record)  # an empty one takes any record
        for batch in batches:
            batch.builder.close()  # complete: it need not linger
        return batches


@dataclass(slots=True)
class _Batch:
    """Records of one partition that travel together."""

    builder: BatchBuilder
    target: TopicPartition
    positions: list[int] = field(default_factory=list)

    def add(self, position: int, record: Outgoing) -> bool:
        """Append a record; False if there is no room."""
        fitted = self.builder.append(timestamp=None, key=record.key, value=record.value, headers=list(record.headers))
        if fitted is not None:
            self.positions.append(position)
        return fitted is not None


def _left(
    records: Sequence[Outgoing], batches: Sequence[_Batch], results: Sequence[Any]
) -> tuple[list[Outgoing], BaseException] | None:
    """Of each partition all records from its first failed batch on, to keep their order; and the first error."""
    failed: set[TopicPartition] = set()
    positions: list[int] = []
    first: BaseException | None = None
    for batch, result in zip(batches, results, strict=True):
        if isinstance(result, BaseException):
            if not isinstance(result, KafkaError):
                raise result
            first = first or result
            failed.add(batch.target)
        if batch.target in failed:
            positions += batch.positions
    return None if first is None else ([records[position] for position in sorted(positions)], first)


def _require_room(record: Outgoing) -> None:
    size = (
        len(record.value or b"") + len(record.key or b"") + sum(len(name) + len(data) for name, data in record.headers)
    )
    if size > _MAX_REQUEST_BYTES:
        msg = f"a record of {size} bytes for {record.topic}: a request holds {_MAX_REQUEST_BYTES}"
        raise MessageSizeTooLargeError(msg)


@lru_cache(maxsize=65_536)
def _keyed_partition(key: bytes, partitions: tuple[int, ...]) -> int:
    """Hash a key as every Kafka client does; there are few keys, and the hash is in Python."""
    return int(_by_key(key, partitions, partitions))


def _partition(key: bytes | None, partitions: tuple[int, ...]) -> int:
    """Return the partition of a record that names none: by its key, or any."""
    return _keyed_partition(key, partitions) if key is not None else int(_by_key(None, partitions, partitions))
