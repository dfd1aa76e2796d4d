"""A classifier without a network, for tests of everything that stands on one. No torch is imported here.

It looks words up in a small lexicon of our own, so a test can write a text and know its sentiment; the numbers
beyond that come from a hash of the text, so they differ between texts and never between runs.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import numpy as np

from models.bounds import shorten
from models.labels import TOPIC_IDS
from models.prediction import ModelId, Prediction, build_predictions, softmax
from models.text import prepare

NEGATIVE_WORDS = frozenset((
    "bankruptcy", "breach", "cuts", "default", "downgrade", "falls", "fraud", "halts", "investigation",
    "layoffs", "loses", "loss", "lawsuit", "misses", "outage", "plunges", "probe", "recall", "resigns",
    "scandal", "sinks", "slashes", "slump", "strike", "tumbles", "warning", "weak", "worse",
))  # fmt: skip
"""Words that make the double call a text negative."""

POSITIVE_WORDS = frozenset((
    "approval", "beats", "better", "boosts", "climbs", "gain", "gains", "grows", "growth", "jumps",
    "profit", "raises", "rally", "record", "recovers", "rises", "soars", "strong", "surges", "tops",
    "upgrade", "wins",
))  # fmt: skip
"""Words that make the double call a text positive."""

TOPIC_WORDS: dict[str, str] = {
    "analyst": "analyst-update",
    "downgrade": "analyst-update",
    "upgrade": "analyst-update",
    "rates": "central-banks",
    "launches": "company-news",
    "outage": "company-news",
    "recall": "company-news",
    "bond": "debt",
    "dividend": "dividend",
    "earnings": "earnings",
    "quarter": "earnings",
    "oil": "energy",
    "dollar": "currencies",
    "gold": "metals",
    "fraud": "legal",
    "investigation": "legal",
    "lawsuit": "legal",
    "probe": "legal",
    "merger": "deals",
    "inflation": "macro",
    "index": "markets",
    "election": "politics",
    "resigns": "people",
    "shares": "price-move",
}
"""From a word to the topic that the double answers with when the word occurs; the first one in the text wins."""

_WORD = re.compile(r"[^\W\d_]+")
_DEFAULT_TOPIC = "commentary"


class FakeClassifier:
    """Answers like `models.Classifier`, from a lexicon: deterministic, fast, and knowable in advance.

    Args:
        max_length: words that are read; longer texts are truncated, and say so.
        name, version: what `model` answers.
    """

    def __init__(self, *, max_length: int = 256, name: str = "fake", version: str = "0" * 12) -> None:
        self._max_length = max_length
        self._model = ModelId(name, version)
        self.calls: list[int] = []
        """Number of texts in each call so far."""

    @property
    def model(self) -> ModelId:
        """The name and version given at construction."""
        return self._model

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Return one prediction per text, in order."""
        if isinstance(texts, str):
            raise TypeError("predict takes a list of texts, got one string; write predict([text])")
        self.calls.append(len(texts))
        words = [_WORD.findall(prepare(shorten(text)).casefold()) for text in texts]
        read = [found[: self._max_length] for found in words]
        sentiment = np.asarray([_sentiment_logits(found) for found in read]).reshape(-1, 3)
        topic = np.asarray([_topic_logits(found) for found in read]).reshape(-1, len(TOPIC_IDS))
        truncated = [len(found) > self._max_length for found in words]
        return build_predictions(softmax(sentiment), softmax(topic), [len(found) + 2 for found in read], truncated)


def _sentiment_logits(words: Sequence[str]) -> tuple[float, float, float]:
    """Return logits for negative, neutral and positive: the side with more words wins, a tie is neutral."""
    negative = sum(word in NEGATIVE_WORDS for word in words)
    positive = sum(word in POSITIVE_WORDS for word in words)
    lead = max(-2, min(2, positive - negative))
    jitter = _unit(words)
    return -2.0 * lead + jitter, 1.0, 2.0 * lead - jitter


def _topic_logits(words: Sequence[str]) -> list[float]:
    chosen = next((TOPIC_WORDS[word] for word in words if word in TOPIC_WORDS), _DEFAULT_TOPIC)
    return [4.0 + _unit(words) if topic == chosen else 0.0 for topic in TOPIC_IDS]


def _unit(words: Sequence[str]) -> float:
    """Return a number in [0, 1) that depends on the words alone."""
    return hashlib.sha256(" ".join(words).encode()).digest()[0] / 256
