"""The latest values of something, as a histogram: each new one drives the oldest out."""

from __future__ import annotations

from array import array


class HistogramWindow:
    """A ring of bin numbers and the histogram over it. The memory it takes is fixed: two bytes a value.

    Args:
        bins: bins of the histogram, at most 65,536.
        size: values that are kept.

    Raises:
        ValueError: one of them is out of bounds.
    """

    def __init__(self, bins: int, size: int) -> None:
        if not 1 <= bins <= 1 << 16 or size < 1:
            msg = f"a window needs 1 to 65,536 bins and room for 1 value at least, got {bins} and {size}"
            raise ValueError(msg)
        self._ring = array("H", bytes(2 * size))
        self._counts = [0] * bins
        self._next = 0
        self._held = 0

    def __len__(self) -> int:
        return self._held

    @property
    def counts(self) -> tuple[int, ...]:
        """Values in each bin."""
        return tuple(self._counts)

    def add(self, bin_: int) -> None:
        """Take a value in, and the oldest out if there is no room.

        Raises:
            IndexError: there is no such bin.
        """
        if not 0 <= bin_ < len(self._counts):
            msg = f"there are {len(self._counts)} bins, and no bin {bin_}"
            raise IndexError(msg)
        if self._held == len(self._ring):
            self._counts[self._ring[self._next]] -= 1
        else:
            self._held += 1
        self._ring[self._next] = bin_
        self._counts[bin_] += 1
        self._next = (self._next + 1) % len(self._ring)
