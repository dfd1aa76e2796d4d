"""Labels that are likely wrong: confident learning (Northcutt, Jiang and Chuang 2021), by cleanlab.

Every text is judged by a linear model that has not seen it, nor a near-duplicate of it; where that model is sure of
another class than the label, more than chance explains, the label is worth a second look. Nothing is ever changed by
it: a person decides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline

from models.errors import TrainingDataError
from retrain.labels.decide import Decided
from retrain.split import group_texts

_FOLDS = 5
_LEAST = 10
"""Texts of a class below which it cannot be told from the others, and is left out."""
NEEDS = "squall labels check needs cleanlab: pip install 'squall[labels]'"


@dataclass(frozen=True, slots=True)
class Suspect:
    """A label that deserves a second look.

    Attributes:
        decided: the message with its label.
        likelier: the class that the texts of others speak for.
        confidence: what they give the label itself, 0 to 1.
    """

    decided: Decided
    likelier: str
    confidence: float


def find_suspects(labels: Sequence[Decided], *, seed: int = 0) -> list[Suspect]:
    """Return the labels that are likely wrong, the most suspicious first.

    Args:
        labels: of one task.
        seed: of the folds.

    Raises:
        TrainingDataError: there are too few labels, or all are of one class, or cleanlab is not installed.
    """
    try:
        from cleanlab.filter import find_label_issues
    except ImportError:
        raise TrainingDataError(NEEDS) from None
    counts = Counter(label.answer for label in labels)
    classes = sorted(name for name, count in counts.items() if count >= _LEAST)
    if len(classes) < 2:
        told = ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"
        msg = f"to tell which labels are wrong takes two classes with {_LEAST} labels each at least; there are {told}"
        raise TrainingDataError(msg)
    kept = [label for label in labels if label.answer in classes]
    truth = np.array([classes.index(label.answer) for label in kept])
    probabilities = _out_of_sample([label.judgement.text for label in kept], truth, seed)
    ranked = find_label_issues(truth, probabilities, return_indices_ranked_by="self_confidence", n_jobs=1)
    return [
        Suspect(
            kept[index],
            classes[int(probabilities[index].argmax())],
            round(float(probabilities[index, truth[index]]), 4),
        )
        for index in map(int, ranked)
    ]


def _out_of_sample(texts: Sequence[str], truth: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    groups = group_texts(texts)
    folds = StratifiedGroupKFold(n_splits=_FOLDS, shuffle=True, random_state=seed)
    model = make_pipeline(
        TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2)),
        LogisticRegression(C=10.0, max_iter=1_000, class_weight="balanced"),
    )
    try:
        found: NDArray[np.float64] = cross_val_predict(
            model, list(texts), truth, groups=groups, cv=folds, method="predict_proba"
        )
    except ValueError as error:
        msg = f"the labels cannot be held against each other ({error}): too few different texts of a class"
        raise TrainingDataError(msg) from None
    return found
