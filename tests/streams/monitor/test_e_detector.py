"""The share e-detector: the same numbers as its definition, and the time to a false alarm that it promises."""

from __future__ import annotations

import math
import random
from statistics import mean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.monitor.e_detector import (
    FADE_HALF_LIFE_MIN,
    LONGEST_WAIT_MIN,
    NOTHING,
    ODDS,
    gain,
    step,
    term,
    weighed,
)

NULL = 0.37
shares = st.floats(0, 1)
nulls = st.floats(0.0, 0.95)
waits = st.integers(1, 300)
votes_of_a_bin = st.lists(shares, min_size=1, max_size=4)


def after(log_e: float, votes: list[float], null_mean: float = NULL, waited_min: float = 1.0) -> float:
    return step(log_e, gain(weighed(votes), len(votes), null_mean), waited_min=waited_min)


def directly(bins: list[tuple[float, list[float]]], null_mean: float) -> float:
    """The sum by its definition: of every start, its minutes, what is left of them, and the factors since then."""
    total = 0.0
    for begin, (waited, _) in enumerate(bins):
        since = sum(wait for wait, _ in bins[begin + 1 :])
        odds = [(1 + (ODDS - 1) * p) / (1 + (ODDS - 1) * null_mean) for _, votes in bins[begin:] for p in votes]
        total += min(waited, LONGEST_WAIT_MIN) * 0.5 ** (since / FADE_HALF_LIFE_MIN) * math.prod(odds)
    return total


@given(st.lists(st.tuples(waits, votes_of_a_bin), min_size=1, max_size=12), nulls)
def test_the_recursion_is_the_sum_over_all_starts(bins: list[tuple[float, list[float]]], null_mean: float) -> None:
    log_e = NOTHING
    for waited, votes in bins:
        log_e = after(log_e, votes, null_mean, waited)
    assert log_e == pytest.approx(math.log(directly(bins, null_mean)), rel=1e-9, abs=1e-9)


@given(shares, nulls)
def test_no_vote_can_bankrupt_the_bet(negative: float, null_mean: float) -> None:
    assert -math.log(ODDS) <= term(negative, null_mean) <= math.log(ODDS)


@given(shares, nulls)
def test_the_bet_is_fair_at_the_null_mean_and_never_better_below_it(negative: float, null_mean: float) -> None:
    bet = (ODDS - 1) / (1 + (ODDS - 1) * null_mean)
    assert math.exp(term(negative, null_mean)) == pytest.approx(1 + bet * (negative - null_mean))
    assert (term(negative, null_mean) > 0) == (negative > null_mean) or negative == pytest.approx(null_mean)


@given(st.floats(0.001, 0.5))
def test_a_vote_that_is_surely_negative_multiplies_the_odds_and_one_that_is_not_is_worth_the_rest(usual: float) -> None:
    for_, against = math.exp(term(1.0, usual)), math.exp(term(0.0, usual))
    assert for_ / against == pytest.approx(ODDS)
    assert usual * for_ + (1 - usual) * against == pytest.approx(1)


@given(votes_of_a_bin, nulls)
def test_the_votes_of_a_bin_add_up_to_its_evidence(votes: list[float], null_mean: float) -> None:
    assert math.fsum(term(vote, null_mean) for vote in votes) == pytest.approx(
        gain(weighed(votes), len(votes), null_mean), abs=1e-12
    )


@given(st.lists(st.tuples(waits, votes_of_a_bin), min_size=1, max_size=12), st.floats(0.0, 0.9), st.data())
def test_without_one_vote_the_e_value_is_no_less_than_with_its_factor_taken_off(
    bins: list[tuple[float, list[float]]], null_mean: float, data: st.DataObject
) -> None:
    """What an alert's counterfactual rests on: "would still fire" errs on the side of no."""
    place = data.draw(st.integers(0, len(bins) - 1))
    strong = data.draw(st.floats(null_mean, 1.0))
    whole = without = NOTHING
    for number, (waited, votes) in enumerate(bins):
        whole = after(whole, [*votes, strong] if number == place else votes, null_mean, waited)
        without = after(without, votes, null_mean, waited)
    assert whole - term(strong, null_mean) <= without + 1e-9


def test_the_order_within_a_bin_does_not_matter_to_the_last_bit() -> None:
    votes = [random.Random(7 + i).random() for i in range(30)]
    assert after(NOTHING, votes) == after(NOTHING, votes[::-1])


def test_evidence_fades_and_a_feed_that_was_down_starts_no_more_than_a_quarter_of_an_hour() -> None:
    strong = math.log(1e6)
    assert step(strong, 0.0, waited_min=45) == pytest.approx(math.log(5e5 + 15))
    assert math.exp(step(strong, 0.0, waited_min=60 * 24 * 30)) == pytest.approx(LONGEST_WAIT_MIN)
    assert math.exp(step(NOTHING, 0.0, waited_min=1)) == pytest.approx(1)


def test_evidence_without_end_does_not_overflow() -> None:
    log_e = NOTHING
    for _ in range(3000):
        log_e = after(log_e, [1.0])
    assert math.isfinite(math.exp(log_e))
    assert after(log_e, [0.0]) < log_e


def minutes_to_alarm(rng: random.Random, draw: str, threshold: float, longest: float) -> float:
    """Minutes of the clock until a false alarm, the mean of every vote being as high as the null hypothesis allows."""
    log_e, clock = NOTHING, 0.0
    while clock < longest:
        waited = rng.choice([1, 1, 1, 2, 7, 25])
        clock += waited
        log_e = after(log_e, [_vote(rng, draw) for _ in range(rng.choice([1, 1, 2, 5]))], waited_min=waited)
        if log_e >= math.log(threshold):
            return clock
    return longest


def _vote(rng: random.Random, draw: str) -> float:
    if draw == "all or nothing":
        return float(rng.random() < NULL)
    if draw == "unsure":
        return NULL + rng.uniform(-0.2, 0.2)
    return rng.betavariate(NULL, 1 - NULL)


@pytest.mark.parametrize("draw", ["all or nothing", "unsure", "like a classifier's"])
def test_by_chance_it_fires_no_sooner_than_promised_whatever_the_distribution(draw: str) -> None:
    threshold = 120.0
    rng = random.Random(20260318)
    times = [minutes_to_alarm(rng, draw, threshold, 6000) for _ in range(800)]  # cutting off only makes them less
    assert mean(times) - 3 * stdev(times) / math.sqrt(len(times)) >= threshold


def test_a_real_rise_is_found_far_sooner() -> None:
    rng = random.Random(5)

    def found() -> int:
        log_e, bins = NOTHING, 0
        while log_e < math.log(1440.0):
            log_e = after(log_e, [float(rng.random() < 0.8)])
            bins += 1
        return bins

    assert sum(found() for _ in range(200)) / 200 < 20
