"""The exponentially weighted z-score: moments, half-life, winsorising, and what it refuses."""

from __future__ import annotations

import math
from random import Random
from statistics import mean, pstdev

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.monitor.bins import BIN_MS, DAY_MS
from streams.monitor.zscore import ZscoreOptions, ZscoreState, pass_zeros, step, zscore

OPTIONS = ZscoreOptions(warm_values=10)
START_MS = 19_723 * DAY_MS
VALUES = st.lists(st.integers(-1000, 1000).map(float), min_size=1, max_size=60)


def learned(values: list[float], options: ZscoreOptions = OPTIONS, *, every_ms: int = BIN_MS) -> ZscoreState:
    state = ZscoreState()
    for i, value in enumerate(values):
        step(state, options, value=value, at_ms=START_MS + i * every_ms)
    return state


def test_over_a_time_much_shorter_than_the_half_life_it_is_the_ordinary_one() -> None:
    rng = Random(4)
    values = [rng.gauss(50, 5) for _ in range(200)]
    found = zscore(learned(values, ZscoreOptions(warm_values=10, half_life_days=1e6)), OPTIONS, 65)
    assert found is not None
    assert found.mean == pytest.approx(mean(values))
    assert found.deviation == pytest.approx(pstdev(values))
    assert found.z == pytest.approx((65 - mean(values)) / pstdev(values))


def test_without_enough_values_there_is_no_score() -> None:
    assert zscore(learned([1.0, 2.0] * 4), OPTIONS, 9) is None
    assert zscore(learned([1.0, 2.0] * 8), OPTIONS, 9) is not None


def test_a_past_that_never_varied_gives_no_score_unless_a_least_deviation_is_named() -> None:
    assert zscore(learned([3.0] * 20), OPTIONS, 9) is None
    named = ZscoreOptions(warm_values=10, least_deviation=2)
    found = zscore(learned([3.0] * 20), named, 9)
    assert found is not None
    assert found.z == pytest.approx(3)


def test_what_is_old_fades() -> None:
    values = [0.0, 1.0] * 30 + [10.0, 11.0] * 60
    state = learned(values, ZscoreOptions(warm_values=3, half_life_days=2), every_ms=DAY_MS)
    assert state.mean == pytest.approx(10.5, abs=0.3)
    assert state.weight < 5


def test_one_value_moves_it_only_so_far() -> None:
    state = learned([0.0, 1.0] * 50)
    before = state.mean
    step(state, OPTIONS, value=1e9, at_ms=START_MS + DAY_MS)
    assert before < state.mean < before + 0.1


def test_while_an_alert_fires_nothing_is_learned() -> None:
    state = learned([0.0, 1.0] * 50)
    before = msgspec.msgpack.encode(state)
    assert step(state, OPTIONS, value=7, at_ms=START_MS + DAY_MS, learn=False) is not None
    assert msgspec.msgpack.encode(state) == before


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        step(ZscoreState(), OPTIONS, value=value, at_ms=START_MS)


@given(VALUES, st.integers(-100, 100), st.integers(1, 50))
def test_another_unit_and_another_zero_change_no_score(values: list[float], zero: int, unit: int) -> None:
    one = zscore(learned(values), OPTIONS, 500)
    other = zscore(learned([zero + unit * value for value in values]), OPTIONS, zero + unit * 500)
    if one is None or one.deviation < 1e-6:
        return
    assert other is not None
    assert other.z == pytest.approx(one.z, rel=1e-6, abs=1e-6)


@given(VALUES, VALUES)
def test_a_score_does_not_know_what_comes_later(before: list[float], after: list[float]) -> None:
    def scores(values: list[float]) -> list[float | None]:
        state = ZscoreState()
        found = [step(state, OPTIONS, value=value, at_ms=START_MS + i * BIN_MS) for i, value in enumerate(values)]
        return [None if one is None else one.z for one in found]

    assert scores(before + after)[: len(before)] == scores(before)


@given(VALUES, VALUES)
def test_a_snapshot_goes_on_as_if_nothing_had_happened(before: list[float], after: list[float]) -> None:
    restored = msgspec.msgpack.decode(msgspec.msgpack.encode(learned(before)), type=ZscoreState)
    for i, value in enumerate(after, len(before)):
        step(restored, OPTIONS, value=value, at_ms=START_MS + i * BIN_MS)
    assert restored == learned(before + after)


@given(VALUES, st.integers(0, 400), st.integers(1, 3 * 24 * 60))
def test_zeros_learned_at_once_are_zeros_learned_one_by_one(values: list[float], count: int, minutes: int) -> None:
    at_once, one_by_one = learned(values), learned(values)
    every_ms = minutes * BIN_MS
    first_ms = at_once.at_ms + every_ms
    pass_zeros(at_once, OPTIONS, count=count, every_ms=every_ms, at_ms=first_ms)
    for i in range(count):
        step(one_by_one, OPTIONS, value=0.0, at_ms=first_ms + i * every_ms)
    assert at_once.at_ms == one_by_one.at_ms
    assert at_once.weight == pytest.approx(one_by_one.weight, rel=1e-9)
    assert at_once.mean == pytest.approx(one_by_one.mean, rel=1e-6, abs=1e-6)
    assert at_once.squares == pytest.approx(one_by_one.squares, rel=1e-6, abs=1e-3)


def test_a_year_of_zeros_takes_no_longer_than_a_day_of_them() -> None:
    state = learned([1.0] * 20)
    pass_zeros(state, OPTIONS, count=10**9, every_ms=BIN_MS, at_ms=state.at_ms + BIN_MS)
    assert state.mean == pytest.approx(0, abs=1e-9)
    assert math.isfinite(state.weight)
