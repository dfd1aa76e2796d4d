"""Calibrate a finished model on the texts that its training held out, and say how well that holds on others.

The temperatures and the threshold that go into the model are fitted on all held-out rows. What is told of them is
cross-fitted: the text groups are halved, everything is fitted on one half and measured on the other, and the other way
round, so that no figure comes from rows that its fit has seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom  # type: ignore[import-untyped]

from models.calibration import Calibration, HeadCalibration, calibrate, fit_temperature, log_loss
from models.classifier import Classifier
from models.errors import TrainingDataError
from models.prediction import softmax
from models.reliability import adaptive_calibration_error, calibration_error, error_by_chance, reliability_table
from retrain.data import HEADS, Example, Task
from retrain.settings import KEPT_ACCURACY, KEPT_CONFIDENCE
from retrain.split import Split, split_examples

MIN_ROWS = 100
"""Held-out rows that a head needs: with fewer a temperature is off by more than a sixth (one standard error)."""

_HALVES_SEED = 15
_CHANCE_SEED = 15
_DECIMALS = 4
_STEP = 0.01
"""Thresholds are whole hundredths: people read and set them."""


@dataclass(frozen=True, slots=True)
class HeldOutLogits:
    """What the network says of the held-out rows of one head.

    Attributes:
        logits: before calibration [rows, classes].
        labels: the true classes [rows].
        half: which half of the text groups a row belongs to [rows].
    """

    logits: NDArray[np.float64]
    labels: NDArray[np.int64]
    half: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A calibration, and the figures behind it as plain values for metrics.json."""

    calibration: Calibration
    figures: dict[str, Any]


def fit_calibration(
    folder: Path,
    examples: Sequence[Example],
    split: Split,
    *,
    kept_accuracy: float = KEPT_ACCURACY,
    kept_confidence: float = KEPT_CONFIDENCE,
) -> Calibrated:
    """Fit a model's calibration on its held-out rows; whatever calibration it has is left aside.

    The network runs in float32 on the CPU, so that the same model and rows give the same calibration. The model must
    have been trained with this split (`retrain.teachers.check_teacher` makes sure of that).

    Raises:
        ModelFilesError: the folder cannot be used.
        TrainingDataError: a head has too few held-out rows.
    """
    found = held_out_logits(folder, examples, split)
    heads = {task: _fit_head(found[task]) for task in HEADS}
    sentiment = found["sentiment"]
    temperature = heads["sentiment"][0].temperature
    confidence, right = _confidence(sentiment.logits, sentiment.labels, temperature)
    threshold = choose_threshold(confidence, right, kept_accuracy, kept_confidence)
    calibration = Calibration(
        heads["sentiment"][0],
        heads["topic"][0],
        abstain_below=threshold or 0.0,
        kept_accuracy=kept_accuracy if threshold is not None else 0.0,
        kept_confidence=kept_confidence if threshold is not None else 0.0,
    )
    figures: dict[str, Any] = {task: heads[task][1] for task in HEADS}
    figures["abstain"] = {
        "below": calibration.abstain_below,
        "states_accuracy": calibration.kept_accuracy,
        "with_confidence": calibration.kept_confidence,
        "on_these_rows": _kept(confidence, right, calibration.abstain_below),
        "cross_fitted": _cross_fitted_threshold(sentiment, kept_accuracy, kept_confidence),
    }
    return Calibrated(calibration, figures)


def held_out_logits(folder: Path, examples: Sequence[Example], split: Split) -> dict[Task, HeldOutLogits]:
    """Score the held-out rows and sort them by head.

    Raises:
        ModelFilesError: the folder cannot be used.
        TrainingDataError: a head has too few held-out rows.
    """
    dev = [examples[index] for index in split.dev]
    counts = {task: sum(row.task == task for row in dev) for task in HEADS}
    for task, rows in counts.items():
        if rows < MIN_ROWS:
            raise TrainingDataError(
                f"calibration needs {MIN_ROWS} held-out {task} rows, there are {rows}; give more rows or hold out a "
                "larger dev_share in training"
            )
    halves = split_examples(dev, 0.5, _HALVES_SEED)
    in_second = np.zeros(len(dev), dtype=bool)
    in_second[list(halves.dev)] = True
    classifier = Classifier.load(folder, device="cpu", dtype="float32")
    try:
        outputs = classifier.outputs([row.text for row in dev])
    finally:
        classifier.close()
    logits: dict[Task, NDArray[np.float64]] = {"sentiment": outputs.sentiment, "topic": outputs.topic}
    result: dict[Task, HeldOutLogits] = {}
    for task in HEADS:
        mine = [place for place, row in enumerate(dev) if row.task == task]
        labels = np.asarray([dev[place].label for place in mine], dtype=np.int64)
        result[task] = HeldOutLogits(logits[task][mine], labels, in_second[mine])
    return result


