"""What a finished model is worth on the texts that its training held out, and what a classical one is worth there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from models.classifier import Classifier
from models.windows import DEFAULT_MAX_WINDOWS
from retrain.data import HEADS, Example, Task
from retrain.evaluation import Report, report_by_file
from retrain.split import Split, normalise_text

_MIN_ROWS = 2
"""An n-gram that occurs in one training text only teaches nothing about others."""
_REGULARISATION = 8.0
"""scikit-learn's C, the inverse of the strength; fixed beforehand, not tuned on the held-out rows."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Figures by head and file.

    Attributes:
        dev: on all held-out texts, equal ones once.
        firsts: on one text of each group of near-duplicates.
    """

    dev: Report
    firsts: Report


def evaluate_model(
    folder: Path,
    examples: Sequence[Example],
    split: Split,
    *,
    max_length: int | None = None,
    max_windows: int = DEFAULT_MAX_WINDOWS,
) -> HeldOut:
    """Evaluate a model through the product's own door: loaded from its files, 8-bit weights and all.

    The model must have been trained from the same files with the same `dev_share` and `split_seed`
    (`retrain.teachers.check_teacher` makes sure of that). With a small `max_length` the held-out texts are long ones,
    read in up to `max_windows` windows: what that costs against reading them whole can be measured so.

    Raises:
        ModelFilesError: the folder cannot be used.
        ValueError: a limit is out of bounds.
    """
    classifier = Classifier.load(folder, max_length=max_length, max_windows=max_windows)
    predictions = classifier.predict([examples[index].text for index in split.dev])
    sentiment = np.asarray([(row.negative, row.neutral, row.positive) for row in predictions])
    return _held_out(examples, split, sentiment, np.asarray([row.topics for row in predictions]))


def evaluate_classical(examples: Sequence[Example], split: Split) -> HeldOut:
    """Train TF-IDF with logistic regression on the training side and evaluate it on the other.

    Words and pairs of words with sublinear counts: what a language model has to beat.
    """
    texts = [normalise_text(examples[index].text) for index in split.dev]
    probabilities = {task: _classical(task, examples, split, texts) for task in HEADS}
    return _held_out(examples, split, probabilities["sentiment"], probabilities["topic"])


def _words_and_pairs(text: str) -> list[str]:
    words = text.split()
    return words + [f"{first} {second}" for first, second in pairwise(words)]


def _classical(task: Task, examples: Sequence[Example], split: Split, texts: Sequence[str]) -> NDArray[np.float64]:
    rows = [examples[index] for index in split.train if examples[index].task == task]
    model = make_pipeline(
        TfidfVectorizer(min_df=_MIN_ROWS, sublinear_tf=True, analyzer=_words_and_pairs),
        LogisticRegression(C=_REGULARISATION, max_iter=1000),
    )
    model.fit([normalise_text(row.text) for row in rows], [row.label for row in rows])
    found = np.zeros((len(texts), len(HEADS[task])))
    found[:, model.classes_] = model.predict_proba(texts)
    return found


def _held_out(
    examples: Sequence[Example], split: Split, sentiment: NDArray[np.float64], topic: NDArray[np.float64]
) -> HeldOut:
    firsts = set(split.dev_firsts)
    chosen = [place for place, index in enumerate(split.dev) if index in firsts]
    dev = [examples[index] for index in split.dev]
    return HeldOut(
        dev=report_by_file(dev, sentiment, topic),
        firsts=report_by_file([dev[place] for place in chosen], sentiment[chosen], topic[chosen]),
    )
