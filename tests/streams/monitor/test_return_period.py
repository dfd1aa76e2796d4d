"""Unusual volume as a return period: what is scored, what is learned, and how far it may be believed."""

from __future__ import annotations

import math
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.monitor.bins import DAY_MS
from streams.monitor.return_period import (
    ReturnPeriod,
    ReturnPeriodOptions,
    ReturnPeriodState,
    days_in_words,
    glance,
    in_words,
    pass_quietly,
    pass_without_data,
    rarity,
    step,
)

OPTIONS = ReturnPeriodOptions()
MONDAY_MS = 19_723 * DAY_MS
STEP_MS = OPTIONS.step_ms


def counts_of(days: float, *, mean: float = 10, seed: int = 1) -> list[int]:
    """Over-dispersed counts per step, about `mean` each, to which nothing happens."""
    rng = Random(seed)
    return [round(rng.gammavariate(5, mean / 5)) for _ in range(round(days * 288))]


def feed(
    counts: list[int], state: ReturnPeriodState | None = None, *, from_ms: int = MONDAY_MS, learn: bool = True
) -> tuple[ReturnPeriodState, list[ReturnPeriod | None]]:
    state = state or ReturnPeriodState()
    found = [
        step(state, OPTIONS, count=count, at_ms=from_ms + i * STEP_MS, learn=learn) for i, count in enumerate(counts)
    ]
    return state, found


def grown(days: float = 20) -> ReturnPeriodState:
    return feed(counts_of(days))[0]


@pytest.mark.parametrize(
    ("count", "expected", "dispersion", "minus_log_p"),
    [(5, 0.2, 0, 13.001), (7, 5, 0, 1.436), (26, 5, 0.5, 6.617), (601, 300, 0.3, 2.900), (1501, 300, 0.01, 200.666)],
)
def test_the_rarity_is_that_of_the_negative_binomial(
    count: int, expected: float, dispersion: float, minus_log_p: float
) -> None:
    assert rarity(count, expected, dispersion) == pytest.approx(minus_log_p, rel=0.01)  # SciPy's nbinom.logsf


def test_what_is_expected_or_less_is_not_rare() -> None:
    assert rarity(5, 5, 0.1) == rarity(0, 5, 0.1) == rarity(3, 0, 0.1) == 0


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.floats(0.01, 2000), st.floats(0, 5))
def test_more_mentions_are_never_less_rare(one: int, other: int, expected: float, dispersion: float) -> None:
    low, high = sorted(rarity(n, expected, dispersion) for n in (one, other))
    assert math.isfinite(high)
    assert (low, high) == (rarity(min(one, other), expected, dispersion), rarity(max(one, other), expected, dispersion))


def test_a_burst_after_three_weeks_is_rare_and_a_common_count_is_none() -> None:
    state = grown()
    assert step(state, OPTIONS, count=10, at_ms=state.end_ms) is None
    found = step(state, OPTIONS, count=150, at_ms=state.end_ms)
    assert found is not None
    assert found.fitted_days > 100
    assert found.window_ms == STEP_MS
    assert found.observed == 150
    assert found.expected == pytest.approx(10, rel=0.2)


def test_a_slow_rise_stands_out_in_a_longer_window() -> None:
    state = grown()
    found = [step(state, OPTIONS, count=22, at_ms=state.end_ms) for _ in range(24)]
    assert found[0] is None
    last = found[-1]
    assert last is not None
    assert last.window_ms > STEP_MS
    assert last.days > 7


def test_it_is_never_stretched_past_the_history() -> None:
    state = grown(10)
    found = step(state, OPTIONS, count=500, at_ms=state.end_ms)
    assert found is not None
    assert found.days == pytest.approx(9, abs=0.1)  # the first day went into the baseline
    assert found.beyond_history
    assert in_words(found) in ("the highest in 8 days of history", "the highest in 9 days of history")
    assert found.fitted_days > found.days


def test_on_the_first_day_nothing_is_said() -> None:
    _, found = feed([*counts_of(0.9), 5000])
    assert found == [None] * len(found)


