"""Two lanes before the network, and when a batch is due: pure, tested without a model or a clock.

What is on a watch list goes first, and the rest keeps a floor of every batch, so that it cannot starve: however many
watched texts wait, the first of the others goes with the next batch.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Waiting(Generic[T]):
    """Something that waits to be scored."""

    item: T
    cost: int
    """Tokens, about; at least 1."""
    since_s: float
    """When it came, on the caller's monotonic clock."""


class LaneQueue(Generic[T]):
    """What waits, in two lanes, each first in first out.

    Args:
        budget: cost of a full batch, at least 1; something that alone costs more is a batch of its own.
        max_delay_s: the longest that something waits for its batch to fill, not below 0.
        floor: share of a batch, above 0 and below 1, that the others have while watched ones wait.

    Raises:
        ValueError: an argument is out of bounds.
    """

    def __init__(self, *, budget: int, max_delay_s: float, floor: float = 0.25) -> None:
        if budget < 1 or max_delay_s < 0 or not 0 < floor < 1:
            msg = f"needs budget >= 1, max_delay_s >= 0 and 0 < floor < 1, got {budget}, {max_delay_s} and {floor}"
            raise ValueError(msg)
        self._budget = budget
        self._max_delay_s = max_delay_s
        self._floor = floor
        self._watched: deque[Waiting[T]] = deque()
        self._others: deque[Waiting[T]] = deque()
        self._costs = {True: 0, False: 0}  # of what waits, watched and not

    def __len__(self) -> int:
        return len(self._watched) + len(self._others)

    @property
    def cost(self) -> int:
        """Of all that waits."""
        return sum(self._costs.values())

    def put(self, item: T, *, cost: int, watched: bool, now_s: float) -> None:
        """Let something wait. Times never go back."""
        (self._watched if watched else self._others).append(Waiting(item, max(1, cost), now_s))
        self._costs[watched] += max(1, cost)

    def due_at_s(self) -> float | None:
        """When the next batch is due if nothing more comes; None if nothing waits."""
        if not len(self):
            return None
        oldest = min(lane[0].since_s for lane in (self._watched, self._others) if lane)
        return oldest if self.cost >= self._budget else oldest + self._max_delay_s

    def take(self, now_s: float) -> list[T]:
        """Return the next batch if it is due, otherwise nothing."""
        due = self.due_at_s()
        if due is None or now_s < due:
            return []
        batch: list[T] = []
        kept = min(self._floor * self._budget, self._costs[False])
        used = self._fill(batch, self._budget - kept, watched=True, first=True)
        # The first of the others goes in any case: something that costs more than the floor would wait for ever.
        used += self._fill(batch, self._budget - used, watched=False, first=True)
        self._fill(batch, self._budget - used, watched=True, first=False)
        return batch

    def _fill(self, batch: list[T], room: float, *, watched: bool, first: bool) -> int:
        """Move from the head of a lane what fits, with `first` its head whether it fits or not, and return its cost."""
        lane = self._watched if watched else self._others
        used = 0
        while lane and (used + lane[0].cost <= room or (first and not used)):
            waiting = lane.popleft()
            used += waiting.cost
            batch.append(waiting.item)
        self._costs[watched] -= used
        return used
