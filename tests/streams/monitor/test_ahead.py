"""Mentions that were taken ahead of their turn: nothing that stands before them becomes late, and no alert changes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from streams.monitor import MonitorOptions, PartitionMonitor, default_rules
from streams.monitor.bins import BIN_MS, to_ms
from streams.monitor.clock import observe
from streams.monitor.rule_files import parse_rules
from streams.monitor.state import ClockState
from streams.records import AheadProgress, Alert, LogEntry, Mention, Progress, encode
from streams.replay.core import time_alone
from tests.streams.monitor.invented import START, incident, save
from tests.streams.monitor.invented import mention as invent

OPTIONS = MonitorOptions()


def watch(records: Sequence[LogEntry]) -> tuple[list[Alert], int]:
    """What a monitor makes of records: alerts, and how many mentions came late."""
    monitor = PartitionMonitor(0, default_rules(), OPTIONS)
    alerts = [alert for offset, record in enumerate(records) for alert in monitor.absorb(record, offset)]
    return alerts, monitor.take_counters().late


def in_turn(mentions: Sequence[Mention]) -> list[Mention | Progress]:
    """The log as it is without overload: each mention, and after it how far its partition has come."""
    found: list[Mention | Progress] = [Progress(partition=0, partitions=1, event_time=None, idle=False)]
    for mention in mentions:
        found += [mention, progress(mention)]
    return found


def progress(mention: Mention) -> Progress:
    return Progress(partition=0, partitions=1, event_time=mention.published_at, idle=False)


def taken_ahead(mentions: Sequence[Mention], dice: random.Random) -> list[Mention | Progress]:
    """The same, where one company's mentions come up to some hours before their turn, which only says how far it is."""
    found: list[Mention | Progress] = [Progress(partition=0, partitions=1, event_time=None, idle=False)]
    early = 0
    for number, mention in enumerate(mentions):
        until = max(early, number + dice.randrange(400))
        for other in mentions[max(early, number) : until]:
            if other.entity == "AURL":
                found.append(msgspec.structs.replace(other, ahead=True))
        early = until
        found += [progress(mention)] if mention.entity == "AURL" and number < early else [mention, progress(mention)]
    return found


@settings(deadline=None, max_examples=8)
@given(st.integers(0, 10_000))
def test_what_is_taken_ahead_makes_nothing_late_and_changes_no_alert(seed: int) -> None:
    mentions = on_one_partition()
    alerts, late = watch(in_turn(mentions))
    assert any(alert.state == "firing" for alert in alerts)
    assert late == 0
    found, found_late = watch(taken_ahead(mentions, random.Random(seed)))
    assert found_late == 0
    assert [encode(alert) for alert in found] == [encode(alert) for alert in alerts]


def test_the_clock_takes_from_a_mention_ahead_what_it_takes_from_the_step_that_stands_for_it() -> None:
    (first, *_, last) = incident(random.Random(3))
    ahead = msgspec.structs.replace(last, ahead=True)
    states = []
    for record in (ahead, time_alone(ahead)):
        state = ClockState()
        for partition in range(3):
            observe(
                state,
                Progress(partition=partition, partitions=3, event_time=first.published_at, idle=partition > 0),
                lateness_ms=0,
            )
        observe(state, record, lateness_ms=0)
        states.append(state)
    assert states[0] == states[1]
    assert states[0].watermark_ms == to_ms(first.published_at)


def read_on(mentions: Sequence[Mention], dice: random.Random) -> list[LogEntry]:
    """The same with AURL on a watch list: how far was read ahead is said, and what is in turn falls hours behind."""
    found: list[LogEntry] = [Progress(partition=0, partitions=1, event_time=None, idle=False)]
    early = 0
    for number, mention in enumerate(mentions):
        if number >= early:
            early = min(len(mentions), number + dice.randrange(1, 2_000))
            for other in mentions[number:early]:
                if other.entity == "AURL":
                    found.append(msgspec.structs.replace(other, ahead=True, watched=True))
            found.append(AheadProgress(partition=0, event_time=mentions[early - 1].published_at))
        found += [progress(mention)] if mention.entity == "AURL" else [mention, progress(mention)]
    return found


