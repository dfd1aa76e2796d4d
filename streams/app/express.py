"""Reads ahead of the scorer's own consumer while messages wait too long, so that watched companies need not wait.

A partition is read in order and done in order. Under overload a message about a company on a watch list stands behind
thousands of others, however quickly each of them is answered. So a second consumer, of no group, reads on from where
the first one is, up to the end; what is about a watched company is scored and delivered at once, and the rest is
passed over until its turn comes. Nothing is committed here: what was taken ahead is read again in its turn, found
done, and acknowledged then. After a crash in between it is scored again, and the monitor counts it once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from streams.app.apps import Fatal
from streams.app.right_of_way import RightOfWay
from streams.scoring import RawRecord

_log = logging.getLogger(__name__)

_POLL_MS = 100
_MOST_RECORDS = 8_192
"""Read at once. It takes turns with the scorer's batches, so what is behind catches up by reading more at a time."""
_PAUSE_S = 2.0

Take = Callable[[Sequence[RawRecord]], Awaitable[None]]
"""Takes from records what is about watched companies, and returns when that is delivered."""


class ExpressLane:
    """Reads ahead while it is told to.

    Args:
        options: aiokafka client options.
        topic: the messages topic.
        following: by partition of this process, the offset whose turn is next.
        take: called with what was read.
        fatal: ends the process: what was taken and not delivered would be passed over in its turn.
        way: what it takes goes before what is in turn.
    """

    def __init__(
        self,
        options: Mapping[str, Any],
        topic: str,
        *,
        following: Callable[[], dict[int, int]],
        take: Take,
        fatal: Fatal,
        way: RightOfWay | None = None,
    ) -> None:
        self._way = way or RightOfWay()
        self._options = options
        self._topic = topic
        self._following = following
        self._take = take
        self._fatal = fatal
        self._is_broken = False
        self._open = asyncio.Event()
        self._under_way = asyncio.Lock()
        self._read: dict[int, int] = {}

    @property
    def is_open(self) -> bool:
        """Whether it reads ahead."""
        return self._open.is_set()

    def set_open(self, is_open: bool) -> None:
        """Say whether it is to read ahead."""
        if is_open:
            self._open.set()
        else:
            self._open.clear()

    async def settled(self) -> None:
        """Return when what was taken so far is delivered; never, if it was not: nothing may be acknowledged then."""
        async with self._under_way:
            if self._is_broken:
                await asyncio.Event().wait()

    async def run(self) -> None:
        """Read ahead whenever it is open, for ever. While Kafka does not answer, all is left to its turn.

        Raises:
            Exception: what was taken could neither be scored nor be delivered, and `fatal` has let it pass.
        """
        while not self._is_broken:
            await self._open.wait()
            consumer = AIOKafkaConsumer(
                **self._options,
                client_id="squall-express",
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="earliest",  # what retention has taken is passed over, and not all that came since
            )
            try:
                await consumer.start()
                await self._read_ahead(consumer)
            except (KafkaError, OSError) as error:
                _log.warning("cannot read ahead on %s (%r); watched companies wait their turn", self._topic, error)
                await asyncio.sleep(_PAUSE_S)
            finally:
                await consumer.stop()

    async def _read_ahead(self, consumer: AIOKafkaConsumer) -> None:
        self._read = {}
        while self._open.is_set():
            await self._follow(consumer)
            if not self._read:
                await asyncio.sleep(_POLL_MS / 1000)  # nothing has been read in turn: nobody waits behind it
                continue
            found = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_MOST_RECORDS)
            records = [_raw(record) for some in found.values() for record in some]
            for record in records:
                self._read[record.partition] = record.offset + 1
            if records:
                async with self._way.taken(), self._under_way:
                    await self._take_or_end(records)

    async def _take_or_end(self, records: Sequence[RawRecord]) -> None:
        try:
            await self._take(records)
        except BaseException as error:
            self._is_broken = True
            if isinstance(error, Exception):
                # At once, and while nobody can acknowledge what was taken; the next process finds it in its turn.
                self._fatal(error)
            raise

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        """Read the partitions that are this process's now, from where their turn is unless further on already."""
        following = self._following()
        if following.keys() == self._read.keys():
            return
        self._read = {number: max(offset, self._read.get(number, 0)) for number, offset in following.items()}
        consumer.assign([TopicPartition(self._topic, number) for number in self._read])
        for number, offset in self._read.items():
            consumer.seek(TopicPartition(self._topic, number), offset)


def _raw(record: ConsumerRecord) -> RawRecord:
    return RawRecord(
        partition=record.partition,
        offset=record.offset,
        key=record.key,
        value=record.value,
        received_at=datetime.fromtimestamp(record.timestamp / 1000, tz=UTC),
    )
