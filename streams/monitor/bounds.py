"""A number and the side of it that counts: `gte`, `gt`, `lte`, `lt`, of what fires and of what ends an alert."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

Side = Literal["gte", "gt", "lte", "lt"]
SIDES: tuple[Side, ...] = get_args(Side)
_OTHER: dict[Side, Side] = {"gte": "lt", "gt": "lte", "lte": "gt", "lt": "gte"}
_WORDS: dict[Side, str] = {"gte": "at least", "gt": "above", "lte": "at most", "lt": "below"}


class Bound(NamedTuple):
    """A bound that a value passes or does not."""

    side: Side
    value: float

    @property
    def is_upward(self) -> bool:
        """Whether more is what it asks for."""
        return self.side in ("gte", "gt")

    @property
    def opposite(self) -> Bound:
        """What is met exactly where this one is not."""
        return Bound(_OTHER[self.side], self.value)

    @property
    def words(self) -> str:
        """`at least`, `above`, `at most`, `below`."""
        return _WORDS[self.side]

    def met(self, value: float) -> bool:
        """Whether a value is on the side that is asked for."""
        if self.side == "gte":
            return value >= self.value
        if self.side == "gt":
            return value > self.value
        return value <= self.value if self.side == "lte" else value < self.value


def bound_of(gte: float | None, gt: float | None, lte: float | None, lt: float | None) -> Bound | None:
    """Return the first bound that is given; None if none is. That there is only one is checked where rules are read."""
    for side, value in zip(SIDES, (gte, gt, lte, lt), strict=True):
        if value is not None:
            return Bound(side, value)
    return None
