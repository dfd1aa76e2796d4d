"""Mentions that were taken ahead of their turn: nothing that stands before them becomes late, and no alert changes."""

from __future__ import annotations

import random
from collections.abc import Sequence

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.monitor import MonitorOptions, PartitionMonitor, default_rules
from streams.monitor.bins import to_ms
from streams.monitor.clock import observe
from streams.monitor.state import ClockState
from streams.records import Alert, Mention, Progress, encode
from streams.replay.core import time_alone
from tests.streams.monitor.invented import incident

OPTIONS = MonitorOptions()


def watch(records: Sequence[Mention | Progress]) -> tuple[list[Alert], int]:
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
    mentions = [
        msgspec.structs.replace(one, origin=msgspec.structs.replace(one.origin, partition=0))
        for one in sorted(incident(random.Random(3)), key=lambda one: one.published_at)
    ]
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
