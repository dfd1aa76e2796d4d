"""The watermark: the least of all message partitions that are not idle, less the lateness, and never back."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from streams.monitor.bins import bin_end, bin_start, from_ms, to_ms
from streams.monitor.clock import observe
from streams.monitor.state import ClockState
from streams.records import Mention, Progress
from tests.streams.monitor.invented import START, mention

LATENESS_MS = 120_000


def at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


def progress(partition: int, minute: float | None, *, idle: bool = False, partitions: int = 2) -> Progress:
    time = None if minute is None else at(minute)
    return Progress(partition=partition, partitions=partitions, event_time=time, idle=idle)


def said(partition: int, minute: float) -> Mention:
    return mention(0, at(minute), partition=partition)


def after(*records: Mention | Progress, state: ClockState | None = None) -> float | None:
    """The watermark in minutes after START."""
    state = state or ClockState()
    watermark = None
    for record in records:
        watermark = observe(state, record, lateness_ms=LATENESS_MS)
    return None if watermark is None else (watermark - to_ms(START)) / 60_000


def test_it_is_the_least_of_the_partitions_less_the_lateness() -> None:
    assert after(progress(0, 10), progress(1, 30)) == 8
    assert after(progress(0, 10), progress(1, 30), said(0, 20)) == 18
    assert after(progress(0, 10), progress(1, 30), said(0, 50)) == 28


def test_a_partition_that_was_never_heard_of_holds_every_bin_open() -> None:
    assert after(said(0, 10), said(1, 20)) is None  # nobody has said how many partitions there are
    assert after(progress(0, 10)) is None
    assert after(progress(0, 10), said(1, 20)) == 8
    assert after(progress(0, 10, partitions=3), progress(1, 20, partitions=3)) is None


def test_a_partition_that_is_there_but_has_no_time_yet_holds_every_bin_open() -> None:
    assert after(progress(0, 10), progress(1, None)) is None
    assert after(progress(0, 10), progress(1, None), progress(1, None, idle=True)) == 8


def test_an_idle_partition_holds_nobody_up_until_it_speaks_again() -> None:
    state = ClockState()
    assert after(progress(0, 10), progress(1, 60), progress(0, 10, idle=True), state=state) == 58
    assert after(said(0, 20), state=state) == 58
    assert after(said(1, 90), state=state) == 58
    assert after(said(0, 70), state=state) == 68


def test_if_all_are_idle_it_is_the_furthest_of_them() -> None:
    idle = [progress(0, 10, idle=True), progress(1, 60, idle=True)]
    assert after(*idle) == 58
    assert after(progress(0, None, idle=True), progress(1, None, idle=True)) is None


def test_it_never_goes_back() -> None:
    state = ClockState()
    assert after(progress(0, 50), progress(1, 60), state=state) == 48
    assert after(said(0, 1), said(1, 2), progress(0, 3), state=state) == 48
    assert after(progress(2, 5, partitions=3), state=state) == 48  # a partition was added


def test_a_clock_that_has_come_to_know_of_more_partitions_waits_for_them() -> None:
    state = ClockState()
    after(progress(0, 50), progress(1, 60), state=state)
    assert after(progress(0, 90, partitions=3), progress(1, 90, partitions=3), state=state) == 48
    assert after(progress(2, 80, partitions=3), state=state) == 78


records = st.one_of(
    st.builds(progress, st.integers(0, 2), st.none() | st.integers(0, 300), idle=st.booleans(), partitions=st.just(3)),
    st.builds(said, st.integers(0, 2), st.integers(0, 300)),
)


@given(st.lists(records, max_size=40))
def test_it_never_goes_back_nor_beyond_what_was_seen_and_survives_being_saved(log: list[Mention | Progress]) -> None:
    state, restored = ClockState(), ClockState()
    before, high = None, None
    for record in log:
        time = record.published_at if isinstance(record, Mention) else record.event_time
        high = max((t for t in (high, time) if t is not None), default=None)
        now = observe(state, record, lateness_ms=LATENESS_MS)
        restored = msgspec.msgpack.decode(msgspec.msgpack.encode(restored), type=ClockState)
        assert observe(restored, record, lateness_ms=LATENESS_MS) == now
        if before is not None:
            assert now is not None
            assert now >= before
        if now is not None:
            assert high is not None
            assert now <= to_ms(high) - LATENESS_MS
        before = now


@given(st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1)))
def test_every_time_lies_in_one_bin_of_a_minute(naive: datetime) -> None:
    time = naive.replace(tzinfo=START.tzinfo)
    ms = to_ms(time)
    assert from_ms(ms) <= time < from_ms(ms + 1)
    assert bin_start(ms) <= ms < bin_end(ms) == bin_start(ms) + 60_000
    assert from_ms(bin_start(ms)) == time.replace(second=0, microsecond=0)
