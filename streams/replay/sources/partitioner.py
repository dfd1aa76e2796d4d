"""Which partition a key goes to: Kafka's own choice, so that a path in memory splits a stream as a cluster does."""

from __future__ import annotations

from kafka.partitioner.default import murmur2


def partition_of(key: str, partitions: int) -> int:
    """Return the partition that Kafka's clients choose for a key: an entity's mentions, a source's messages."""
    return int(murmur2(key.encode()) & 0x7FFFFFFF) % partitions
