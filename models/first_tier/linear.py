"""The linear tier: hashed n-grams, one weight per n-gram and class, and how likely the network is to agree.

A multinomial logistic regression per head, on n-grams divided by the root of their number. Weights are integers, and so
are their sums: a text's answer is the same whatever shares its call, in whatever order its n-grams are added up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.calibration import UNCALIBRATED, Calibration, calibrate
from models.first_tier.features import FEATURES_VERSION, TextFeatures, hash_texts
from models.first_tier.guarantee import DEFAULT_LEVEL, DEFAULT_RISK, Certificate, Curve, certify
from models.labels import SENTIMENTS, TOPICS
from models.prediction import softmax

CLASSES = len(SENTIMENTS) + len(TOPICS)
HASH_BITS = 20
"""An n-gram is known by so many bits of its hash. Of 50,000 n-grams one in 20 shares its number with another."""
CONFIDENCE_INPUTS = 8 + CLASSES
"""Numbers that the confidence is made of; see `confidence_inputs`."""
CONSTANT_INPUT = 7
"""The place of the one that is always 1."""

_CONFIDENCE_DECIMALS = 6
_CHUNK_TEXTS = 512


class TierAnswers(NamedTuple):
    """What a tier says of texts, in order."""

    sentiment: NDArray[np.float64]
    """Probabilities; [texts, sentiments]."""
    topic: NDArray[np.float64]
    """Probabilities; [texts, topics]."""
    confidence: NDArray[np.float64]
    """Estimated probability that the network has the same sentiment and the same topic; 0 where nothing is known."""
    words: NDArray[np.int64]
    """Words and marks that were read; [texts]."""
    cut: NDArray[np.bool_]
    """Whether a text's end was not read; [texts]."""


@dataclass(frozen=True, slots=True, eq=False)
class TierWeights:
    """All that decides a tier's answers.

    Attributes:
        ngrams: numbers of the n-grams that have weights, rising; uint32 [n-grams].
        weights: of each n-gram and class, in units of `scales`; int8 [n-grams, classes], sentiments before topics.
        scales: float64 [classes].
        bias: float64 [classes].
        confidence: weights of the inputs to the confidence (`confidence_inputs`); float64 [CONFIDENCE_INPUTS].
    """

    ngrams: NDArray[np.uint32]
    weights: NDArray[np.int8]
    scales: NDArray[np.float64]
    bias: NDArray[np.float64]
    confidence: NDArray[np.float64]

    def __post_init__(self) -> None:
        shapes: dict[str, tuple[NDArray[Any], type, tuple[int, ...]]] = {
            "ngrams": (self.ngrams, np.uint32, (len(self.ngrams),)),
            "weights": (self.weights, np.int8, (len(self.ngrams), CLASSES)),
            "scales": (self.scales, np.float64, (CLASSES,)),
            "bias": (self.bias, np.float64, (CLASSES,)),
            "confidence": (self.confidence, np.float64, (CONFIDENCE_INPUTS,)),
        }
        for name, (array, kind, shape) in shapes.items():
            if array.dtype != kind or array.shape != shape:
                raise ValueError(f"{name} must be {np.dtype(kind)} of shape {shape}, got {array.dtype} {array.shape}")
            if not np.isfinite(array).all():
                raise ValueError(f"{name} holds a number that is none")
        if (np.diff(self.ngrams.astype(np.int64)) <= 0).any() or (self.ngrams >> HASH_BITS).any():
            raise ValueError(f"ngrams must rise strictly and fit {HASH_BITS} bits")


