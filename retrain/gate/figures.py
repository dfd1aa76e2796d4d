"""Differences between two models on the same rows, with paired bootstrap intervals. Pure.

Both models answer the same rows, so rows are drawn in pairs: what is hard for both cancels out, and a difference of
half a point can be told on a thousand rows where two separate intervals of two points each would hide it (Efron and
Tibshirani 1993; Koehn 2004 on paired bootstrap tests of systems).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.reliability import calibration_error

DRAWS = 1_000
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Difference:
    """Two models' figures on the same rows.

    Attributes:
        rows: how many.
        champion: the champion's figure.
        challenger: the challenger's.
        low: lower end of the 95 % interval of the difference, challenger less champion.
        high: its upper end.
    """

    rows: int
    champion: float
    challenger: float
    low: float
    high: float

    @property
    def gain(self) -> float:
        """Challenger less champion."""
        return self.challenger - self.champion


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model says of rows whose truth is known.

    Attributes:
        probabilities: [rows, classes].
        truth: class index of each row [rows].
    """

    probabilities: NDArray[np.float64]
    truth: NDArray[np.int64]

    @property
    def predicted(self) -> NDArray[np.int64]:
        """The likeliest class of each row [rows]."""
        return np.asarray(self.probabilities.argmax(axis=1), dtype=np.int64)

    @property
    def calibration_error(self) -> float:
        """Expected calibration error over 15 bins."""
        return calibration_error(self.probabilities.max(axis=1), self.predicted == self.truth)


def macro_f1_difference(champion: Answers, challenger: Answers, *, seed: int = 0) -> Difference:
    """Compare macro F1 over the classes that occur in the truth.

    Raises:
        ValueError: the models did not answer the same rows, or there are none.
    """
    truth = _same_truth(champion, challenger)
    classes = champion.probabilities.shape[1]
    tables = [
        np.eye(classes, dtype=np.int64)[truth],
        np.eye(classes, dtype=np.int64)[champion.predicted],
        np.eye(classes, dtype=np.int64)[challenger.predicted],
    ]
    ones = np.ones(len(truth), dtype=np.int64)
    first, second = (_macro_f1(ones, tables[0], tables[which]) for which in (1, 2))
    drawn = np.array(
        [
            _macro_f1(weights, tables[0], tables[2]) - _macro_f1(weights, tables[0], tables[1])
            for weights in _draws(len(truth), seed)
        ]
    )
    return Difference(len(truth), first, second, *_interval(drawn))


def accuracy_difference(champion: Answers, challenger: Answers, *, seed: int = 0) -> Difference:
    """Compare accuracy.

    Raises:
        ValueError: as `macro_f1_difference`.
    """
    truth = _same_truth(champion, challenger)
    first, second = champion.predicted == truth, challenger.predicted == truth
    gained = second.astype(np.int64) - first.astype(np.int64)
    drawn = np.array([float(weights @ gained) / len(truth) for weights in _draws(len(truth), seed)])
    return Difference(len(truth), float(first.mean()), float(second.mean()), *_interval(drawn))


def by_slice(
    champion: Answers, challenger: Answers, slices: Sequence[Mapping[str, str]], *, seed: int = 0
) -> dict[tuple[str, str], Difference]:
    """Compare accuracy on each slice, by (what it is told apart by, value), in order.

    Args:
        champion: answers [rows].
        challenger: answers to the same rows.
        slices: what each row can be told apart by [rows].
        seed: of the draws.
    """
    members: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, found in enumerate(slices):
        for name, value in found.items():
            members[(name, value)].append(index)
    return {
        key: accuracy_difference(_some(champion, rows), _some(challenger, rows), seed=seed)
        for key, rows in sorted(members.items())
    }


def _some(answers: Answers, rows: Sequence[int]) -> Answers:
    chosen = np.asarray(rows, dtype=np.int64)
    return Answers(answers.probabilities[chosen], answers.truth[chosen])


def _same_truth(champion: Answers, challenger: Answers) -> NDArray[np.int64]:
    if not len(champion.truth) or not np.array_equal(champion.truth, challenger.truth):
        raise ValueError("two models are compared on the same rows, of which there must be one at least")
    return champion.truth


def _draws(rows: int, seed: int) -> NDArray[np.int64]:
    """How often each row is drawn [draws, rows]: drawing with replacement, counted."""
    dice = np.random.default_rng(seed)
    return dice.multinomial(rows, np.full(rows, 1.0 / rows), size=DRAWS)


def _interval(drawn: NDArray[np.float64]) -> tuple[float, float]:
    tail = 100 * (1 - _CONFIDENCE) / 2
    low, high = np.percentile(drawn, (tail, 100 - tail))
    return float(low), float(high)


def _macro_f1(weights: NDArray[np.int64], truth: NDArray[np.int64], predicted: NDArray[np.int64]) -> float:
    """Macro F1 of weighted rows over the classes that occur among their truths.

    Args:
        weights: of the rows [rows].
        truth: one-hot [rows, classes].
        predicted: one-hot [rows, classes].
    """
    hit = weights @ (truth * predicted)
    real, said = weights @ truth, weights @ predicted
    present = real > 0
    return float((2 * hit[present] / (real + said)[present]).mean())
