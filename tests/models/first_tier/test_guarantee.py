"""The threshold keeps its level as often as it says, and none is named that the counts do not prove."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import beta, binom

from models.first_tier.guarantee import UNPROVED, Curve, binomial_tail, certify, error_bound, mean_bound
from tests.models.first_tier.toy_tier import proven_curve

GRID = np.linspace(0.98, 0.0, 50)


def draw(generator: np.random.Generator, texts: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return confidences, and which texts disagree: with the probability (1 - confidence) / 4."""
    confidence = generator.random(texts)
    return confidence, generator.random(texts) < (1.0 - confidence) / 4


def counted(tuning: tuple[NDArray, NDArray], proof: tuple[NDArray, NDArray]) -> Curve:
    def counts(confidence: NDArray, wrong: NDArray) -> tuple[NDArray, NDArray]:
        first = np.searchsorted(-GRID, -confidence)  # the strictest threshold that each reaches
        reached = [np.bincount(first[rows], minlength=len(GRID) + 1) for rows in (slice(None), wrong)]
        return np.cumsum(reached[0])[: len(GRID)], np.cumsum(reached[1])[: len(GRID)]

    answered, errors = counts(*proof)
    tuned = counts(*tuning)
    return Curve(GRID, *tuned, answered, errors, 0.1 * answered, 0.02 * answered, len(tuning[0]), len(proof[0]))


@pytest.mark.parametrize(("level", "texts"), [(0.9, 1_000), (0.97, 4_000), (0.99, 30_000)])
def test_the_level_is_missed_no_more_often_than_the_risk_says(level: float, texts: int) -> None:
    generator = np.random.default_rng(5)
    risk, runs, missed, found = 0.1, 400, 0, 0
    for _ in range(runs):
        certificate = certify(counted(draw(generator, texts // 2), draw(generator, texts)), level, risk)
        if certificate is not None:
            found += 1
            # Above a threshold t the confidence is even over [t, 1], so that (1 - t) / 8 of the texts disagree.
            missed += (1.0 - certificate.threshold) / 8 > 1.0 - level
    assert found > runs / 2
    # Four standard errors above the risk; a threshold without a bound misses in about half of the runs.
    assert missed / runs <= risk + 4 * (risk * (1 - risk) / runs) ** 0.5


def test_a_threshold_that_only_looks_right_is_not_taken() -> None:
    generator = np.random.default_rng(6)
    stricter = 0
    for _ in range(50):
        curve = counted(draw(generator, 2_000), draw(generator, 4_000))
        certificate = certify(curve, 0.95)
        if certificate is not None:
            looks_right = GRID[curve.errors <= 0.05 * curve.answered].min()
            stricter += certificate.threshold > looks_right
            assert certificate.agreement_bound >= 0.95
    assert stricter > 40


def test_299_answers_without_an_error_prove_99_per_cent_and_298_do_not() -> None:
    assert certify(proven_curve(answered=298), 0.99) is None
    certificate = certify(proven_curve(answered=299), 0.99)
    assert certificate is not None
    assert (certificate.coverage, certificate.errors) == (0.5, 0)


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(0, 4_000), st.sampled_from([0.001, 0.01, 0.05, 0.3]))
def test_the_binomial_tail_is_that_of_scipy(errors: int, more: int, rate: float) -> None:
    trials = errors + more
    assert binomial_tail(errors, trials, rate) == pytest.approx(binom.cdf(errors, trials, rate), rel=1e-7, abs=1e-200)


def test_the_binomial_tail_of_very_many_texts_does_not_vanish() -> None:
    assert binomial_tail(49_800, 1_000_000, 0.05) == pytest.approx(binom.cdf(49_800, 1_000_000, 0.05), rel=1e-6)


@settings(deadline=None)
@given(st.integers(0, 50), st.integers(1, 3_000), st.sampled_from([0.01, 0.05, 0.2]))
def test_the_error_bound_is_clopper_and_pearsons(errors: int, more: int, risk: float) -> None:
    bound = error_bound(errors, errors + more, risk)
    assert bound == pytest.approx(beta.ppf(1 - risk, errors + 1, more), abs=1e-6)


def test_the_bound_of_a_mean_holds_as_often_as_it_says() -> None:
    generator = np.random.default_rng(7)
    low = 0
    for _ in range(300):
        values = generator.beta(0.3, 8.0, 400)
        low += mean_bound(values.sum(), (values**2).sum(), 400, 0.05) < 0.3 / 8.3
    assert low <= 15
    assert mean_bound(0.1, 0.1, 1, 0.05) == 1.0


def test_a_stricter_level_never_answers_more() -> None:
    generator = np.random.default_rng(8)
    curve = counted(draw(generator, 5_000), draw(generator, 20_000))
    found = [certify(curve, level) for level in (0.8, 0.9, 0.95, 0.97, 0.99)]
    coverage = [certificate.coverage if certificate else 0.0 for certificate in found]
    assert coverage == sorted(coverage, reverse=True)
    assert coverage[0] > coverage[-1]


def test_nothing_is_proved_where_nothing_was_counted_or_all_is_wrong() -> None:
    assert certify(UNPROVED) is None
    assert certify(proven_curve(errors=5_000)) is None
    assert certify(proven_curve(errors=500)) is None


def test_tuning_texts_prove_nothing() -> None:
    counts, none = np.asarray([9_000]), np.asarray([0])
    curve = Curve(np.asarray([0.5]), counts, none, np.asarray([100]), none, np.zeros(1), np.zeros(1), 10_000, 10_000)
    assert certify(curve, 0.99) is None


@pytest.mark.parametrize(("level", "risk"), [(0.0, 0.05), (1.0, 0.05), (0.99, 0.0), (0.99, 1.0), (float("nan"), 0.1)])
def test_a_level_or_risk_that_is_no_share_is_refused(level: float, risk: float) -> None:
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        certify(proven_curve(), level, risk)


@pytest.mark.parametrize(
    ("thresholds", "answered", "errors", "texts", "match"),
    [
        ([], [], [], 10, "fall strictly"),
        ([0.5, 0.5], [1, 2], [0, 0], 10, "fall strictly"),
        ([0.5, 0.4], [3, 2], [0, 0], 10, "none may fall"),
        ([0.5, 0.4], [3], [0], 10, "one value per threshold"),
        ([0.5], [3], [4], 10, "more errors than answers"),
        ([0.5], [11], [4], 10, "11 answers to 10"),
    ],
)
def test_a_curve_that_cannot_be_is_refused(
    thresholds: list[float], answered: list[int], errors: list[int], texts: int, match: str
) -> None:
    counts, wrong = np.asarray(answered, dtype=np.int64), np.asarray(errors, dtype=np.int64)
    nothing = np.zeros(len(thresholds), dtype=np.int64)
    with pytest.raises(ValueError, match=match):
        Curve(np.asarray(thresholds), nothing, nothing, counts, wrong, nothing * 0.0, nothing * 0.0, texts, texts)