@dataclass(frozen=True, slots=True)
class LinearTier:
    """A tier that is ready to answer; safe to call from several threads.

    Args:
        weights: what decides the answers.
        curve: what happens at each threshold, for `certificate`.
        calibration: that of the model that it stands before: the tier learned what the network says without it.
    """

    weights: TierWeights
    curve: Curve
    calibration: Calibration = UNCALIBRATED
    _rows: NDArray[np.int32] = field(init=False, repr=False)
    _padded: NDArray[np.int8] = field(init=False, repr=False)
    _version: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        count = len(self.weights.ngrams)
        rows = np.full(1 << HASH_BITS, count, dtype=np.int32)
        rows[self.weights.ngrams] = np.arange(count, dtype=np.int32)
        object.__setattr__(self, "_rows", rows)
        # The last row is that of all n-grams without weights.
        object.__setattr__(self, "_padded", np.vstack([self.weights.weights, np.zeros((1, CLASSES), dtype=np.int8)]))
        object.__setattr__(self, "_version", _fingerprint(self.weights))

    @property
    def version(self) -> str:
        """A short hash of all that decides its answers, apart from the calibration of the model before which it is."""
        return self._version

    def certificate(self, level: float = DEFAULT_LEVEL, risk: float = DEFAULT_RISK) -> Certificate | None:
        """Return the threshold that keeps a level of agreement with the network, or None if none is proved."""
        return certify(self.curve, level, risk)

    def answer(self, texts: Sequence[str]) -> TierAnswers:
        """Answer each text, and say how sure the tier is. Any string is accepted."""
        found = hash_texts(texts)
        logits, known = self.logits(found)
        first, second = logits[:, : len(SENTIMENTS)], logits[:, len(SENTIMENTS) :]
        inputs = confidence_inputs(softmax(first), softmax(second), known, found.words)
        # Column by column, not as a matrix product, whose last bits may depend on the number of rows.
        odds = np.zeros(len(inputs))
        for at, weight in enumerate(self.weights.confidence):
            odds += inputs[:, at] * weight
        confidence = np.round(_sigmoid(odds), _CONFIDENCE_DECIMALS)
        # Nothing was learned of a text without a known n-gram, nor counted on texts whose end was not read.
        confidence[(known == 0.0) | found.cut] = 0.0
        return TierAnswers(
            sentiment=softmax(calibrate(first, self.calibration.sentiment.temperature)),
            topic=softmax(calibrate(second, self.calibration.topic.temperature)),
            confidence=confidence,
            words=found.words,
            cut=found.cut,
        )

    def logits(self, found: TextFeatures) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return logits [texts, classes] and the share of each text's n-grams that have weights [texts]."""
        texts = len(found.starts) - 1
        sums = np.zeros((texts, CLASSES), dtype=np.int64)
        known = np.zeros(texts)
        counts = np.maximum(np.diff(found.starts), 1)
        for first in range(0, texts, _CHUNK_TEXTS):
            last = min(first + _CHUNK_TEXTS, texts)
            begin, end = found.starts[first], found.starts[last]
            rows = self._rows[found.hashes[begin:end] >> np.uint64(64 - HASH_BITS)]
            places = found.starts[first:last] - begin  # every text has at least one n-gram: no piece is empty
            sums[first:last] = np.add.reduceat(self._padded[rows], places, axis=0, dtype=np.int64)
            known[first:last] = np.add.reduceat(rows < len(self.weights.ngrams), places, dtype=np.int64)
        scaled = sums * self.weights.scales / np.sqrt(counts)[:, np.newaxis]
        return scaled + self.weights.bias, known / counts


def confidence_inputs(
    sentiment: NDArray[np.float64], topic: NDArray[np.float64], known: NDArray[np.float64], words: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return what the confidence is made of: [texts, CONFIDENCE_INPUTS].

    Log-odds of the best two sentiments and of the best two topics, the lower of the two best, the share of n-grams that
    are unknown, the logarithm of the number of words, 1, and which sentiment and which topic is the best: the network
    is followed more easily in some than in others.
    """
    first, topics = np.sort(_log_odds(sentiment), axis=1), np.sort(_log_odds(topic), axis=1)
    best = np.hstack([
        sentiment.argmax(axis=1)[:, np.newaxis] == np.arange(len(SENTIMENTS)),
        topic.argmax(axis=1)[:, np.newaxis] == np.arange(len(TOPICS)),
    ])  # fmt: skip
    numbers = (
        first[:, -1],
        first[:, -2],
        topics[:, -1],
        topics[:, -2],
        np.minimum(first[:, -1], topics[:, -1]),
        1.0 - known,
        np.log1p(words),
        np.ones(len(known)),
    )
    return np.hstack([np.stack(numbers, axis=1), best.astype(np.float64)])


def _log_odds(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    bounded = np.clip(probabilities, 1e-6, 1.0 - 1e-6)
    return np.asarray(np.log(bounded / (1.0 - bounded)), dtype=np.float64)


def _sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(values, -50.0, 50.0))), dtype=np.float64)


def _fingerprint(weights: TierWeights) -> str:
    digest = hashlib.sha256(f"{FEATURES_VERSION} {HASH_BITS}".encode())
    for array in (weights.ngrams, weights.weights, weights.scales, weights.bias, weights.confidence):
        digest.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()[:12]
