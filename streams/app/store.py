"""The monitor's state in a Faust table: its changelog on Kafka is the truth, the dictionary a copy of it.

Two things differ from Faust's table. A key begins with its partition, because a batch spans several of them and Faust
would take the partition of whatever event is current. And the changelog is written by our own sender, so that it can
be waited for: Faust only logs a failed write.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import faust

from streams.app.layout import full_key, split_key
from streams.app.sender import Outgoing


class StateTable(faust.Table[bytes, bytes]):
    """A table of bytes to bytes whose writes are collected, to be sent by `unsent`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._unsent: list[Outgoing] = []

    def partition_for_key(self, key: bytes) -> int:
        """Return the partition that the key begins with."""
        return split_key(key)[0]

    def on_key_set(self, key: bytes, value: bytes) -> None:
        """Note a write for the changelog."""
        self._unsent.append(Outgoing(self.changelog_topic_name, value, key, self.partition_for_key(key)))

    def on_key_del(self, key: bytes) -> None:
        """Note a deletion for the changelog."""
        self._unsent.append(Outgoing(self.changelog_topic_name, None, key, self.partition_for_key(key)))

    def unsent(self) -> list[Outgoing]:
        """Return the changelog records of all writes since the last call, in order."""
        unsent, self._unsent = self._unsent, []
        return unsent

    def save(self, partition: int, key: str, value: bytes | None) -> None:
        """Set one key of a partition, or delete it if the value is None."""
        full = full_key(partition, key)
        if value is not None:
            self[full] = value
        elif full in self:
            del self[full]

    def saved(self, partition: int) -> Iterator[tuple[str, bytes]]:
        """Yield everything that is saved of a partition."""
        prefix = full_key(partition, "")
        for full, value in list(self.items()):
            if full.startswith(prefix):
                yield full[len(prefix) :].decode(), value
