"""Which confidence keeps a level of agreement, proved by a count on texts that nothing was fitted to.

A tier answers the texts whose confidence reaches a threshold. Looser thresholds answer more and disagree more. The
threshold is found by fixed-sequence testing: Angelopoulos, Bates, Candes, Jordan and Lei, "Learn then Test" (2021).
For each threshold of a grid, in order, the hypothesis "more than 1 - level of the answered texts disagree" is tested on
calibration texts by the exact binomial tail, which is the Clopper-Pearson bound (1934) read the other way round. The
grid, and where in it the sequence begins, come from other texts (tuning); the sequence goes to looser thresholds and
ends before the first that fails. So, for texts exchangeable with the calibration texts, the share of disagreements
among what is answered is at most 1 - level, except with the probability `risk` that the calibration texts mislead.

For texts of another kind nothing is promised. That is why the figures name the texts that they were counted on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DEFAULT_LEVEL = 0.99
DEFAULT_RISK = 0.05

_PRECISION = 1e-9

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """What happens at each threshold of a grid, strictest first; all arrays are [thresholds].

    Attributes:
        thresholds: confidences, falling strictly.
        tuning_answered, tuning_errors: tuning texts at or above each, and those of them that disagree.
        answered, errors: the same of calibration texts.
        deviation, deviation_squares: sums over the answered calibration texts of |P(negative) of the tier less that of
            the network|, and of its square.
        tuning_texts, calibration_texts: how many there are, answered or not.
    """

    thresholds: NDArray[np.float64]
    tuning_answered: Counts
    tuning_errors: Counts
    answered: Counts
    errors: Counts
    deviation: NDArray[np.float64]
    deviation_squares: NDArray[np.float64]
    tuning_texts: int
    calibration_texts: int

    def __post_init__(self) -> None:
        if len(self.thresholds) == 0 or (np.diff(self.thresholds) >= 0).any():
            raise ValueError("thresholds must be given and fall strictly")
        for name in ("tuning_answered", "tuning_errors", "answered", "errors", "deviation", "deviation_squares"):
            values = getattr(self, name)
            if values.shape != self.thresholds.shape or (np.diff(values) < 0).any() or (values < 0).any():
                raise ValueError(f"{name} must have one value per threshold, and none may fall")
        if (self.errors > self.answered).any() or (self.tuning_errors > self.tuning_answered).any():
            raise ValueError("more errors than answers")
        if self.answered[-1] > self.calibration_texts or self.tuning_answered[-1] > self.tuning_texts:
            raise ValueError(
                f"{self.answered[-1]} answers to {self.calibration_texts} calibration texts, "
                f"{self.tuning_answered[-1]} to {self.tuning_texts} tuning texts"
            )


UNPROVED = Curve(
    thresholds=np.asarray([1.0]),
    tuning_answered=np.zeros(1, dtype=np.int64),
    tuning_errors=np.zeros(1, dtype=np.int64),
    answered=np.zeros(1, dtype=np.int64),
    errors=np.zeros(1, dtype=np.int64),
    deviation=np.zeros(1),
    deviation_squares=np.zeros(1),
    tuning_texts=0,
    calibration_texts=0,
)
"""The curve of a tier that nothing was counted of: it proves no threshold."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A threshold and what is known of it, on the calibration texts.

    Attributes:
        level: the agreement that is kept.
        risk: probability that the calibration texts mislead.
        threshold: a text is answered if its confidence is at least this.
        coverage: share of the texts that are answered.
        answered, errors: texts that are answered, and those of them on which tier and network disagree.
        agreement_bound: lower bound of the agreement (one-sided Clopper-Pearson at `risk`); at least `level`.
        deviation: mean of |P(negative) of the tier less that of the network| over the answered.
        deviation_bound: upper bound of its expectation at `risk`, whichever threshold of the grid is taken.
    """

    level: float
    risk: float
    threshold: float
    coverage: float
    answered: int
    errors: int
    agreement_bound: float
    deviation: float
    deviation_bound: float


def certify(curve: Curve, level: float = DEFAULT_LEVEL, risk: float = DEFAULT_RISK) -> Certificate | None:
    """Return the loosest threshold that keeps the level, or None if none is proved: then the tier answers nothing.

    Raises:
        ValueError: `level` or `risk` does not lie between 0 and 1.
    """
    for name, value in (("level", level), ("risk", risk)):
        if not 0.0 < value < 1.0:
            raise ValueError(f"{name} must lie between 0 and 1, got {value}")
    rate = 1.0 - level
    chosen = None
    for place in range(_start(curve, rate), len(curve.thresholds)):
        if binomial_tail(int(curve.errors[place]), int(curve.answered[place]), rate) > risk:
            break
        chosen = place
    if chosen is None:
        return None
    answered, errors = int(curve.answered[chosen]), int(curve.errors[chosen])
    return Certificate(
        level=level,
        risk=risk,
        threshold=float(curve.thresholds[chosen]),
        coverage=answered / curve.calibration_texts,
        answered=answered,
        errors=errors,
        agreement_bound=1.0 - error_bound(errors, answered, risk),
        deviation=float(curve.deviation[chosen]) / answered,
        deviation_bound=mean_bound(
            float(curve.deviation[chosen]),
            float(curve.deviation_squares[chosen]),
            answered,
            risk / len(curve.thresholds),
        ),
    )


def _start(curve: Curve, rate: float) -> int:
    """Return the place of the threshold that is likeliest to pass, as far as the tuning texts can tell.

    Their counts are scaled to the number of calibration texts, with one error more than was seen: no error among a
    handful promises less than some among many.
    """
    scale = curve.calibration_texts / max(curve.tuning_texts, 1)
    expected = []
    for answered, errors in zip(curve.tuning_answered.tolist(), curve.tuning_errors.tolist(), strict=True):
        trials = math.floor(answered * scale)
        expected.append(binomial_tail(min(trials, math.ceil((errors + 1) * scale)), trials, rate))
    return int(np.argmin(expected))


def binomial_tail(errors: int, trials: int, rate: float) -> float:
    """Return the probability of at most `errors` in `trials`, each an error with probability `rate`.

    Raises:
        ValueError: the numbers are no such thing.
    """
    if not 0 <= errors <= trials or not 0.0 < rate < 1.0:
        raise ValueError(f"no binomial tail for {errors} errors in {trials} trials at the rate {rate}")
    if errors == trials:
        return 1.0
    # Logarithms of the terms: (1 - rate)**trials alone would vanish for some thousands of texts.
    steps = np.arange(errors, dtype=np.float64)
    ratios = np.log((trials - steps) / (steps + 1.0)) + (math.log(rate) - math.log1p(-rate))
    terms = trials * math.log1p(-rate) + np.concatenate(([0.0], np.cumsum(ratios)))
    largest = float(terms.max())
    return min(1.0, math.exp(largest + math.log(float(np.exp(terms - largest).sum()))))


def error_bound(errors: int, trials: int, risk: float) -> float:
    """Return the upper bound of an error rate at the confidence 1 - risk: Clopper and Pearson (1934), one-sided."""
    if errors >= trials:
        return 1.0
    low, high = errors / trials, 1.0
    while high - low > _PRECISION:  # the tail falls as the rate rises, so halving finds where it meets the risk
        middle = (low + high) / 2
        if middle < 1.0 and binomial_tail(errors, trials, max(middle, _PRECISION)) > risk:
            low = middle
        else:
            high = middle
    return high


def mean_bound(total: float, squares: float, count: int, risk: float) -> float:
    """Return an upper bound of the expectation of values in [0, 1], at the confidence 1 - risk.

    Maurer and Pontil, "Empirical Bernstein bounds and sample-variance penalization" (2009), theorem 4.

    Args:
        total, squares: sums of the values and of their squares.
        count: how many values; 1.0 is returned for fewer than two.
        risk: probability that the bound is too low.
    """
    if count < 2:
        return 1.0
    mean = total / count
    variance = max(0.0, (squares - count * mean * mean) / (count - 1))
    logarithm = math.log(2.0 / risk)
    return min(1.0, mean + math.sqrt(2.0 * variance * logarithm / count) + 7.0 * logarithm / (3.0 * (count - 1)))
