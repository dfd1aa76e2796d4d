"""What a classifier answers, the protocol that every classifier satisfies, and how probabilities are rounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from models.labels import SENTIMENTS, TOPIC_IDS

Tier = Literal["transformer", "linear"]

PROBABILITY_DECIMALS = 4
"""Digits kept: more would be noise of the arithmetic, and would make records longer."""


@dataclass(frozen=True, slots=True)
class ModelId:
    """Which model scored: its name, and a short hash of everything that decides its answers."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one text. Probabilities have four decimals; both sets sum to 1.

    Attributes:
        label: the most probable sentiment id.
        topics: probabilities in the order of `models.labels.TOPICS`.
        topic: the most probable topic id.
        topic_probability: its probability.
        truncated: part of the text was not read, because it is longer than the windows that are read of a text.
        tokens: tokens that were read, special tokens included; what windows share counts once.
        tier: what answered: the network, or the linear model before it.
        cached: the answer of an equal text, given again.
        degraded: the linear tier answered alone because of overload, sure of it or not.
        abstained: the most probable sentiment is too unsure for its label to be acted on. The probabilities mean what
            they say all the same, so whatever counts by them, as the monitor does, counts this one too.
        windows: pieces that a long text was read in; 1 for all others.
        model: which model answered; None where whoever asked knows.
        own_topics: probability by name, of the topics that the user added.
    """

    negative: float
    neutral: float
    positive: float
    label: str
    topics: tuple[float, ...]
    topic: str
    topic_probability: float
    truncated: bool
    tokens: int
    tier: Tier = "transformer"
    cached: bool = False
    degraded: bool = False
    abstained: bool = False
    windows: int = 1
    model: ModelId | None = None
    own_topics: tuple[tuple[str, float], ...] = ()


class Scorer(Protocol):
    """What the stream needs of a classifier: `Classifier` and `testing.FakeClassifier` both satisfy it."""

    @property
    def model(self) -> ModelId:
        """Which model answers."""
        ...

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Return one prediction per text, in order; a text's answer depends on nothing but the text."""
        ...


class DegradableScorer(Scorer, Protocol):
    """A scorer that has a quick answer for when it is overloaded."""

    def predict_quickly(self, texts: Sequence[str]) -> list[Prediction]:
        """Return one prediction per text at a fraction of the cost; what is less sure for it is marked `degraded`."""
        ...


def predict_quickly(scorer: Scorer, texts: Sequence[str]) -> list[Prediction]:
    """Return a scorer's quick answers, or its usual ones if it has none."""
    quick = getattr(scorer, "predict_quickly", None)
    return scorer.predict(texts) if quick is None else list(quick(texts))


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the softmax over the last axis of logits [rows, classes]."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), dtype=np.float64)


def round_probabilities(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round rows [rows, classes] to four decimals so that each row still sums to 1 and keeps its order.

    The largest-remainder method: units of 0.0001 are rounded down, and those missing go to the largest
    remainders (the earlier class first where remainders are equal).
    """
    units_in_one = 10**PROBABILITY_DECIMALS
    scaled = probabilities * units_in_one
    units = np.floor(scaled)
    missing = np.rint(units_in_one - units.sum(axis=-1)).astype(np.int64)
    by_remainder = np.argsort(units - scaled, axis=-1, kind="stable")
    rank = np.argsort(by_remainder, axis=-1, kind="stable")
    units += rank < missing[:, np.newaxis]
    return np.asarray(units / units_in_one, dtype=np.float64)


def build_predictions(
    sentiment: NDArray[np.float64],
    topic: NDArray[np.float64],
    tokens: Sequence[int],
    truncated: Sequence[bool],
    *,
    windows: Sequence[int] | None = None,
    abstain_below: float = 0.0,
) -> list[Prediction]:
    """Turn probabilities [rows, sentiments] and [rows, topics] into predictions, rounding them.

    Args:
        sentiment, topic: the probabilities.
        tokens: tokens read of each text.
        truncated: whether part of it was not read.
        windows: pieces that each text was read in; None is one for all.
        abstain_below: sentiments whose rounded probability is below this are abstained.
    """
    sentiments, topics = round_probabilities(sentiment), round_probabilities(topic)
    labels, best = sentiment.argmax(axis=-1).tolist(), topic.argmax(axis=-1).tolist()
    pieces = [1] * len(tokens) if windows is None else windows
    return [
        Prediction(
            negative,
            neutral,
            positive,
            SENTIMENTS[label],
            tuple(twenty),
            TOPIC_IDS[top],
            twenty[top],
            cut,
            count,
            abstained=max(negative, neutral, positive) < abstain_below,
            windows=of_text,
        )
        for (negative, neutral, positive), twenty, label, top, count, cut, of_text in zip(
            sentiments.tolist(), topics.tolist(), labels, best, tokens, truncated, pieces, strict=True
        )
    ]