def test_a_level_is_no_news_for_ever() -> None:
    state = grown()
    found = [step(state, OPTIONS, count=count * 3, at_ms=state.end_ms) for count in counts_of(25, seed=9)]
    first, last = found[:288], found[-5 * 288 :]
    assert max(one.fitted_days for one in first if one) > 100
    assert all(one is None or one.days < 30 for one in last)


def test_while_an_alert_fires_the_baseline_learns_nothing_and_the_tail_does() -> None:
    state = grown()
    baseline, tail_history = msgspec.msgpack.encode(state.volume), state.tail.history_ms
    squares = list(state.squares)
    feed([80] * 12, state, from_ms=state.end_ms, learn=False)
    assert msgspec.msgpack.encode(state.volume) == baseline
    assert state.squares == squares
    assert state.tail.history_ms == tail_history + 12 * STEP_MS


def test_a_gap_is_no_data_and_silence_is() -> None:
    down, silent = grown(), grown()
    later_ms = down.end_ms + DAY_MS
    pass_quietly(silent, OPTIONS, until_ms=later_ms)
    step(down, OPTIONS, count=10, at_ms=later_ms)
    step(silent, OPTIONS, count=10, at_ms=later_ms)
    assert silent.volume.seen_hours == pytest.approx(down.volume.seen_hours + 24)
    assert silent.expected[-1] < down.expected[-1]


def test_silence_passed_at_once_is_silence_passed_in_steps() -> None:
    at_once, in_steps = grown(), grown()
    until_ms = at_once.end_ms + 2 * DAY_MS + 7 * STEP_MS
    pass_quietly(at_once, OPTIONS, until_ms=until_ms)
    feed([0] * (2 * 288 + 7), in_steps, from_ms=in_steps.end_ms)
    assert at_once.end_ms == in_steps.end_ms == until_ms
    assert at_once.volume.seen_hours == pytest.approx(in_steps.volume.seen_hours)
    assert at_once.volume.counts == pytest.approx(in_steps.volume.counts, rel=1e-6)
    assert at_once.volume.hours == pytest.approx(in_steps.volume.hours, rel=0.02)
    assert at_once.tail.history_ms == in_steps.tail.history_ms
    assert at_once.tail.quantile == pytest.approx(in_steps.tail.quantile, rel=0.02)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1 << 30), st.integers(0, 200), st.integers(0, 40))
def test_a_glance_says_what_the_step_would_and_leaves_no_trace(seed: int, count: int, gap: int) -> None:
    state, _ = feed([*counts_of(2, seed=seed), 60, 0, 3])
    at_ms = state.end_ms + gap * STEP_MS
    before = msgspec.msgpack.encode(state)
    seen = glance(state, OPTIONS, count=count, at_ms=at_ms)
    assert msgspec.msgpack.encode(state) == before
    assert seen == step(state, OPTIONS, count=count, at_ms=at_ms)


def test_at_a_glance_nothing_is_said_before_the_baseline_is_warm() -> None:
    assert glance(feed(counts_of(0.5))[0], OPTIONS, count=500, at_ms=MONDAY_MS + DAY_MS) is None


@pytest.mark.parametrize("steps", [0, 1, 7, 24, 1000])
def test_time_without_data_is_the_gap_that_the_next_step_would_find(steps: int) -> None:
    told, found = grown(3), grown(3)
    at_ms = told.end_ms + steps * STEP_MS
    pass_without_data(told, OPTIONS, until_ms=at_ms + STEP_MS - 1)
    for state in (told, found):
        step(state, OPTIONS, count=10, at_ms=at_ms)
    assert msgspec.msgpack.encode(told) == msgspec.msgpack.encode(found)
    fresh = ReturnPeriodState()
    pass_without_data(fresh, OPTIONS, until_ms=MONDAY_MS)
    assert fresh == ReturnPeriodState()


def test_silence_before_the_first_mention_or_of_less_than_a_step_is_nothing() -> None:
    fresh = ReturnPeriodState()
    pass_quietly(fresh, OPTIONS, until_ms=MONDAY_MS)
    assert fresh == ReturnPeriodState()
    state = grown(1)
    before = msgspec.msgpack.encode(state)
    pass_quietly(state, OPTIONS, until_ms=state.end_ms + STEP_MS - 1)
    assert msgspec.msgpack.encode(state) == before


