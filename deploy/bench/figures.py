"""One measured number, and what it is held against."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a bench's table, and an object of its JSON."""

    name: str
    value: float
    unit: str
    against: str = ""
    """What it is compared with, in words, with its value."""
    ratio: float | None = None
    """The value, divided by that."""
    note: str = ""


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile: the least value that `percent` % of all do not exceed.

    Raises:
        ValueError: there are no values, or `percent` is not above 0 and at most 100.
    """
    if not values or not 0 < percent <= 100:
        msg = f"a percentile needs values and 0 < percent <= 100, not {len(values)} values and {percent:g}"
        raise ValueError(msg)
    return sorted(values)[math.ceil(percent / 100 * len(values)) - 1]
