"""When the feed was down: what is noted, what is known of it and when, and that arrival order does not matter."""

from __future__ import annotations

import random
from datetime import timedelta
from itertools import pairwise

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.monitor import MonitorOptions, PartitionMonitor
from streams.monitor.bins import HOUR_MS, from_ms, to_ms
from streams.monitor.outages import (
    LEAST_OUTAGE_MS,
    MOST_AHEAD,
    MOST_OUTAGES,
    STEP_MS,
    note,
    outages_until,
    settle,
    silences,
)
from streams.monitor.rule_files import parse_rules
from streams.monitor.state import ClockState, Heard
from streams.records import AheadProgress, LogEntry, Mention, Progress, encode
from streams.replay.core import time_alone
from streams.scoring.feeds import FeedClock
from tests.streams.monitor.invented import START, eager_rules, mention

COUNTING = parse_rules(
    "rules: [{alert: N, type: spike, method: return_period, signal: volume, fire: {return_period: 7d}}]", name="n.yaml"
)
DAY_MS = 24 * HOUR_MS
T0 = 20_000 * DAY_MS


def heard_at(*hours: float) -> Heard:
    heard = Heard()
    for hour in hours:
        _note(heard, hour)
    return heard


def _note(heard: Heard, hour: float) -> None:
    note(heard, Progress(partition=0, partitions=1, event_time=from_ms(T0 + round(hour * HOUR_MS)), idle=False))


def clock_of(monitor: PartitionMonitor) -> ClockState:
    """The clock as it is saved after a record."""
    ((_, value),) = monitor.changes().clock
    assert value is not None
    return msgspec.msgpack.decode(value, type=ClockState)


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
    assert outages_until(heard, T0 + 13 * HOUR_MS, T0 + HOUR_MS) == []
    _note(heard, 6)
    settle(heard, T0 + 13 * HOUR_MS)
    assert heard.outages == []


def test_of_a_bin_ahead_of_the_watermark_an_outage_is_known_up_to_the_watermark() -> None:
    heard = heard_at(0)
    settle(heard, T0)
    bin_ms = T0 + 13 * HOUR_MS
    assert hours(outages_until(heard, bin_ms, T0 + 6 * HOUR_MS)) == []
    assert hours(outages_until(heard, bin_ms, T0 + 8 * HOUR_MS)) == [(0.08, 8.0)]
    assert hours(outages_until(heard, T0 + 8 * HOUR_MS, T0 + 8 * HOUR_MS)) == []
    assert heard.outages == []
    assert outages_until(None, bin_ms, T0 + 8 * HOUR_MS) == ()


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


@given(st.lists(st.tuples(st.integers(0, 900), st.integers(0, 60)), min_size=1, max_size=80), st.randoms())
def test_outages_are_the_gaps_between_all_that_was_heard(runs: list[tuple[int, int]], dice: random.Random) -> None:
    first = T0 // STEP_MS
    steps = sorted({first + begin + more for begin, length in runs for more in range(0, length + 1, 7)})
    wanted = [((a + 1) * STEP_MS, b * STEP_MS) for a, b in pairwise(steps) if (b - a - 1) * STEP_MS >= LEAST_OUTAGE_MS]
    heard, until = Heard(), 0
    for chunk in (steps[number : number + 20] for number in range(0, len(steps), 20)):
        for step in dice.sample(chunk, len(chunk)):
            note(heard, Progress(partition=0, partitions=1, event_time=from_ms(step * STEP_MS), idle=False))
        assert heard.ahead == sorted(set(heard.ahead))
        until = dice.randint(chunk[0], chunk[-1])
        settle(heard, until * STEP_MS)
    settle(heard, steps[-1] * STEP_MS)
    assert heard.outages == wanted


def test_a_year_that_is_ahead_of_the_watermark_takes_little_and_what_is_too_much_begins_anew() -> None:
    heard = Heard()
    for hour in range(365 * 24):
        _note(heard, hour)
    assert len(heard.ahead) < 365 * 24 / 2
    begin = heard.ahead[0]
    for day in range(366, 366 + MOST_AHEAD):
        _note(heard, 24.0 * day)
    assert len(heard.ahead) == MOST_AHEAD
    assert heard.ahead[0] > begin
    settle(heard, heard.ahead[0] * STEP_MS)
    assert heard.outages == []


def test_what_an_older_version_saved_in_the_order_of_arrival_is_read_in_order() -> None:
    old = ClockState(heard=Heard(last=5, ahead=[300, 200]), offset=7)
    monitor = PartitionMonitor(0, COUNTING, MonitorOptions())
    monitor.restore([("clock\x1f0", msgspec.msgpack.encode(old))])
    monitor.skip(8)
    assert clock_of(monitor).heard == Heard(last=5, ahead=[200, 300])


