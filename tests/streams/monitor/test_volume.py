"""The baseline of counts: level, season, winsorising, down time, and what the caller keeps from it."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.monitor.bins import DAY_MS, HOUR_MS
from streams.monitor.volume import (
    VolumeOptions,
    VolumeState,
    expected,
    hour_and_weekend,
    is_seasonal,
    is_warm,
    level_per_hour,
    update,
    winsorised,
)

OPTIONS = VolumeOptions()
MONDAY_MS = 19_723 * DAY_MS
"""1 January 2024."""


def learned(per_hour: list[float], *, state: VolumeState | None = None, from_ms: int = MONDAY_MS) -> VolumeState:
    """A baseline after hours of these counts."""
    state = state or VolumeState()
    for hour, count in enumerate(per_hour):
        update(state, OPTIONS, count=count, at_ms=from_ms + hour * HOUR_MS, window_ms=HOUR_MS, dispersion=0.2)
    return state


def busy_at_noon(hour: int) -> float:
    weekend = hour // 24 % 7 >= 5
    return (40 if hour % 24 == 12 else 10) * (0.5 if weekend else 1)


def test_without_history_the_prior_is_expected() -> None:
    options = VolumeOptions(prior_per_hour=6)
    assert expected(VolumeState(), options, MONDAY_MS, HOUR_MS // 2) == pytest.approx(3)
    assert not is_warm(VolumeState(), options)


def test_a_steady_rate_is_learned() -> None:
    state = learned([10] * 48)
    assert is_warm(state, OPTIONS)
    assert level_per_hour(state, OPTIONS) == pytest.approx(10, rel=0.03)
    assert expected(state, OPTIONS, MONDAY_MS + 2 * DAY_MS, 300_000) == pytest.approx(10 / 12, rel=0.03)


def test_after_a_half_life_what_was_learned_weighs_half() -> None:
    state = learned([10] * 24)
    hours = state.hours
    update(state, OPTIONS, count=0, at_ms=state.at_ms + 5 * DAY_MS - HOUR_MS, window_ms=HOUR_MS)
    assert state.hours == pytest.approx(hours / 2 + 1)


def test_the_season_waits_for_two_weeks_and_then_tells_noon_from_midnight() -> None:
    hours = [busy_at_noon(hour) for hour in range(24 * 28)]
    young = learned(hours[: 24 * 13])
    noon, midnight = (MONDAY_MS + 28 * DAY_MS + at * HOUR_MS for at in (12, 0))
    assert not is_seasonal(young, OPTIONS)
    assert expected(young, OPTIONS, noon, HOUR_MS) == expected(young, OPTIONS, midnight, HOUR_MS)
    grown = learned(hours)
    assert expected(grown, OPTIONS, noon, HOUR_MS) == pytest.approx(40, rel=0.2)
    assert expected(grown, OPTIONS, midnight, HOUR_MS) == pytest.approx(10, rel=0.2)
    assert expected(grown, OPTIONS, noon + 5 * DAY_MS, HOUR_MS) == pytest.approx(20, rel=0.3)


def test_a_few_mentions_make_no_season() -> None:
    state = learned([float(hour % 96 == 12) for hour in range(24 * 28)])
    noon, midnight = (expected(state, OPTIONS, MONDAY_MS + 28 * DAY_MS + at * HOUR_MS, HOUR_MS) for at in (12, 0))
    assert noon < 3 * midnight


def test_a_window_across_the_hour_is_expected_in_parts() -> None:
    state = learned([busy_at_noon(hour) for hour in range(24 * 28)])
    at_ms = MONDAY_MS + 28 * DAY_MS + 11 * HOUR_MS + HOUR_MS // 2
    halves = [expected(state, OPTIONS, at_ms + half * HOUR_MS // 2, HOUR_MS // 2) for half in (0, 1)]
    assert expected(state, OPTIONS, at_ms, HOUR_MS) == pytest.approx(sum(halves))
    assert halves[1] > 2 * halves[0]


def test_other_sessions_are_another_function() -> None:
    def session(at_ms: int) -> int:
        return 1 if at_ms // HOUR_MS % 24 in range(9, 17) else 0

    state = VolumeState()
    for hour in range(24 * 21):
        at_ms = MONDAY_MS + hour * HOUR_MS
        count = 30 if session(at_ms) else 6
        update(state, OPTIONS, count=count, at_ms=at_ms, window_ms=HOUR_MS, season=session)
    assert len(state.season_counts) == 2
    later = MONDAY_MS + 21 * DAY_MS
    assert expected(state, OPTIONS, later + 10 * HOUR_MS, HOUR_MS, season=session) == pytest.approx(30, rel=0.15)
    assert expected(state, OPTIONS, later, HOUR_MS, season=session) == pytest.approx(6, rel=0.15)


def test_a_season_without_bound_is_refused() -> None:
    with pytest.raises(ValueError, match="season key 168"):
        update(VolumeState(), OPTIONS, count=1, at_ms=MONDAY_MS, window_ms=HOUR_MS, season=lambda _: 168)


def test_hours_are_told_apart_by_weekday_and_weekend() -> None:
    assert hour_and_weekend(MONDAY_MS + 5 * HOUR_MS) == 5
    assert hour_and_weekend(MONDAY_MS + 4 * DAY_MS + 23 * HOUR_MS) == 23
    assert hour_and_weekend(MONDAY_MS + 5 * DAY_MS) == 24
    assert hour_and_weekend(MONDAY_MS + 6 * DAY_MS + 23 * HOUR_MS) == 47


def test_down_time_is_no_data_and_silence_is() -> None:
    down, silent = learned([10] * 48), learned([10] * 48)
    for hour in range(48):
        update(silent, OPTIONS, count=0, at_ms=MONDAY_MS + (48 + hour) * HOUR_MS, window_ms=HOUR_MS)
    for state in (down, silent):
        update(state, OPTIONS, count=10, at_ms=MONDAY_MS + 96 * HOUR_MS, window_ms=HOUR_MS)
    assert level_per_hour(down, OPTIONS) == pytest.approx(10, rel=0.05)
    assert level_per_hour(silent, OPTIONS) < 7


def test_one_burst_moves_it_only_so_far() -> None:
    state = learned([10] * 72)
    before = level_per_hour(state, OPTIONS)
    update(state, OPTIONS, count=100_000, at_ms=state.at_ms, window_ms=HOUR_MS)
    assert before < level_per_hour(state, OPTIONS) < before * 1.05


def test_a_first_day_is_learned_as_it_is() -> None:
    state = learned([5000.0] * 6)
    assert level_per_hour(state, OPTIONS) > 4000


def test_while_an_alert_fires_nothing_is_learned() -> None:
    state = learned([10] * 48)
    before = msgspec.msgpack.encode(state)
    update(state, OPTIONS, count=80, at_ms=state.at_ms, window_ms=HOUR_MS, learn=False)
    assert msgspec.msgpack.encode(state) == before


@pytest.mark.parametrize("count", [-1, math.nan, math.inf])
def test_an_impossible_count_is_refused(count: float) -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        update(VolumeState(), OPTIONS, count=count, at_ms=MONDAY_MS, window_ms=HOUR_MS)


def test_a_window_without_length_is_refused() -> None:
    with pytest.raises(ValueError, match="0 ms"):
        update(VolumeState(), OPTIONS, count=1, at_ms=MONDAY_MS, window_ms=0)


COUNTS = st.lists(st.integers(0, 400).map(float), min_size=1, max_size=80)


@given(COUNTS, st.floats(0, 500), st.floats(0, 500))
def test_a_higher_count_is_never_learned_as_a_lower_one(counts: list[float], one: float, other: float) -> None:
    usual = expected(learned(counts), OPTIONS, MONDAY_MS, HOUR_MS)
    low, high = sorted((one, other))
    assert winsorised(low, usual) <= winsorised(high, usual) <= high
    assert winsorised(usual, usual) == pytest.approx(usual)


@settings(deadline=None)
@given(COUNTS, COUNTS)
def test_a_snapshot_goes_on_as_if_nothing_had_happened(before: list[float], after: list[float]) -> None:
    whole = learned(before + after)
    saved = msgspec.msgpack.encode(learned(before))
    restored = msgspec.msgpack.decode(saved, type=VolumeState)
    learned(after, state=restored, from_ms=MONDAY_MS + len(before) * HOUR_MS)
    assert msgspec.msgpack.encode(restored) == msgspec.msgpack.encode(whole)


@given(st.lists(st.integers(5, 60).map(float), min_size=30, max_size=60), st.integers(2, 50))
def test_so_many_times_the_mentions_are_so_many_times_expected(counts: list[float], factor: int) -> None:
    free = VolumeOptions(prior_hours=1e-6, warm_hours=1e9)  # neither prior nor winsorising
    one, many = VolumeState(), VolumeState()
    for hour, count in enumerate(counts):
        for state, times in ((one, 1), (many, factor)):
            update(state, free, count=count * times, at_ms=MONDAY_MS + hour * HOUR_MS, window_ms=HOUR_MS)
    assert level_per_hour(many, free) == pytest.approx(factor * level_per_hour(one, free), rel=1e-4)


def test_its_size_does_not_grow_with_history() -> None:
    month, year = (learned([busy_at_noon(hour) for hour in range(24 * days)]) for days in (30, 365))
    sizes = [len(msgspec.msgpack.encode(state)) for state in (month, year)]
    assert max(sizes) < 1200
    assert abs(sizes[0] - sizes[1]) < 20
