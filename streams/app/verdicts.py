"""What the desk says: `squall.labels` from now on, for the model that is under watch.

No consumer group and nothing committed: each scorer hears all verdicts, as none knows which messages it scored itself.
What was said before the worker began is about answers that it does not remember, so it is not read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from streams.errors import RecordError
from streams.records import Verdict, decode_verdict
from streams.verdicts import Subject, subject_of

_log = logging.getLogger(__name__)

_POLL_MS = 500
_PAUSE_S = 2.0

Said = Verdict | Subject | str
"""A verdict; or of one that was taken back whose it was and on what, or the message's id where the key says no more."""


class VerdictReader:
    """Reads the labels topic.

    Args:
        options: aiokafka client options.
        topic: the labels topic, of one partition.
    """

    def __init__(self, options: dict[str, Any], topic: str) -> None:
        self._options = options
        self._partition = TopicPartition(topic, 0)
        self._next: int | None = None

    async def follow(self, act: Callable[[Sequence[Said]], None]) -> None:
        """Hand on what is said, for ever. An outage of Kafka is waited out, and nothing said meanwhile is missed."""
        while True:
            try:
                await self._follow(act)
            except (KafkaError, OSError) as error:
                _log.warning("cannot read %s: %r", self._partition.topic, error)
            await asyncio.sleep(_PAUSE_S)

    async def _follow(self, act: Callable[[Sequence[Said]], None]) -> None:
        consumer = AIOKafkaConsumer(
            **self._options, enable_auto_commit=False, auto_offset_reset="earliest", group_id=None
        )
        try:
            await consumer.start()
            consumer.assign([self._partition])
            if self._next is None:
                self._next = (await consumer.end_offsets([self._partition]))[self._partition]
            consumer.seek(self._partition, self._next)
            while True:
                found = await consumer.getmany(self._partition, timeout_ms=_POLL_MS)
                records = found.get(self._partition, [])
                if records:
                    act([said for record in records if (said := self._said(record)) is not None])
                    self._next = records[-1].offset + 1
        finally:
            await consumer.stop()

    def _said(self, record: Any) -> Said | None:
        if record.value is None:
            if record.key is None:
                return None
            # Somebody else's producer may have a key of its own: the message's id, most likely.
            return subject_of(record.key) or str(record.key, "utf-8", "replace")
        try:
            return decode_verdict(record.value)
        except RecordError as error:
            _log.error("%s@%d is passed over: %s", self._partition.topic, record.offset, error)
            return None
