"""What the operators decide for all workers: `squall.control` from its beginning, and on as it grows.

No consumer group: each worker reads all of it, as each is to do what it says. Only the latest record of a key counts. A
tombstone takes a silence away; after one of a model or of rules, what is in use stays.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from streams.errors import RecordError
from streams.records import Control, control_key, decode_control, silence_of

_log = logging.getLogger(__name__)

_POLL_MS = 500
_PAUSE_S = 2.0
_READ_WITHIN_S = 30.0


class ControlReader:
    """Reads the control topic.

    Args:
        options: aiokafka client options.
        topic: the control topic, of one partition.
    """

    def __init__(self, options: dict[str, Any], topic: str) -> None:
        self._partition = TopicPartition(topic, 0)
        self._consumer = AIOKafkaConsumer(
            **options, enable_auto_commit=False, auto_offset_reset="earliest", group_id=None
        )

    async def start(self) -> dict[bytes, Control]:
        """Connect, read what stands on the topic, and return the latest record of each key.

        Raises:
            KafkaError: Kafka cannot be reached or does not answer in time.
        """
        await self._consumer.start()
        self._consumer.assign([self._partition])
        await self._consumer.seek_to_beginning(self._partition)
        end = (await self._consumer.end_offsets([self._partition]))[self._partition]
        latest: dict[bytes, Control] = {}
        try:
            async with asyncio.timeout(_READ_WITHIN_S):
                while await self._consumer.position(self._partition) < end:
                    for key, record in await self._poll():
                        if record is None:
                            latest.pop(key, None)
                        else:
                            latest[key] = record
        except TimeoutError:
            msg = f"{self._partition.topic} could not be read to its end within {_READ_WITHIN_S:.0f} s"
            raise KafkaError(msg) from None
        return latest

    async def follow(self, act: Callable[[Control], Awaitable[None]], forget: Callable[[str], Awaitable[None]]) -> None:
        """Act on each record that comes, for ever. An outage of Kafka is waited out.

        Args:
            act: what is to be done about a record.
            forget: about the id of a silence that was taken away.
        """
        while True:
            try:
                records = await self._poll()
            except (KafkaError, OSError) as error:
                _log.warning("cannot read %s: %r", self._partition.topic, error)
                await asyncio.sleep(_PAUSE_S)
                continue
            for key, record in dict(records).items():  # what came before the latest is no longer meant
                if record is not None:
                    await act(record)
                elif name := silence_of(key):
                    await forget(name)

    async def stop(self) -> None:
        """Disconnect."""
        await self._consumer.stop()

    async def _poll(self) -> list[tuple[bytes, Control | None]]:
        """Return keys and records; None for a silence that was taken away."""
        found = await self._consumer.getmany(self._partition, timeout_ms=_POLL_MS)
        records: list[tuple[bytes, Control | None]] = []
        for record in found.get(self._partition, []):
            if record.value is None:
                if record.key is not None and silence_of(record.key) is not None:
                    records.append((record.key, None))
                continue
            try:
                decoded = decode_control(record.value)
            except RecordError as error:
                _log.error("%s@%d is passed over: %s", self._partition.topic, record.offset, error)
                continue
            records.append((control_key(decoded), decoded))
        return records
