"""The foremost of very many things, each once: what stays in memory is bounded, however many there are."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Generic, TypeVar

import xxhash

T = TypeVar("T")


class Foremost(Generic[T]):
    """Keeps the things of the highest rank; which they are does not depend on the order in which they come.

    Args:
        most: how many are kept, at least 1.

    Raises:
        ValueError: none are to be kept.
    """

    def __init__(self, most: int) -> None:
        if most < 1:
            raise ValueError(f"at least 1 must be kept, got {most}")
        self.most = most
        self._heap: list[tuple[float, str]] = []
        self._items: dict[str, T] = {}

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[T]:
        """Yield what was kept, in the order in which it came."""
        return iter(self._items.values())

    def add(self, key: str, rank: float, item: T) -> None:
        """Take a thing in, if its rank is high enough; one whose key is there already changes nothing.

        Args:
            key: what it goes by; of equal ranks the greater key goes before.
            rank: the higher, the sooner it is kept.
            item: the thing.
        """
        if key in self._items:
            return
        if len(self._heap) < self.most:
            heapq.heappush(self._heap, (rank, key))
        elif (rank, key) > self._heap[0]:
            del self._items[heapq.heapreplace(self._heap, (rank, key))[1]]
        else:
            return
        self._items[key] = item


def drawn(key: str) -> float:
    """Return a rank that depends on the key alone: the foremost by it are a fair sample of all keys, 0 to 1.

    Under equal keys a thing has an equal rank, so one that was passed over is passed over again, and none counts twice.
    """
    return xxhash.xxh64_intdigest(key.encode("utf-8", "surrogatepass")) / 2**64
