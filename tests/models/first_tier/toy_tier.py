"""A tier of four words, written down instead of learned: a test can tell its answers beforehand."""

from __future__ import annotations

import numpy as np

from models.calibration import UNCALIBRATED, Calibration
from models.first_tier.features import hash_texts
from models.first_tier.guarantee import Curve
from models.first_tier.linear import CLASSES, CONFIDENCE_INPUTS, HASH_BITS, LinearTier, TierWeights
from models.labels import TOPIC_IDS

NEGATIVE, NEUTRAL, POSITIVE = 0, 1, 2
WORDS = {"ruin": (NEGATIVE, "legal"), "flat": (NEUTRAL, "markets"), "boon": (POSITIVE, "earnings")}
"""From a word to the sentiment and topic that it makes certain."""
DULL = "perhaps"
"""A word that is known and says nothing."""


def number(word: str) -> int:
    """Return the number of a word's n-gram."""
    return int(hash_texts([word]).hashes[0] >> np.uint64(64 - HASH_BITS))


def toy_weights() -> TierWeights:
    """Return weights that make a text of one of the words certain, and one of the dull word alone a guess."""
    rows = {number(word): (sentiment, 3 + TOPIC_IDS.index(topic)) for word, (sentiment, topic) in WORDS.items()}
    rows[number(DULL)] = ()
    ngrams = np.asarray(sorted(rows), dtype=np.uint32)
    weights = np.zeros((len(ngrams), CLASSES), dtype=np.int8)
    for at, name in enumerate(ngrams.tolist()):
        for column in rows[name]:
            weights[at, column] = 120
    return TierWeights(
        ngrams=ngrams,
        weights=weights,
        scales=np.full(CLASSES, 0.1),
        bias=np.zeros(CLASSES),
        confidence=np.where(np.arange(CONFIDENCE_INPUTS) == 4, 1.0, 0.0),  # the lower of the two log-odds
    )


def proven_curve(threshold: float = 0.9, answered: int = 5_000, errors: int = 0) -> Curve:
    """Return a curve of one threshold."""
    counts, wrong = np.asarray([answered]), np.asarray([errors])
    return Curve(
        thresholds=np.asarray([threshold]),
        tuning_answered=counts,
        tuning_errors=wrong,
        answered=counts,
        errors=wrong,
        deviation=np.asarray([0.01 * answered]),
        deviation_squares=np.asarray([0.0002 * answered]),
        tuning_texts=2 * answered,
        calibration_texts=2 * answered,
    )


def toy_tier(curve: Curve | None = None, calibration: Calibration = UNCALIBRATED) -> LinearTier:
    """Return a tier that knows four words; without a curve, one with 0.9 as its proven threshold."""
    return LinearTier(toy_weights(), curve or proven_curve(), calibration)