def on_one_partition() -> list[Mention]:
    return [
        msgspec.structs.replace(one, origin=msgspec.structs.replace(one.origin, partition=0))
        for one in sorted(incident(random.Random(3)), key=lambda one: one.published_at)
    ]


@settings(deadline=None, max_examples=8)
@given(st.integers(0, 10_000))
def test_the_minutes_of_watched_companies_close_before_the_turn_of_all_others_and_no_alert_changes(seed: int) -> None:
    mentions = on_one_partition()
    alerts, _ = watch(in_turn(mentions))
    log = read_on(mentions, random.Random(seed))
    monitor = PartitionMonitor(0, default_rules(), OPTIONS)
    found: list[Alert] = []
    for offset, record in enumerate(log):
        for alert in monitor.absorb(record, offset):
            found.append(alert)
            assert monitor.watermark_ms is not None
            if alert.labels["entity"] != "AURL":
                assert to_ms(alert.at) <= monitor.watermark_ms
    assert monitor.take_counters().late == 0
    assert sorted(map(encode, found)) == sorted(map(encode, alerts))


def test_an_alert_of_a_watched_company_does_not_wait_for_the_turn_of_all_others() -> None:
    mentions = on_one_partition()
    monitor = PartitionMonitor(0, default_rules(), OPTIONS)
    fired = []
    for offset, record in enumerate(read_on(mentions, random.Random(5))):
        for alert in monitor.absorb(record, offset):
            if alert.labels["entity"] == "AURL" and alert.state == "firing":
                fired.append((to_ms(alert.at), monitor.watermark_ms))
    assert fired
    assert all(watermark is not None and at > watermark for at, watermark in fired)


@settings(deadline=None, max_examples=8)
@given(st.integers(0, 10_000))
def test_a_monitor_that_is_restored_at_any_point_goes_on_with_both_clocks(seed: int) -> None:
    dice = random.Random(seed)
    log = read_on(on_one_partition(), random.Random(5))
    whole = PartitionMonitor(0, default_rules(), OPTIONS)
    wanted = [encode(alert) for offset, record in enumerate(log) for alert in whole.absorb(record, offset)]
    cuts = sorted(dice.sample(range(1, len(log)), 5))
    store: dict[str, bytes] = {}
    found: list[bytes] = []
    first = 0
    for cut in [*cuts, len(log)]:
        monitor = PartitionMonitor(0, default_rules(), OPTIONS)
        monitor.restore(store.items())
        for offset in range(max(0, first - 50), cut):  # some are read a second time
            found += map(encode, monitor.absorb(log[offset], offset))
        save(store, monitor)
        first = cut
    assert found == wanted


def test_a_company_that_leaves_the_watch_list_opens_no_minute_again_that_was_closed_ahead() -> None:
    mentions = [one for one in on_one_partition() if one.entity == "AURL"][:40]
    monitor = PartitionMonitor(0, default_rules(), OPTIONS)
    closed: list[int] = []
    monitor = PartitionMonitor(0, default_rules(), OPTIONS, on_bin=lambda found: closed.append(found.start_ms))
    log: list[LogEntry] = [Progress(partition=0, partitions=1, event_time=mentions[0].published_at, idle=False)]
    log += [msgspec.structs.replace(one, ahead=True, watched=True) for one in mentions]
    log.append(AheadProgress(partition=0, event_time=mentions[-1].published_at + timedelta(hours=1)))
    log += [msgspec.structs.replace(one, message_id=f"{one.message_id}-again") for one in mentions]
    log.append(
        Progress(partition=0, partitions=1, event_time=mentions[-1].published_at + timedelta(days=1), idle=False)
    )
    for offset, record in enumerate(log):
        monitor.absorb(record, offset)
    assert len(closed) == len(set(closed))
    assert monitor.take_counters().late == len(mentions)