def live_log(*, ticks: bool) -> list[LogEntry]:
    """What the scorer tells the monitors of two hours of messages, twelve of nothing, and an hour more."""
    clock = FeedClock(partitions=1, idle_after_s=30)
    clock.assign({0})
    log: list[LogEntry] = []
    for minute in range(15 * 60):
        at = START + timedelta(minutes=minute)
        if minute < 120 or minute >= 14 * 60:
            log += clock.wake({0})
            clock.seen(0, at, at)
            log += clock.advanced()
        elif ticks:
            log += clock.tick(at, 60.0 * minute, set())
    return log


def test_a_feed_that_is_down_is_an_outage_although_the_clock_of_an_idle_feed_goes_on() -> None:
    log = live_log(ticks=True)
    assert sum(isinstance(one, Progress) and one.idle for one in log) > 11 * 60
    start_ms = to_ms(START)
    wanted = [(start_ms + 2 * HOUR_MS, start_ms + 14 * HOUR_MS)]
    for records in (log, live_log(ticks=False)):
        monitor = PartitionMonitor(0, COUNTING, MonitorOptions())
        for offset, record in enumerate(records):
            monitor.absorb(record, offset)
        heard = clock_of(monitor).heard
        assert heard is not None
        # The feed is woken by what waits on it, and its time then is that of the last tick, a minute before.
        assert [(begin, round(end / HOUR_MS) * HOUR_MS) for begin, end in heard.outages] == wanted


def test_what_was_heard_is_let_go_of_when_no_rule_asks_any_more() -> None:
    monitor = PartitionMonitor(0, COUNTING, MonitorOptions())
    at, heard = START, None
    for offset, (rules, hours_on) in enumerate(
        [(COUNTING, 0), (COUNTING, 1), (eager_rules(), 1), (eager_rules(), 20), (COUNTING, 1), (COUNTING, 1)]
    ):
        monitor.apply(rules)
        at += timedelta(hours=hours_on)
        monitor.absorb(Progress(partition=0, partitions=1, event_time=at, idle=False), offset)
        heard = clock_of(monitor).heard
        assert (heard is None) == (rules is not COUNTING)
    assert heard is not None
    assert heard.outages == []


def ahead_log(dice: random.Random) -> list[LogEntry]:
    """Mentions of two companies, in turn or ahead of it, with hours of nothing in between; one is on a watch list."""
    found: list[LogEntry] = [Progress(partition=0, partitions=1, event_time=START, idle=False)]
    now = far = START
    for number in range(dice.randrange(5, 60)):
        kind = dice.randrange(4)
        far = max(now, far) + timedelta(minutes=dice.choice([1, 3, 30, 240, 500]))
        if kind == 0:
            now += timedelta(minutes=dice.choice([1, 10, 100, 400]))
            found.append(Progress(partition=0, partitions=1, event_time=now, idle=False))
        elif kind == 1:
            now += timedelta(minutes=dice.choice([1, 10, 100]))
            found.append(mention(number, now, entity=dice.choice(["AURL", "BRND"])))
        else:
            found.append(mention(number, far, entity=dice.choice(["AURL", "BRND"]), watched=True, ahead=True))
            found.append(AheadProgress(partition=0, event_time=far))
    return found


@settings(deadline=None, max_examples=100)
@given(st.randoms(use_true_random=False))
def test_a_replay_of_one_company_hears_what_the_live_monitor_heard(dice: random.Random) -> None:
    log = ahead_log(dice)
    alone = [time_alone(one) if isinstance(one, Mention) and one.entity != "AURL" else one for one in log]
    live, replay = (PartitionMonitor(0, COUNTING, MonitorOptions()) for _ in range(2))
    for offset, (one, other) in enumerate(zip(log, alone, strict=True)):
        its = [encode(alert) for alert in live.absorb(one, offset) if alert.labels["entity"] == "AURL"]
        assert its == [encode(alert) for alert in replay.absorb(other, offset)]
        if "AURL" in live.entities:
            assert live.entities["AURL"] == replay.entities["AURL"]
    assert clock_of(live) == clock_of(replay)


def test_a_mention_of_another_company_ahead_of_its_turn_fills_no_outage() -> None:
    """The least case of the one above: its time lies in a gap that a replay without it would have for an outage."""
    states = []
    for entity in ("AURL", None):
        monitor = PartitionMonitor(0, COUNTING, MonitorOptions())
        for offset, record in enumerate(
            [
                Progress(partition=0, partitions=1, event_time=START, idle=False),
                mention(1, START, entity="AURL"),
                mention(2, START + timedelta(hours=5), entity="BRND", watched=True, ahead=True),
                mention(3, START + timedelta(hours=10), entity="AURL", watched=True, ahead=True),
                AheadProgress(partition=0, event_time=START + timedelta(hours=11)),
            ]
        ):
            is_other = isinstance(record, Mention) and record.entity == "BRND"
            monitor.absorb(time_alone(record) if entity and is_other else record, offset)  # type: ignore[arg-type]
        states.append((monitor.entities["AURL"], clock_of(monitor)))
    assert states[0] == states[1]


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
