"""Which open bin closes next: those of all companies by the watermark, those of watched companies by theirs.

A company may come onto a watch list, and leave it, while bins of it are open. Its bins close oldest first all the
same: with the first mention that says that it is watched, all of them may close ahead. What has closed is passed over
wherever it still stands.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping

from streams.monitor.bins import BIN_MS, bin_end
from streams.monitor.state import EntityState

End = tuple[int, str]
"""End of a bin, ms since the epoch, and its company."""


class _Ends:
    """Ends of bins, each once, however often it is put in."""

    def __init__(self) -> None:
        self.heap: list[End] = []
        self._within: set[End] = set()

    def put(self, end: End) -> None:
        if end not in self._within:
            self._within.add(end)
            heapq.heappush(self.heap, end)

    def take(self) -> End:
        end = heapq.heappop(self.heap)
        self._within.discard(end)
        return end


class DueBins:
    """The open bins of all companies of a partition, in the order in which they close.

    A bin that was taken must be closed before the next one is asked for.

    Args:
        entities: what is known of each company, with its open bins; another's, which goes on changing.
    """

    def __init__(self, entities: Mapping[str, EntityState]) -> None:
        self._entities = entities
        self._of_all = _Ends()
        self._watched = _Ends()
        self.count = 0
        """Bins that were opened and were not taken."""

    def opened(self, state: EntityState, start_ms: int) -> None:
        """Take note that a bin of a company was opened."""
        self.count += 1
        (self._watched if state.watched else self._of_all).put((bin_end(start_ms), state.entity))

    def watch(self, state: EntityState) -> None:
        """Take note that a company has come onto a watch list: what is open of it may close ahead too."""
        for start_ms in state.open:
            self._watched.put((bin_end(start_ms), state.entity))

    def take(self, watermark_ms: int, ahead_ms: int) -> End | None:
        """Take the next bin to close, in the order of event time; None when none is due.

        Args:
            watermark_ms: up to where bins of all companies close, in ms since the epoch.
            ahead_ms: up to where those of watched companies do; not before `watermark_ms`.
        """
        while True:
            of_all, watched = self._first(self._of_all, watermark_ms), self._first(self._watched, ahead_ms)
            if watched is None or (of_all is not None and of_all < watched):
                if of_all is not None:
                    self._of_all.take()
                    self.count -= 1
                return of_all
            self._watched.take()
            if watched[0] <= watermark_ms or self._entities[watched[1]].watched:
                self.count -= 1
                return watched
            self._of_all.put(watched)  # it has left the watch list, and waits as all others do

    def _first(self, ends: _Ends, until_ms: int) -> End | None:
        """Return the least end of a bin that is still open, where it is due; what has closed goes."""
        heap = ends.heap
        while heap and heap[0][0] <= until_ms:
            end_ms, name = heap[0]
            if end_ms - BIN_MS in self._entities[name].open:
                return heap[0]
            ends.take()
        return None
