"""Pseudo-labels: what a finished model is sure of on unlabelled texts is learned as a label of less weight.

Lee, "Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method" (2013). Such rows are counted apart from
labelled ones, and none of them is ever used to evaluate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.classifier import Classifier
from models.files import read_manifest
from retrain.data import HEADS, TASKS, Example, Task
from retrain.settings_parts import PseudoSettings

SOURCE = "pseudo-labels"
"""What stands in place of a file's name in such rows."""


@dataclass(frozen=True, slots=True)
class PseudoLabels:
    """Rows with a model's word for a label, and what a model card says of them."""

    rows: tuple[Example, ...]
    facts: dict[str, Any]


def label(texts: Sequence[str], labeller: Path, settings: PseudoSettings) -> PseudoLabels:
    """Return a row for each text and task of which the model is sure enough.

    Args:
        texts: unlabelled texts.
        labeller: folder of the model, whose calibrated probabilities count; it must have passed
            `retrain.teachers.check_teacher`, for what it knows of held-out texts it would pass on.
        settings: threshold and limit.

    Raises:
        ModelFilesError: the folder cannot be used.
    """
    classifier = Classifier.load(labeller)
    try:
        predictions = classifier.predict(list(texts))
    finally:
        classifier.close()
    words: dict[Task, NDArray[np.float64]] = {
        "sentiment": np.asarray([(row.negative, row.neutral, row.positive) for row in predictions]),
        "topic": np.asarray([row.topics for row in predictions]),
    }
    rows = sure_rows(texts, words, settings)
    counts: dict[str, dict[str, int]] = {}
    for task, names in HEADS.items():
        by_class = [sum(row.task == task and row.label == index for row in rows) for index in range(len(names))]
        counts[task] = {name: count for name, count in zip(names, by_class, strict=True) if count}
    facts = {
        "model": asdict(read_manifest(labeller).model),
        "threshold": settings.threshold,
        "weight": settings.weight,
        "texts": len(texts),
        "rows": counts,
    }
    return PseudoLabels(tuple(rows), facts)


def sure_rows(
    texts: Sequence[str], words: Mapping[Task, NDArray[np.float64]], settings: PseudoSettings
) -> list[Example]:
    """Return a row for each text and task whose likeliest class is likely enough.

    Args:
        texts: unlabelled texts.
        words: probabilities [texts, classes] by task.
        settings: threshold and limit.
    """
    return [row for task in TASKS for row in _sure(texts, task, words[task], settings)]


def _sure(
    texts: Sequence[str], task: Task, probabilities: NDArray[np.float64], settings: PseudoSettings
) -> list[Example]:
    """Return the rows at or above the threshold, the surest first where there is a limit; in the order of the texts."""
    best = probabilities.max(axis=1)
    chosen = [int(index) for index in np.flatnonzero(best >= settings.threshold)]
    if settings.most:
        chosen = sorted(sorted(chosen, key=lambda index: -best[index])[: settings.most])
    labels = probabilities.argmax(axis=1)
    return [Example(texts[index], task, int(labels[index]), SOURCE, index + 1) for index in chosen]
