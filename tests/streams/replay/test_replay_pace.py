"""Alerts come at the pace of history, against a clock that a test moves."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from streams.errors import InputError
from streams.monitor import MonitorOptions, PartitionMonitor, default_rules
from streams.records import Alert
from streams.replay.pace import LONGEST_WAIT_S, paced, parse_speed
from tests.streams.replay.replay_source import one_partition


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now_s += seconds


@pytest.fixture(scope="module")
def alert() -> Alert:
    monitor = PartitionMonitor(0, default_rules(), MonitorOptions())
    return next(alert for offset, record in enumerate(one_partition()) for alert in monitor.absorb(record, offset))


def _later(alert: Alert, *minutes: float) -> list[Alert]:
    return [msgspec.structs.replace(alert, at=alert.at + timedelta(minutes=more)) for more in minutes]


def test_at_60x_an_hour_is_a_minute(alert: Alert) -> None:
    clock = Clock()
    seen = [(clock.now_s, one) for one in paced(_later(alert, 0, 60, 90), speed=60, clock=clock, sleep=clock.sleep)]
    assert [round(at - 100, 6) for at, _ in seen] == [0, 60, 90]
    assert max(clock.waits) <= LONGEST_WAIT_S


def test_time_counts_from_the_begin_of_the_range(alert: Alert) -> None:
    clock = Clock()
    since = alert.at - timedelta(minutes=2)
    assert list(paced([alert], speed=1, since=since, clock=clock, sleep=clock.sleep)) == [alert]
    assert clock.now_s == pytest.approx(220)


def test_what_is_late_is_not_waited_for(alert: Alert) -> None:
    clock = Clock()
    found = []
    for one in paced(_later(alert, 0, 1, 2), speed=1, clock=clock, sleep=clock.sleep):
        found.append(one)
        clock.now_s += 300  # whoever takes them is slow
    assert len(found) == 3
    assert clock.waits == []


def test_as_fast_as_possible_waits_for_nothing(alert: Alert) -> None:
    clock = Clock()
    assert len(list(paced(_later(alert, 0, 9999), speed=None, clock=clock, sleep=clock.sleep))) == 2
    assert clock.waits == []


def test_a_wait_says_how_long_it_is(alert: Alert) -> None:
    clock, left = Clock(), []
    list(paced(_later(alert, 0, 0.05), speed=1, clock=clock, sleep=clock.sleep, on_wait=left.append))
    assert left == pytest.approx([3, 2, 1])


@pytest.mark.parametrize(("text", "speed"), [("max", None), ("1x", 1), ("60x", 60), ("0.5x", 0.5), ("3600", 3600)])
def test_a_speed_is_read(text: str, speed: float | None) -> None:
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["0x", "-1x", "fast", "", "60 x", "nan", "1e3x"])
def test_what_is_no_speed_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is no speed: write 1x"):
        parse_speed(text)
