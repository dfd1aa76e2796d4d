"""The tier that ships with the model: it belongs to it, is small, fast, and proved at the level of the default."""

from __future__ import annotations

import time

import pytest

from models.benchmark import generate_texts
from models.files import DEFAULT_MODEL, read_manifest
from models.first_tier import LinearTier, load_tier
from models.first_tier.files import TIER_MANIFEST, TIER_WEIGHTS


@pytest.fixture(scope="module")
def tier() -> LinearTier:
    return load_tier(DEFAULT_MODEL, read_manifest(DEFAULT_MODEL))


def test_it_proves_the_default_level_and_answers_a_share_worth_having(tier: LinearTier) -> None:
    certificate = tier.certificate()
    assert certificate is not None
    assert certificate.agreement_bound >= 0.99
    assert certificate.coverage > 0.1
    assert certificate.deviation_bound < 0.03


def test_it_knows_a_plain_line_and_not_one_in_another_language(tier: LinearTier) -> None:
    answers = tier.answer(["Fennick Labs declares a quarterly dividend of $0.25 per share", "某公司宣布派息"])
    assert answers.topic[0].argmax() == 4
    assert answers.confidence[0] > answers.confidence[1]


def test_it_is_small_and_answers_20000_texts_a_second_of_one_core(tier: LinearTier) -> None:
    assert sum((DEFAULT_MODEL / name).stat().st_size for name in (TIER_WEIGHTS, TIER_MANIFEST)) < 2_000_000
    texts = generate_texts(4_000)
    spent: list[float] = []
    for _ in range(5):
        started = time.thread_time()
        tier.answer(texts)
        spent.append(time.thread_time() - started)
    assert len(texts) / min(spent) > 20_000
