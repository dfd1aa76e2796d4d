"""What a classifier is worth on held-out rows: accuracy, macro F1, per-class figures, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.reliability import calibration_error
from retrain.data import HEADS, Example


@dataclass(frozen=True, slots=True)
class ClassReport:
    """Figures of one class: its rows, and precision, recall and F1 (0.0 where undefined)."""

    label: str
    rows: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class HeadReport:
    """Figures of one head on a set of rows."""

    rows: int
    accuracy: float
    macro_f1: float
    calibration_error: float
    classes: tuple[ClassReport, ...]


Report = dict[str, dict[str, dict[str, Any]]]
"""Figures by head and file, as plain values of HeadReport."""


def report_by_file(examples: Sequence[Example], sentiment: NDArray[np.float64], topic: NDArray[np.float64]) -> Report:
    """Return the figures by head and file; the probabilities are those of all examples [rows, classes]."""
    report: Report = {}
    for (head, names), probabilities in zip(HEADS.items(), (sentiment, topic), strict=True):
        report[head] = {}
        for file in dict.fromkeys(example.source for example in examples if example.task == head):
            rows = [index for index, example in enumerate(examples) if example.source == file]
            labels = [examples[index].label for index in rows]
            report[head][file] = asdict(evaluate_head(probabilities[rows], labels, names))
    return report


def evaluate_head(probabilities: NDArray[np.float64], labels: Sequence[int], names: Sequence[str]) -> HeadReport:
    """Compare probabilities [rows, classes] with the true labels [rows].

    Macro F1 is the mean over the classes that occur among the labels or the predictions.

    Raises:
        ValueError: there are no rows, or the shapes do not agree.
    """
    truth = np.asarray(labels, dtype=np.int64)
    if probabilities.shape != (len(truth), len(names)) or not len(truth):
        raise ValueError(
            f"expected probabilities of {len(truth)} rows (at least 1) and {len(names)} classes, "
            f"got the shape {probabilities.shape}"
        )
    predicted = probabilities.argmax(axis=1)
    classes = tuple(_class_report(name, index, truth, predicted) for index, name in enumerate(names))
    present = [report.f1 for index, report in enumerate(classes) if report.rows or (predicted == index).any()]
    return HeadReport(
        rows=len(truth),
        accuracy=float((predicted == truth).mean()),
        macro_f1=float(np.mean(present)),
        calibration_error=calibration_error(probabilities.max(axis=1), predicted == truth),
        classes=classes,
    )


def _class_report(name: str, index: int, truth: NDArray[np.int64], predicted: NDArray[np.int64]) -> ClassReport:
    rows, claimed = int((truth == index).sum()), int((predicted == index).sum())
    right = int(((truth == index) & (predicted == index)).sum())
    precision, recall = right / claimed if claimed else 0.0, right / rows if rows else 0.0
    f1 = 2 * right / (rows + claimed) if rows + claimed else 0.0
    return ClassReport(name, rows, precision, recall, f1)