def choose_threshold(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], accuracy: float, certainty: float
) -> float | None:
    """Return the lowest threshold above which the rows are right in at least a share `accuracy`, or None.

    Thresholds are tested one after the other from a high one down, each by the exact binomial test that the share of
    right rows at or above it is below `accuracy`; the first that is not rejected ends it. Tested in an order that does
    not depend on the labels, all that were rejected hold together with probability `certainty`: Angelopoulos, Bates,
    Candes, Jordan and Lei, "Learn then Test" (2021), section 2.3 (fixed sequence testing). It begins at the highest
    threshold that keeps half of the rows.

    Args:
        confidence: probability of the most probable class [rows].
        right: whether it is the true one [rows].
        accuracy: share of right rows to be held.
        certainty: 1 - the level of the tests.
    """
    if not len(confidence):
        return None
    chosen: float | None = None
    for step in range(int(np.median(confidence) / _STEP), -1, -1):
        threshold = round(step * _STEP, 2)
        kept = confidence >= threshold
        # The chance of at least so many right rows, if the share were `accuracy` only.
        if binom.sf(int(right[kept].sum()) - 1, int(kept.sum()), accuracy) > 1.0 - certainty:
            break
        chosen = threshold
        if kept.all():
            break
    return chosen


def _fit_head(rows: HeldOutLogits) -> tuple[HeadCalibration, dict[str, Any]]:
    """Return one head's calibration, and its figures without, with, and cross-fitted."""
    temperature = fit_temperature(rows.logits, rows.labels)
    cross, by_half = np.empty_like(rows.logits), []
    for fitted in (False, True):
        by_half.append(fit_temperature(rows.logits[rows.half == fitted], rows.labels[rows.half == fitted]))
        cross[rows.half != fitted] = calibrate(rows.logits[rows.half != fitted], by_half[-1])
    confidence, right = _confidence(rows.logits, rows.labels, temperature)
    figures: dict[str, Any] = {
        "temperature": temperature,
        "temperature_by_half": by_half,
        "rows": len(rows.labels),
        "uncalibrated": _quality(rows.logits, rows.labels),
        "cross_fitted": _quality(cross, rows.labels),
        "on_these_rows": _quality(calibrate(rows.logits, temperature), rows.labels),
        "of_a_perfect_forecaster": _rounded(asdict(error_by_chance(confidence, _CHANCE_SEED))),
        "reliability": [_rounded(asdict(line)) for line in reliability_table(confidence, right)],
    }
    head = HeadCalibration(
        temperature,
        len(rows.labels),
        figures["uncalibrated"]["calibration_error"],
        figures["cross_fitted"]["calibration_error"],
    )
    return head, figures


def _quality(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> dict[str, float]:
    confidence, right = _confidence(logits, labels, 1.0)
    return _rounded(
        {
            "log_loss": log_loss(logits, labels),
            "calibration_error": calibration_error(confidence, right),
            "adaptive_calibration_error": adaptive_calibration_error(confidence, right),
        }
    )


def _confidence(
    logits: NDArray[np.float64], labels: NDArray[np.int64], temperature: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the probability of the most probable class and whether it is the true one, both [rows]."""
    probabilities = softmax(calibrate(logits, temperature))
    return probabilities.max(axis=1), probabilities.argmax(axis=1) == labels


def _cross_fitted_threshold(rows: HeldOutLogits, accuracy: float, certainty: float) -> dict[str, float] | None:
    """Return what thresholds that one half chose do on the other; None where a half finds none."""
    kept: list[NDArray[np.bool_]] = []
    hits: list[NDArray[np.bool_]] = []
    for fitted in (False, True):
        mine, other = rows.half == fitted, rows.half != fitted
        temperature = fit_temperature(rows.logits[mine], rows.labels[mine])
        threshold = choose_threshold(
            *_confidence(rows.logits[mine], rows.labels[mine], temperature), accuracy, certainty
        )
        if threshold is None:
            return None
        confidence, right = _confidence(rows.logits[other], rows.labels[other], temperature)
        kept.append(confidence >= threshold)
        hits.append(right)
    return _shares(np.concatenate(kept), np.concatenate(hits))


def _kept(confidence: NDArray[np.float64], right: NDArray[np.bool_], threshold: float) -> dict[str, float]:
    return _shares(confidence >= threshold, right)


def _shares(kept: NDArray[np.bool_], right: NDArray[np.bool_]) -> dict[str, float]:
    """Return the share of rows kept, and what share of the kept and of the abstained is right."""
    return _rounded(
        {
            "kept": float(kept.mean()),
            "accuracy_of_kept": float(right[kept].mean()) if kept.any() else 0.0,
            "accuracy_of_abstained": float(right[~kept].mean()) if not kept.all() else 0.0,
        }
    )


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    """Round the fractions: what the last bits of a sum are shall not make two runs differ."""
    return {name: round(value, _DECIMALS) if isinstance(value, float) else value for name, value in values.items()}
