"""Distillation: the training texts as a set of finished models sees them.

Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network" (2015): a network that learns the mean
probabilities of several others comes close to their joint vote, at the cost of one. Here the teachers also fill
a gap: a text that is labelled for one task only gets their word on the other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.classifier import Classifier
from models.errors import TrainingDataError
from models.files import read_manifest
from retrain.card import METRICS
from retrain.data import Task
from retrain.loop import LabelledTokens
from retrain.settings import TrainingSettings

_SPLIT = ("dev_share", "split_seed")


def check_teacher(folder: Path, training_data: Sequence[Mapping[str, Any]], settings: TrainingSettings) -> None:
    """Make sure that a teacher has not learned from this run's development texts, which it would pass on.

    It must have been trained from the same files with the same split.

    Args:
        folder: the teacher's folder.
        training_data: this run's files: name, task, rows, SHA-256.
        settings: this run's knobs.

    Raises:
        ModelFilesError: the folder is no model.
        TrainingDataError: the teacher learned from other files or another split, or does not say from which.
    """
    theirs = {(entry["sha256"], entry.get("known_until")) for entry in read_manifest(folder).training_data}
    ours = {(entry["sha256"], entry.get("known_until")) for entry in training_data}
    if theirs != ours:
        names = ", ".join(str(entry["name"]) for entry in training_data)
        raise TrainingDataError(f"teacher {folder}: was not trained from exactly {names}; it may know the dev texts")
    try:
        knobs = json.loads((folder / METRICS).read_text(encoding="utf-8"))["settings"]
        split = {name: knobs[name] for name in _SPLIT}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingDataError(
            f"teacher {folder}: {METRICS} does not say how its rows were split ({error!r}); train it again"
        ) from None
    for name, value in split.items():
        if value != getattr(settings, name):
            raise TrainingDataError(
                f"teacher {folder}: its {name} is {value}, this run's is {getattr(settings, name)}: it has learned "
                "from texts that are held out here; use the same"
            )


def teach(
    rows: Sequence[LabelledTokens], teachers: Sequence[Path], progress: Callable[[str], None]
) -> list[LabelledTokens]:
    """Return the rows with the mean probabilities of the teachers; without teachers the rows as they are.

    The teachers must have passed `check_teacher`.

    Raises:
        ModelFilesError: a teacher's folder cannot be used.
    """
    if not teachers:
        return list(rows)
    texts = [row.example.text for row in rows]
    sums: dict[Task, NDArray[np.float32]] = {}
    for folder in teachers:
        progress(f"asking the teacher {folder.name} about {len(texts)} texts")
        predictions = Classifier.load(folder).predict(texts)
        words: dict[Task, NDArray[np.float32]] = {
            "sentiment": np.asarray([(row.negative, row.neutral, row.positive) for row in predictions], np.float32),
            "topic": np.asarray([row.topics for row in predictions], np.float32),
        }
        sums = {task: sums[task] + word if task in sums else word for task, word in words.items()}
    return [
        replace(row, soft={task: total[index] / len(teachers) for task, total in sums.items()})
        for index, row in enumerate(rows)
    ]
