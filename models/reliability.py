"""How far probabilities can be trusted: calibration error, the table behind it, and what chance alone would show.

With few rows even a perfect forecaster has a calibration error above zero, as the rows of a bin scatter around their
probability. `error_by_chance` says by how much, so that a figure can be held against what is possible at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 15
"""Bins of confidence, the number that Guo et al. (2017) report with."""


@dataclass(frozen=True, slots=True)
class Bin:
    """Rows of like confidence: how many, how sure the model was on average, and what share of them is right."""

    low: float
    high: float
    rows: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class ByChance:
    """The calibration error of a perfect forecaster over a set of rows: its mean and its 95th percentile."""

    mean: float
    percentile_95: float


def reliability_table(confidence: NDArray[np.float64], right: NDArray[np.bool_], bins: int = BINS) -> tuple[Bin, ...]:
    """Return the rows in bins of equal width over [0, 1], empty bins left out.

    `confidence` is the probability of the most probable class [rows], `right` whether it is the true one [rows].
    """
    place = _places(confidence, bins)
    return tuple(
        Bin(
            index / bins,
            (index + 1) / bins,
            int(inside.sum()),
            float(confidence[inside].mean()),
            float(right[inside].mean()),
        )
        for index in range(bins)
        if (inside := place == index).any()
    )


def calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_], bins: int = BINS) -> float:
    """Return the expected calibration error: the mean gap between confidence and accuracy over bins of equal width.

    After Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks" (2017), equation 3.
    """
    return _error(confidence, right, _places(confidence, bins), bins)


def adaptive_calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_], bins: int = BINS) -> float:
    """Return the same over bins of equally many rows, so that no bin is judged by a handful of them.

    After Nguyen and O'Connor, "Posterior calibration and exploratory analysis for natural language processing models"
    (2015). Equal confidences may fall into two bins; earlier rows then come first.
    """
    place = np.empty(len(confidence), dtype=np.int64)
    place[np.argsort(confidence, kind="stable")] = np.arange(len(confidence)) * bins // max(1, len(confidence))
    return _error(confidence, right, place, bins)


def error_by_chance(confidence: NDArray[np.float64], seed: int, draws: int = 400, bins: int = BINS) -> ByChance:
    """Return the calibration error of a forecaster whose confidences [rows] are exact, over simulated truths."""
    generator = np.random.default_rng(seed)
    place = _places(confidence, bins)
    errors = [_error(confidence, generator.random(len(confidence)) < confidence, place, bins) for _ in range(draws)]
    return ByChance(float(np.mean(errors)), float(np.quantile(errors, 0.95)))


def _places(confidence: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    return np.minimum((confidence * bins).astype(np.int64), bins - 1)


def _error(confidence: NDArray[np.float64], right: NDArray[np.bool_], place: NDArray[np.int64], bins: int) -> float:
    """Return the sum over bins of |sum of confidence - rows that are right|, per row."""
    if not len(confidence):
        return 0.0
    gaps = np.bincount(place, weights=confidence - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidence))
