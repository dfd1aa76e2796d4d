"""The share e-detector: the same numbers as its definition, and the run length that it promises."""

from __future__ import annotations

import math
import random
from statistics import mean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.monitor.e_detector import BETS, bet_weights, fresh, log_e_value, step, terms

NULL = 0.37
shares = st.floats(0, 1)
nulls = st.floats(0.001, 0.95)


def directly(bins: list[list[float]], null_mean: float) -> float:
    """The Shiryaev-Roberts sum by its definition: over every possible beginning, the product since then."""
    total = 0.0
    for bet in BETS:
        bet = min(bet, 0.95 / null_mean)
        for begin in range(len(bins)):
            total += math.prod(1 + bet * (vote - null_mean) for later in bins[begin:] for vote in later)
    return total / len(BETS)


@given(st.lists(st.lists(shares, min_size=1, max_size=4), min_size=1, max_size=12), nulls)
def test_the_recursion_is_the_sum_over_all_beginnings(bins: list[list[float]], null_mean: float) -> None:
    logs = fresh()
    for votes in bins:
        logs = step(logs, [terms(vote, null_mean) for vote in votes])
    assert math.exp(log_e_value(logs)) == pytest.approx(directly(bins, null_mean), rel=1e-9)


@given(shares, nulls)
def test_no_vote_can_bankrupt_a_bet(negative: float, null_mean: float) -> None:
    for term in terms(negative, null_mean):
        assert math.isfinite(term)
        assert term >= math.log(0.05) - 1e-9


@given(shares, nulls)
def test_a_bet_is_fair_at_the_null_mean_and_never_better_below_it(negative: float, null_mean: float) -> None:
    for bet, term in zip(BETS, terms(negative, null_mean), strict=True):
        held = min(bet, 0.95 / null_mean)
        assert math.exp(term) == pytest.approx(1 + held * (negative - null_mean))
        assert (term > 0) == (negative > null_mean) or term == pytest.approx(0, abs=1e-12)


def test_nothing_seen_is_no_evidence() -> None:
    assert log_e_value(fresh()) == -math.inf
    assert bet_weights(fresh()) == pytest.approx([1 / 3] * 3)
    assert math.exp(log_e_value(step(fresh(), []))) == pytest.approx(1)


def test_the_order_within_a_bin_does_not_matter_to_the_last_bit() -> None:
    votes = [terms(random.Random(7 + i).random(), NULL) for i in range(30)]
    assert step(fresh(), votes) == step(fresh(), votes[::-1])


def test_evidence_without_end_does_not_overflow() -> None:
    logs = fresh()
    for _ in range(3000):
        logs = step(logs, [terms(1.0, NULL)])
    assert math.isfinite(math.exp(log_e_value(logs)))
    assert step(logs, [terms(0.0, NULL)]) < logs


@given(st.lists(st.floats(-700, 700), min_size=3, max_size=3))
def test_the_weights_of_the_bets_are_their_parts_of_the_evidence(logs: list[float]) -> None:
    weights = bet_weights(logs)
    assert math.fsum(weights) == pytest.approx(1)
    assert sorted(weights) == [weights[i] for i in sorted(range(3), key=lambda i: logs[i])]


def run_length(rng: random.Random, draw: str, threshold: float, longest: int) -> int:
    logs = fresh()
    for bins in range(1, longest + 1):
        votes = [_vote(rng, draw) for _ in range(rng.choice([1, 1, 2, 5]))]
        logs = step(logs, [terms(vote, NULL) for vote in votes])
        if log_e_value(logs) >= math.log(threshold):
            return bins
    return longest


def _vote(rng: random.Random, draw: str) -> float:
    """A vote whose mean is the null mean: the hardest case of "at most"."""
    if draw == "all or nothing":
        return float(rng.random() < NULL)
    if draw == "unsure":
        return NULL + rng.uniform(-0.2, 0.2)
    return rng.betavariate(NULL, 1 - NULL)


@pytest.mark.parametrize("draw", ["all or nothing", "unsure", "like a classifier's"])
def test_by_chance_it_fires_no_sooner_than_promised_whatever_the_distribution(draw: str) -> None:
    threshold = 50.0
    rng = random.Random(20260318)
    lengths = [run_length(rng, draw, threshold, 1500) for _ in range(2000)]  # cutting off only makes them less
    assert mean(lengths) + 3 * stdev(lengths) / math.sqrt(len(lengths)) >= threshold
    assert mean(lengths) > 0.97 * threshold


def test_a_real_rise_is_found_far_sooner() -> None:
    rng = random.Random(5)

    def found() -> int:
        logs, bins = fresh(), 0
        while log_e_value(logs) < math.log(50.0):
            logs = step(logs, [terms(float(rng.random() < 0.8), NULL)])
            bins += 1
        return bins

    assert sum(found() for _ in range(200)) / 200 < 12
