"""What a row weighs in the loss by its class, so that rare classes are not drowned by frequent ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from retrain.data import HEADS, Example, Task
from retrain.settings import ClassWeights


def class_weights(weights: ClassWeights, examples: Sequence[Example]) -> dict[tuple[Task, int], float]:
    """Return the weight of each class of each task that differs from 1; classes left out weigh 1.

    "balanced" is n / (k * n_c), for n rows of a task in k classes, n_c of them in class c: each class then weighs n / k
    in total, and the mean row 1 (King and Zeng, "Logistic Regression in Rare Events Data", 2001).

    Args:
        weights: the knob.
        examples: the training rows, which "balanced" counts.
    """
    if isinstance(weights, str):
        return _balanced(examples) if weights == "balanced" else {}
    return {
        (task, HEADS[task].index(name)): float(weight)
        for task in HEADS
        for name, weight in weights.get(task, {}).items()
    }


def _balanced(examples: Sequence[Example]) -> dict[tuple[Task, int], float]:
    counts = Counter((example.task, example.label) for example in examples)
    rows = Counter(example.task for example in examples)
    classes = Counter(task for task, _ in counts)
    return {(task, label): rows[task] / (classes[task] * count) for (task, label), count in counts.items()}
