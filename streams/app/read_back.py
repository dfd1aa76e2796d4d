"""What earlier processes have told a receiver: the alerts topic, read up to where its group has committed.

Nothing is stored for it: a topic and the group's offsets say it all. No group is joined and nothing is committed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from streams.app.delivery_progress import Beyond

_log = logging.getLogger(__name__)

_POLL_MS = 500
_LOOKS = 4
_LOOK_AGAIN_S = 0.5
"""A broker that has just begun to lead a partition may name an old end for a moment."""


@dataclass(frozen=True, slots=True)
class Past:
    """Where a group stands on one partition."""

    position: int
    beyond: Beyond | None
    """None if the topic was made anew since: then the position is 0, and nothing of it is done."""


async def read_back(
    options: dict[str, Any],
    *,
    group: str,
    partitions: Collection[TopicPartition],
    since_s: float | None,
    on_record: Callable[[ConsumerRecord], None],
    goes_on: Callable[[], bool],
) -> dict[TopicPartition, Past]:
    """Read what lies before the committed offsets, and return these; a partition without any is not among them.

    An offset beyond the end of its partition is of a topic that is gone: it says nothing of the one that is there.

    Args:
        options: aiokafka client options.
        group: the consumer group.
        partitions: of the alerts topic.
        since_s: records that Kafka had before this time are left out, Unix time; None leaves out all.
        on_record: is given each record, partition by partition in order.
        goes_on: asked from time to time; once it says no, what was read so far is all.

    Raises:
        KafkaError: the broker went away.
    """
    past = {
        partition: found for partition, found in (await _committed(options, group)).items() if partition in partitions
    }
    behind = [partition for partition, found in past.items() if found.position > 0]
    if not behind:
        return past
    consumer = AIOKafkaConsumer(
        **options, client_id="squall-read-back", enable_auto_commit=False, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        for partition in await _beyond_the_end(consumer, past, behind):
            past[partition] = Past(0, None)
            behind.remove(partition)
        if not behind or since_s is None:
            return past
        consumer.assign(behind)
        starts = await consumer.offsets_for_times(dict.fromkeys(behind, max(0, round(since_s * 1000))))
        left: set[TopicPartition] = set()
        for partition in behind:
            start = starts.get(partition)
            if start is None or start.offset >= past[partition].position:
                consumer.pause(partition)  # all of it is older, or nothing of it is done
                continue
            consumer.seek(partition, start.offset)
            left.add(partition)
        while left and goes_on():
            for partition, records in (await consumer.getmany(timeout_ms=_POLL_MS)).items():
                for record in records:
                    if record.offset < past[partition].position:
                        on_record(record)
            for partition in list(left):
                if await consumer.position(partition) >= past[partition].position:
                    consumer.pause(partition)
                    left.discard(partition)
    finally:
        await consumer.stop()
    return past


async def _beyond_the_end(
    consumer: AIOKafkaConsumer, past: dict[TopicPartition, Past], partitions: Collection[TopicPartition]
) -> list[TopicPartition]:
    """Return the partitions that end before what is committed of them, and say so in the log."""
    ends: dict[TopicPartition, int] = {}
    odd = list(partitions)
    for look in range(_LOOKS):
        if look:
            await asyncio.sleep(_LOOK_AGAIN_S)
        ends |= await consumer.end_offsets(odd)
        odd = [partition for partition in odd if past[partition].position > ends[partition]]
        if not odd:
            break
    for partition in odd:
        _log.error(
            "%s[%d] ends at %d, but %d is committed: the topic was made anew or cut off since; it is delivered from its"
            " beginning",
            partition.topic,
            partition.partition,
            ends[partition],
            past[partition].position,
        )
    return odd


async def _committed(options: dict[str, Any], group: str) -> dict[TopicPartition, Past]:
    admin = AIOKafkaAdminClient(**options, client_id="squall-read-back")
    await admin.start()
    try:
        found = await admin.list_consumer_group_offsets(group)
    finally:
        await admin.close()
    return {
        partition: Past(one.offset, Beyond.read(one.offset, one.metadata or ""))
        for partition, one in found.items()
        if one.offset >= 0
    }