def test_a_step_back_in_time_is_refused() -> None:
    state = grown(1)
    with pytest.raises(ValueError, match="before the end"):
        step(state, OPTIONS, count=1, at_ms=state.end_ms - 1)


@pytest.mark.parametrize("count", [-1, math.nan, math.inf])
def test_an_impossible_count_is_refused_and_leaves_no_trace(count: float) -> None:
    state = grown(1)
    before = msgspec.msgpack.encode(state)
    with pytest.raises(ValueError, match="no possible count"):
        step(state, OPTIONS, count=count, at_ms=state.end_ms)
    assert msgspec.msgpack.encode(state) == before


def test_nothing_against_nothing_is_not_rare() -> None:
    state, found = feed([0] * 288 * 20)
    assert found == [None] * len(found)
    assert step(state, OPTIONS, count=0, at_ms=state.end_ms) is None


def test_its_state_is_small_and_does_not_grow() -> None:
    sizes = [len(msgspec.msgpack.encode(grown(days))) for days in (16, 45)]
    assert max(sizes) < 1700
    assert abs(sizes[0] - sizes[1]) < 40


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1 << 30), st.integers(1, 500), st.lists(st.integers(0, 300), min_size=1, max_size=40))
def test_what_was_said_does_not_know_what_comes_later(seed: int, first: int, later: list[int]) -> None:
    before = [*counts_of(1.2, seed=seed)[: 300 + first % 40], first]
    assert feed(before + later)[1][: len(before)] == feed(before)[1]


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1 << 30), st.integers(0, 345))
def test_a_snapshot_goes_on_as_if_nothing_had_happened(seed: int, cut: int) -> None:
    counts = [*counts_of(1.1, seed=seed), 60, 0, 90, *counts_of(0.1, seed=seed + 1)]
    whole, found = feed(counts)
    half, _ = feed(counts[:cut])
    restored = msgspec.msgpack.decode(msgspec.msgpack.encode(half), type=ReturnPeriodState)
    restored, rest = feed(counts[cut:], restored, from_ms=MONDAY_MS + cut * STEP_MS)
    assert rest == found[cut:]
    assert msgspec.msgpack.encode(restored) == msgspec.msgpack.encode(whole)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1 << 30), st.integers(11, 400), st.integers(11, 400))
def test_more_mentions_are_never_had_more_often(seed: int, one: int, other: int) -> None:
    state, _ = feed(counts_of(2, seed=seed))
    saved = msgspec.msgpack.encode(state)
    days = []
    for count in sorted((one, other)):
        copy = msgspec.msgpack.decode(saved, type=ReturnPeriodState)
        found = step(copy, OPTIONS, count=count, at_ms=copy.end_ms)
        days.append(0.0 if found is None else found.fitted_days)
    assert days[0] <= days[1]


@pytest.mark.parametrize(
    ("days", "english", "chinese"),
    [
        (74.3, "once in about 74 days", "大约每 74 天一次"),
        (136, "once in about 140 days", "大约每 140 天一次"),
        (2.44, "once in about 2.4 days", "大约每 2.4 天一次"),
        (0.5, "once in about 12 hours", "大约每 12 小时一次"),
        (0.001, "once in about 1 hour", "大约每 1 小时一次"),
        (1500, "once in about 4.1 years", "大约每 4.1 年一次"),
        (40_000, "once in about 110 years", "大约每 110 年一次"),
    ],
)
def test_a_return_period_is_said_in_words(days: float, english: str, chinese: str) -> None:
    assert days_in_words(days) == english
    assert days_in_words(days, language="zh") == chinese


def test_what_is_beyond_the_history_is_said_so_in_both_languages() -> None:
    found = ReturnPeriod(
        days=1.5, fitted_days=80, history_days=1.5, window_ms=STEP_MS, observed=9, expected=1, score=12
    )
    assert in_words(found) == "the highest in 1 day of history"
    assert in_words(found, language="zh") == "1 天历史中的最高水平"
    within = msgspec.structs.replace(found, days=80, history_days=90)
    assert in_words(within) == "once in about 80 days"
