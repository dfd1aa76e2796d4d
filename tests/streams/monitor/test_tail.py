"""The tail of a stream of scores: its quantile, its clusters, and the return period read off them."""

from __future__ import annotations

import math
from random import Random
from statistics import geometric_mean

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.monitor.bins import DAY_MS, HOUR_MS
from streams.monitor.tail import (
    TailOptions,
    TailState,
    clusters_per_day,
    discount,
    history_days,
    mean_excess,
    observe,
    pass_quietly,
    period_days,
    shape,
)

OPTIONS = TailOptions()
STEP_MS = 300_000
SCORES = st.lists(st.floats(0, 30), min_size=1, max_size=120)


def learned(scores: list[float], state: TailState | None = None, *, from_step: int = 0) -> TailState:
    state = state or TailState()
    for i, score in enumerate(scores, from_step + 1):
        observe(state, OPTIONS, score, end_ms=i * STEP_MS, step_ms=STEP_MS)
    return state


def exponential(days: int, seed: int = 3) -> list[float]:
    rng = Random(seed)
    return [rng.expovariate(1) for _ in range(days * 288)]


def test_the_quantile_is_found_and_the_mean_excess_is_that_of_the_distribution() -> None:
    state = learned(exponential(90))
    assert state.quantile == pytest.approx(-math.log(0.01), abs=0.3)
    assert mean_excess(state, OPTIONS) == pytest.approx(1.5, abs=0.5)  # of peaks of one to three exceedances
    assert shape(state, OPTIONS) == pytest.approx(1, abs=0.25)


def test_independent_scores_have_the_return_period_that_they_should() -> None:
    states = [learned(exponential(90, seed)) for seed in range(6)]
    for days in (7, 14, 30):
        level = math.log(days * 288)
        fitted = [period_days(state, OPTIONS, level - state.quantile) for state in states]
        assert 0.67 < geometric_mean(fitted) / days < 2


def test_exceedances_close_together_are_one_cluster() -> None:
    state = TailState()
    for minute in (0, 5, 60, 170, 500):  # the last one is more than three hours after the one before
        observe(state, OPTIONS, 9, end_ms=DAY_MS + minute * 60_000, step_ms=STEP_MS)
    observe(state, OPTIONS, 0, end_ms=2 * DAY_MS, step_ms=STEP_MS)
    assert state.clusters == pytest.approx(2, abs=0.01)
    assert state.peak == 0


def test_a_cluster_does_not_judge_itself() -> None:
    state = learned(exponential(30))
    state.peak = 0.0
    end_ms = 31 * DAY_MS
    first = observe(state, OPTIONS, 12, end_ms=end_ms, step_ms=STEP_MS)
    again = observe(state, OPTIONS, 12, end_ms=end_ms + STEP_MS, step_ms=STEP_MS)
    after = observe(state, OPTIONS, 12, end_ms=end_ms + DAY_MS, step_ms=STEP_MS)
    assert first is not None
    assert again == pytest.approx(first, rel=0.1)
    assert after is not None
    assert after < 0.9 * first


def test_one_event_does_not_decide_what_is_rare() -> None:
    state = learned(exponential(60))
    before = mean_excess(state, OPTIONS)
    observe(state, OPTIONS, 1e6, end_ms=61 * DAY_MS, step_ms=STEP_MS)
    observe(state, OPTIONS, 0, end_ms=62 * DAY_MS, step_ms=STEP_MS)
    assert before < mean_excess(state, OPTIONS) < 1.5 * before


def test_without_clusters_the_priors_speak() -> None:
    assert mean_excess(TailState(), OPTIONS) == OPTIONS.prior_excess
    assert clusters_per_day(TailState(), OPTIONS) == OPTIONS.prior_per_day
    assert shape(TailState(), OPTIONS) == pytest.approx(1)
    assert period_days(TailState(), OPTIONS, 0) == 1


def test_the_largest_score_there_is_has_a_period_all_the_same() -> None:
    assert math.isfinite(period_days(learned(exponential(2)), OPTIONS, 1e300))


def test_a_heavy_tail_makes_the_same_excess_less_rare() -> None:
    light, heavy = TailState(), TailState()
    for i in range(60):
        for state, excess in ((light, 1.0), (heavy, 0.2 if i % 10 else 8.2)):
            state.clusters += 1
            state.excess += excess
            state.squares += excess * excess
        light.days = heavy.days = i + 1.0
    assert mean_excess(light, OPTIONS) == pytest.approx(mean_excess(heavy, OPTIONS))
    assert shape(heavy, OPTIONS) < 1 < shape(light, OPTIONS)
    assert period_days(heavy, OPTIONS, 5) < period_days(light, OPTIONS, 5)


def test_a_quiet_stretch_is_the_same_as_its_steps() -> None:
    steps, stretch = learned(exponential(5)), learned(exponential(5))
    learned([0.0] * 12, steps, from_step=5 * 288)
    pass_quietly(stretch, OPTIONS, end_ms=5 * DAY_MS + HOUR_MS, elapsed_ms=HOUR_MS, step_ms=STEP_MS)
    assert stretch.quantile == pytest.approx(steps.quantile, rel=1e-3)
    assert stretch.days == pytest.approx(steps.days, rel=1e-4)
    assert history_days(stretch) == history_days(steps) == pytest.approx(5 + 1 / 24)


def test_after_a_discount_new_clusters_count_for_more_and_the_history_stays() -> None:
    state = learned(exponential(20))
    clusters, mean = state.clusters, mean_excess(state, TailOptions(prior_weight=0))
    discount(state, 0.25)
    assert state.clusters == pytest.approx(clusters / 4)
    assert mean_excess(state, TailOptions(prior_weight=0)) == pytest.approx(mean)
    assert history_days(state) == 20


@given(SCORES, st.floats(0, 100), st.floats(0, 100))
def test_a_higher_score_is_never_less_rare(scores: list[float], one: float, other: float) -> None:
    state = learned(scores)
    low, high = sorted((one, other))
    assert period_days(state, OPTIONS, low) <= period_days(state, OPTIONS, high)


@given(SCORES, SCORES)
def test_a_snapshot_goes_on_as_if_nothing_had_happened(before: list[float], after: list[float]) -> None:
    restored = msgspec.msgpack.decode(msgspec.msgpack.encode(learned(before)), type=TailState)
    assert learned(after, restored, from_step=len(before)) == learned(before + after)
