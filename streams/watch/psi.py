"""The population stability index: how far the histogram of what comes is from the histogram of what was expected.

    PSI = sum over bins of (p - q) ln(p / q),    p, q: shares of the two histograms

It is Jeffreys' divergence (Jeffreys 1946; Kullback and Leibler 1951, "On information and sufficiency", equation 2.6),
under the name that credit scoring gave it (Siddiqi, "Credit Risk Scorecards", 2006, where the bounds below are from).

Without any drift the index is not zero but, by chance, about (B - 1) (1 / n + 1 / m) with B bins and n and m values
(Yurdakul and Naranjo, "Statistical properties of the population stability index", 2020); so it says nothing of a small
window.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

SLIGHT = 0.1
"""Below this nothing has changed; from here on something has, slightly."""
MARKED = 0.25
"""From here on the population is another one."""

_LEAST_SHARE = 1e-4
"""A share below this counts as this: an empty bin would make the index infinite, however few values are missing."""


def population_stability_index(expected: Sequence[int], observed: Sequence[int]) -> float:
    """Return the index of two histograms [bins]: not negative, the same both ways, and 0 for equal shares.

    Raises:
        ValueError: they have not equally many bins, or one of them is empty.
    """
    wanted, found = sum(expected), sum(observed)
    if len(expected) != len(observed) or not wanted or not found:
        msg = (
            f"expected two histograms of equally many bins that are not empty, got {len(expected)} bins of {wanted} "
            f"values and {len(observed)} bins of {found}"
        )
        raise ValueError(msg)
    total = 0.0
    for of_expected, of_observed in zip(expected, observed, strict=True):
        q, p = max(of_expected / wanted, _LEAST_SHARE), max(of_observed / found, _LEAST_SHARE)
        total += (p - q) * math.log(p / q)
    return total


def by_chance(bins: int, expected: int, observed: int) -> float:
    """Return the index that is to be expected without any drift, of histograms of so many values."""
    return (bins - 1) * (1 / expected + 1 / observed)