COUNTING = parse_rules(
    "rules: [{alert: N, type: spike, method: return_period, signal: volume, fire: {return_period: 7d}}]", name="n.yaml"
)
Closings = list[tuple[str, int]]


def closings(log: Sequence[LogEntry], cuts: Sequence[int] = ()) -> tuple[Closings, int]:
    """The bins that close, by company and start in minutes, and how many are open at the end.

    Args:
        log: the records.
        cuts: offsets at which a new monitor goes on from what was saved.
    """
    found: Closings = []
    store: dict[str, bytes] = {}
    first, open_bins = 0, 0
    for cut in [*sorted(set(cuts)), len(log)]:
        monitor = PartitionMonitor(
            0, COUNTING, OPTIONS, on_bin=lambda one: found.append((one.entity, (one.start_ms - to_ms(START)) // BIN_MS))
        )
        monitor.restore(store.items())
        for offset in range(first, cut):
            monitor.absorb(log[offset], offset)
        open_bins = monitor.open_bins
        assert open_bins == sum(len(state.open) for state in monitor.entities.values())
        save(store, monitor)
        first = cut
    return found, open_bins


def come_to(minute: int) -> Progress:
    return Progress(partition=0, partitions=1, event_time=at_minute(minute), idle=False)


def ahead_to(minute: int) -> AheadProgress:
    return AheadProgress(partition=0, event_time=at_minute(minute))


def at_minute(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


def test_the_bins_of_a_company_that_comes_onto_a_watch_list_close_oldest_first() -> None:
    log: list[LogEntry] = [
        come_to(0),
        invent(1, at_minute(1)),
        invent(2, at_minute(11), watched=True, ahead=True),
        ahead_to(20),
        come_to(30),
        invent(3, at_minute(41), watched=True),
        come_to(60),
    ]
    wanted = ([("AURL", 1), ("AURL", 11), ("AURL", 41)], 0)
    assert closings(log) == wanted
    assert closings(log, cuts=[3]) == wanted


def test_a_company_that_leaves_a_watch_list_and_comes_back_waits_once() -> None:
    log: list[LogEntry] = [come_to(0)]
    log += [invent(number, at_minute(5 * number + 1), watched=number % 2 == 1, ahead=True) for number in range(9)]
    assert closings(log) == ([], 9)
    assert closings([*log, ahead_to(30)]) == ([], 9)
    log += [ahead_to(30), invent(50, at_minute(50), watched=True, ahead=True)]
    assert closings(log) == ([("AURL", 5 * number + 1) for number in range(6)], 4)
    assert closings([*log, come_to(80)])[0] == [("AURL", minute) for minute in (*range(1, 46, 5), 50)]


def step_of(dice: random.Random, number: int, minutes: list[int]) -> LogEntry:
    """One more record: a mention of a company that is watched or not, or how far was read."""
    kind = dice.randrange(8)
    if kind == 0:
        minutes[0] += dice.randrange(12)
        return come_to(minutes[0])
    if kind == 1:
        minutes[1] = max(minutes[1], minutes[0]) + dice.randrange(20)
        return ahead_to(minutes[1])
    at = at_minute(minutes[0] + dice.randrange(-4, 40))
    watched = dice.random() < 0.5
    return invent(number, at, entity=dice.choice(["AURL", "BRND"]), watched=watched, ahead=watched or UNSET)


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 1 << 30), st.integers(2, 60), st.lists(st.integers(1, 60), max_size=4))
def test_the_bins_of_a_company_close_oldest_first_and_once_whatever_the_watch_list_says(
    seed: int, length: int, cuts: list[int]
) -> None:
    dice, minutes = random.Random(seed), [10, 10]
    log = [come_to(10), *(step_of(dice, number, minutes) for number in range(length)), come_to(500)]
    wanted = closings(log)
    assert closings(log, [cut for cut in cuts if cut < len(log)]) == wanted
    assert wanted[1] == 0
    for company in ("AURL", "BRND"):
        starts = [start for name, start in wanted[0] if name == company]
        assert starts == sorted(set(starts))
