"""What waits on Kafka: end offsets against committed offsets, read beside Faust's own consumer.

Faust's figures stand still when its consumer dies, which is just when they are needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient


@dataclass(frozen=True, slots=True)
class Position:
    """Where one partition stands."""

    committed: int
    """The next offset that the group would read."""
    end: int

    @property
    def waiting(self) -> int:
        """Records that are not done."""
        return max(0, self.end - self.committed)


class OffsetReader:
    """Reads the positions of one consumer group on one topic.

    Args:
        options: aiokafka client options.
        group: the consumer group.
        topic: the topic.
        partitions: how many partitions it has.
    """

    def __init__(self, options: dict[str, Any], *, group: str, topic: str, partitions: int) -> None:
        self._options = options
        self._group = group
        self._partitions = [TopicPartition(topic, number) for number in range(partitions)]
        self._consumer: AIOKafkaConsumer | None = None
        self._admin: AIOKafkaAdminClient | None = None

    async def start(self) -> None:
        """Connect. Raises KafkaError if no broker answers."""
        self._consumer = AIOKafkaConsumer(**self._options, client_id="squall-offsets", enable_auto_commit=False)
        await self._consumer.start()
        self._admin = AIOKafkaAdminClient(**self._options, client_id="squall-offsets")
        await self._admin.start()

    async def stop(self) -> None:
        """Disconnect."""
        if self._admin is not None:
            await self._admin.close()
        if self._consumer is not None:
            await self._consumer.stop()
        self._admin = self._consumer = None

    async def read(self) -> dict[int, Position]:
        """Return the position of every partition. Raises KafkaError while the broker is away."""
        if self._consumer is None or self._admin is None:
            msg = "the offset reader is not started"
            raise RuntimeError(msg)
        ends = await self._consumer.end_offsets(self._partitions)
        starts = await self._consumer.beginning_offsets(self._partitions)
        committed = await self._admin.list_consumer_group_offsets(self._group)
        positions = {}
        for partition in self._partitions:
            found = committed.get(partition)
            # A group that never committed starts at the oldest record that there is.
            done = found.offset if found is not None and found.offset >= 0 else starts[partition]
            positions[partition.partition] = Position(committed=max(done, starts[partition]), end=ends[partition])
        return positions
