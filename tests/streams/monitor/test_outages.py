"""When the feed was down: what is noted, what is known of it and when, and that arrival order does not matter."""

from __future__ import annotations

import random
from datetime import timedelta
from itertools import pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from streams.monitor.bins import HOUR_MS
from streams.monitor.outages import LEAST_OUTAGE_MS, MOST_OUTAGES, STEP_MS, note, outages_until, settle, silences
from streams.monitor.state import ClockState, Heard
from streams.records import Progress
from tests.streams.monitor.invented import START, mention

DAY_MS = 24 * HOUR_MS
T0 = 20_000 * DAY_MS


def heard_at(*hours: float) -> Heard:
    heard = Heard()
    for hour in hours:
        _note(heard, hour)
    return heard


def _note(heard: Heard, hour: float) -> None:
    from streams.monitor.bins import from_ms

    note(heard, Progress(partition=0, partitions=1, event_time=from_ms(T0 + round(hour * HOUR_MS)), idle=False))


def hours(outages: list[tuple[int, int]] | object) -> list[tuple[float, float]]:
    return [(round((a - T0) / HOUR_MS, 2), round((b - T0) / HOUR_MS, 2)) for a, b in outages]  # type: ignore[attr-defined]


def test_hours_in_which_nothing_was_heard_are_an_outage_and_a_quiet_night_is_none() -> None:
    heard = heard_at(0, 5, 6, 13, 13.1)
    settle(heard, T0 + 20 * HOUR_MS)
    assert hours(heard.outages) == [(6.08, 13.0)]
    assert heard.ahead == []


def test_before_the_first_word_there_is_no_outage_and_silence_without_an_end_is_none_yet() -> None:
    heard = heard_at(0)
    settle(heard, T0 + 50 * HOUR_MS)
    assert heard.outages == []


def test_what_is_ahead_of_the_watermark_waits_and_may_be_filled() -> None:
    heard = heard_at(0, 12)
    settle(heard, T0 + HOUR_MS)
    assert (heard.outages, len(heard.ahead)) == ([], 1)
    assert hours(outages_until(heard, T0 + 13 * HOUR_MS)) == [(0.08, 12.0)]
    assert outages_until(heard, T0 + 2 * HOUR_MS) == []
    _note(heard, 6)
    settle(heard, T0 + 13 * HOUR_MS)
    assert heard.outages == []


def test_what_comes_after_its_time_is_over_changes_nothing_any_more() -> None:
    heard = heard_at(0, 12)
    settle(heard, T0 + 12 * HOUR_MS)
    before = msgspec.msgpack.encode(heard)
    _note(heard, 6)
    settle(heard, T0 + 13 * HOUR_MS)
    assert msgspec.msgpack.encode(heard) == before


def test_a_mention_is_heard_and_no_more_outages_are_kept_than_a_number() -> None:
    heard = Heard()
    for day in range(2 * MOST_OUTAGES):
        note(heard, mention(day, START + timedelta(days=day)))
        settle(heard, (heard.ahead or [heard.last])[-1] * STEP_MS)
    assert len(heard.outages) == MOST_OUTAGES
    assert len(msgspec.msgpack.encode(heard)) < 20 * MOST_OUTAGES


@given(st.lists(st.floats(0, 100), min_size=1, max_size=30), st.integers(0, 1 << 30))
def test_the_order_in_which_it_is_heard_does_not_matter(times: list[float], seed: int) -> None:
    other = list(times)
    random.Random(seed).shuffle(other)
    one, two = heard_at(*times), heard_at(*other)
    for heard in (one, two):
        settle(heard, T0 + 100 * HOUR_MS)
    assert one.outages == two.outages
    assert all(end - begin >= LEAST_OUTAGE_MS for begin, end in one.outages)


@given(
    st.integers(0, 100),
    st.integers(1, 100),
    st.lists(st.tuples(st.integers(0, 200), st.integers(1, 20)), max_size=6),
)
def test_a_span_is_cut_without_a_gap_and_without_an_overlap(
    since: int, length: int, spans: list[tuple[int, int]]
) -> None:
    outages: list[tuple[int, int]] = []
    for begin, of in sorted(spans):
        if not outages or begin >= outages[-1][1]:
            outages.append((begin, begin + of))
    found = list(silences(since, since + length, outages))
    assert (found[0][0], found[-1][1]) == (since, since + length)
    assert all(one[1] == other[0] for one, other in pairwise(found))
    for begin, end, up in found:
        assert begin < end
        inside = any(a < end and begin < b for a, b in outages)
        assert up is not inside


def test_a_clock_of_before_is_read_without_it() -> None:
    old = {"partitions": 1, "feeds": {}, "watermark_ms": 5, "offset": 3, "schema": 1}
    assert msgspec.convert(old, ClockState).heard is None
