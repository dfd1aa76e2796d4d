from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.watch.embedding import DIMENSIONS, MARKED, Cloud, Points, PointWindow, point
from streams.watch.signals import word_hashes

COMMON = [f"common{chr(97 + number // 26)}{chr(97 + number % 26)}" for number in range(60)]


def texts(count: int, own: str, seed: int, share: float = 0.3) -> Points:
    """Points of invented texts: common words, and a share of a domain's own."""
    dice = random.Random(seed)
    words = [f"{own}{chr(97 + number // 26)}{chr(97 + number % 26)}" for number in range(40)]
    found = []
    for _ in range(count):
        chosen = [dice.choice(words if dice.random() < share else COMMON) for _ in range(dice.randint(5, 25))]
        found.append(point(word_hashes(" ".join(chosen))))
    return np.array(found, dtype=np.float32).reshape(-1, DIMENSIONS)


def distance(reference: Points, window: Points) -> float:
    mean = window.mean(axis=0, dtype=np.float64)
    return Cloud.of(reference).distance(mean, len(window), len(reference))


def test_texts_of_the_same_kind_lie_together_however_few_they_are() -> None:
    reference = texts(3_000, "bank", seed=1)
    for count in (100, 500, 3_000):
        found = [distance(reference, texts(count, "bank", seed=seed)) for seed in range(2, 8)]
        assert max(found) < MARKED / 2 + 4 / math.sqrt(count), found


def test_texts_of_another_domain_lie_away_the_more_of_them_there_are() -> None:
    reference = texts(3_000, "bank", seed=1)
    mixed = [
        distance(reference, np.concatenate([texts(1_000 - others, "bank", 5), texts(others, "sport", 6)]))
        for others in (0, 300, 1_000)
    ]
    assert mixed == sorted(mixed)
    assert mixed[-1] > MARKED


def test_the_distance_is_the_difference_of_the_means_in_standard_deviations() -> None:
    draw = np.random.default_rng(3)
    spread = draw.normal(size=(200_000, DIMENSIONS)).astype(np.float32)
    shift = np.zeros(DIMENSIONS)
    shift[4] = 1.0
    cloud = Cloud.of(spread)
    assert cloud.distance(shift, 100_000, 200_000) == pytest.approx(1.0, abs=0.05)
    assert cloud.distance(2 * shift, 100_000, 200_000) == pytest.approx(2.0, abs=0.1)


def test_a_domain_classifier_tells_texts_apart_as_well_as_the_distance_says() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    reference, window = texts(3_000, "bank", 1, share=0.15), texts(3_000, "sport", 2, share=0.15)
    both = np.concatenate([reference, window])
    side = np.repeat([0, 1], 3_000)
    auc = roc_auc_score(side, LogisticRegression(max_iter=500).fit(both, side).predict_proba(both)[:, 1])
    expected = 0.5 * (1 + math.erf(distance(reference, window) / 2))
    assert auc == pytest.approx(expected, abs=0.05)


def test_a_text_without_words_lies_at_the_origin_and_the_order_of_words_does_not_matter() -> None:
    assert not point([]).any()
    assert (point(word_hashes("shares fall")) == point(word_hashes("FALL, shares!"))).all()
    assert np.linalg.norm(point(word_hashes("bank"))) == pytest.approx(math.sqrt(DIMENSIONS))


def test_a_cloud_comes_back_as_it_was_packed() -> None:
    cloud = Cloud.of(texts(200, "bank", seed=1))
    again = Cloud.unpacked(cloud.packed())
    assert np.allclose(again.mean, cloud.mean, atol=1e-5)
    assert np.allclose(again.covariance, cloud.covariance, atol=1e-5)


@pytest.mark.parametrize("spoilt", ["", "AAAA", "!", "A" * 5632])
def test_what_is_no_cloud_is_refused(spoilt: str) -> None:
    with pytest.raises(ValueError):  # each in its own words
        Cloud.unpacked(spoilt)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 12), st.lists(st.integers(0, 2**32 - 1), max_size=40))
def test_the_window_holds_the_latest(size: int, words: list[int]) -> None:
    window = PointWindow(size)
    for word in words:
        window.add(point([word]))
    assert len(window) == min(size, len(words))
    expected = np.array([point([word]) for word in words[-size:]]).mean(axis=0) if words else np.zeros(DIMENSIONS)
    assert np.allclose(window.mean(), expected, atol=1e-6)
