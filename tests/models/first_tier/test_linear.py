"""A text's answer is its own, bit for bit, and weights that cannot be are refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models.benchmark import generate_texts
from models.first_tier.guarantee import UNPROVED
from models.first_tier.linear import (
    CLASSES,
    CONFIDENCE_INPUTS,
    CONSTANT_INPUT,
    HASH_BITS,
    LinearTier,
    TierWeights,
    confidence_inputs,
)
from tests.models.first_tier.toy_tier import toy_tier, toy_weights


def random_tier() -> LinearTier:
    """Return a tier in which one n-gram in four has weights."""
    generator = np.random.default_rng(3)
    ngrams = np.flatnonzero(generator.random(1 << HASH_BITS) < 0.25).astype(np.uint32)
    return LinearTier(
        TierWeights(
            ngrams=ngrams,
            weights=generator.integers(-127, 128, (len(ngrams), CLASSES)).astype(np.int8),
            scales=generator.uniform(0.01, 0.02, CLASSES),
            bias=generator.normal(0.0, 1.0, CLASSES),
            confidence=generator.normal(0.0, 0.5, CONFIDENCE_INPUTS),
        ),
        UNPROVED,
    )


def test_a_texts_answer_does_not_depend_on_the_texts_beside_it() -> None:
    tier, texts = random_tier(), ["", *generate_texts(1_300)]
    together = tier.answer(texts)
    for at in (0, 1, 511, 512, 700, 1_300):
        alone = tier.answer([texts[at]])
        for name in ("sentiment", "topic", "confidence", "words"):
            assert (getattr(alone, name)[0] == getattr(together, name)[at]).all(), (name, at)


def test_the_weights_of_an_n_gram_count_as_often_as_it_comes() -> None:
    tier = toy_tier()
    once, twice = tier.answer(["ruin flat flat"]), tier.answer(["ruin ruin flat"])
    assert once.sentiment.argmax() == 1
    assert twice.sentiment.argmax() == 0


def test_a_text_without_a_known_n_gram_has_no_confidence() -> None:
    tier = random_tier()
    empty = replace(
        tier, weights=replace(tier.weights, ngrams=tier.weights.ngrams[:0], weights=tier.weights.weights[:0])
    )
    answers = empty.answer(["Dunmore Bank falls", ""])
    assert answers.confidence.tolist() == [0.0, 0.0]
    assert np.allclose(answers.sentiment.sum(axis=1), 1.0)


def test_the_inputs_of_the_confidence_are_as_described() -> None:
    sentiment, topic = np.asarray([[0.7, 0.2, 0.1]]), np.full((1, 20), 0.5 / 19)
    topic[0, 4] = 0.5
    found = confidence_inputs(sentiment, topic, np.asarray([0.75]), np.asarray([9]))[0]
    odds = [
        np.log(0.7 / 0.3),
        np.log(0.2 / 0.8),
        0.0,
        np.log((0.5 / 19) / (1 - 0.5 / 19)),
        0.0,
        0.25,
        np.log(10.0),
        1.0,
    ]
    assert found[:8] == pytest.approx(odds)
    assert found[CONSTANT_INPUT] == 1.0
    assert np.flatnonzero(found[8:]).tolist() == [0, 3 + 4]


def test_no_texts_have_no_answers() -> None:
    assert len(random_tier().answer([]).confidence) == 0


def test_the_version_follows_whatever_decides_an_answer() -> None:
    tier = toy_tier()
    weights = tier.weights
    changed = [
        replace(weights, bias=weights.bias + 1e-9),
        replace(weights, scales=weights.scales * 2),
        replace(weights, confidence=weights.confidence + 1),
        replace(weights, weights=weights.weights + np.int8(1)),
        replace(weights, ngrams=weights.ngrams + np.uint32(1)),
    ]
    versions = {LinearTier(other, UNPROVED).version for other in changed} | {tier.version}
    assert len(versions) == len(changed) + 1
    assert LinearTier(toy_weights(), UNPROVED).version == tier.version


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"ngrams": np.asarray([3, 3, 4, 5], dtype=np.uint32)}, "rise strictly"),
        ({"ngrams": np.asarray([3, 4, 5, 1 << HASH_BITS], dtype=np.uint32)}, "fit 20 bits"),
        ({"weights": np.zeros((4, 3), dtype=np.int8)}, "weights must be int8"),
        ({"weights": np.zeros((4, CLASSES), dtype=np.float32)}, "weights must be int8"),
        ({"scales": np.full(CLASSES, np.nan)}, "scales holds"),
        ({"bias": np.zeros(2)}, "bias must be float64"),
        ({"confidence": np.full(CONFIDENCE_INPUTS, np.inf)}, "confidence holds"),
    ],
)
def test_weights_that_cannot_be_are_refused(change: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        replace(toy_weights(), **change)
