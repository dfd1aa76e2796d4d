"""A company's hours in a chart: so many points, nothing lost, nothing from outside the range."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.monitor.bins import DAY_MS, HOUR_MS, to_ms
from streams.replay.report.timeline import bucket_start, gather, points_each, step_ms
from tests.streams.replay.report.report_invented import DAY, HOUR, START, hours

WEEK_MS = 7 * DAY_MS


@pytest.mark.parametrize(
    ("days", "step"),
    [(0, HOUR_MS), (30, HOUR_MS), (60, 6 * HOUR_MS), (731, DAY_MS), (3650, WEEK_MS), (36_500, 7 * WEEK_MS)],
)
def test_the_longer_the_range_the_longer_the_buckets(days: int, step: int) -> None:
    assert step_ms(START, START + days * DAY, most_points=750) == step


@given(days=st.integers(0, 40_000), most=st.integers(10, 2_000))
def test_no_range_has_more_buckets_than_a_chart_may_have(days: int, most: int) -> None:
    end = START + timedelta(days=days, minutes=59)
    step = step_ms(START, end, most_points=most)
    first, last = bucket_start(to_ms(START), step), bucket_start(to_ms(end), step)
    assert (last - first) // step + 1 <= most + 1


def test_weeks_begin_on_monday() -> None:
    for day in range(7):
        assert bucket_start(to_ms(START + day * DAY), WEEK_MS) == to_ms(START)  # 2 March 2026 is a Monday


def test_many_companies_share_the_points() -> None:
    assert points_each(10, each=750, in_all=200_000) == 750
    assert points_each(1_000, each=750, in_all=200_000) == 200
    assert points_each(1_000_000, each=750, in_all=200_000) == 60
    assert points_each(0, each=750, in_all=200_000) == 750


def test_buckets_add_up_to_their_hours_in_whatever_order_they_come() -> None:
    points = list(hours("QLMK", 24 * 90))
    random.Random(4).shuffle(points)
    found = gather(points, start=START, end=START + 90 * DAY, step=DAY_MS, around={})
    company = found["QLMK"]
    assert len(company.coarse) == 90
    assert company.mentions == sum(bucket.mentions for bucket in company.coarse.values()) == 6 * 24 * 90
    assert company.negative == pytest.approx(sum(point.negative for point in points))
    first = company.coarse[to_ms(START)]
    assert first.votes == 96
    assert first.share == pytest.approx(sum(point.negative for point in hours("QLMK", 24)) / 96)


def test_a_bucket_shows_what_was_usual_at_its_end() -> None:
    early, late = hours("QLMK", 2)
    late = type(late)(**{name: getattr(late, name) for name in late.__struct_fields__} | {"baseline": 0.4})
    for points in ([early, late], [late, early]):
        found = gather(points, start=START, end=START + DAY, step=DAY_MS, around={})
        assert found["QLMK"].coarse[to_ms(START)].baseline == 0.4


def test_a_warm_up_and_what_comes_after_the_range_are_left_out() -> None:
    points = hours("QLMK", 24 * 10, start=START - 5 * DAY)
    found = gather(points, start=START, end=START + DAY - timedelta(minutes=1), step=HOUR_MS, around={})
    assert sorted(found["QLMK"].coarse) == [to_ms(START + hour * HOUR) for hour in range(24)]


def test_an_hour_that_the_range_begins_in_belongs_to_it() -> None:
    found = gather(hours("QLMK", 3), start=START + HOUR / 2, end=START + 2 * HOUR, step=HOUR_MS, around={})
    assert len(found["QLMK"].coarse) == 3


def test_around_an_alert_the_hours_are_kept() -> None:
    middle = to_ms(START + 30 * DAY)
    around = {"QLMK": [(middle - 12 * HOUR_MS, middle + 12 * HOUR_MS)]}
    points = [*hours("QLMK", 24 * 60), *hours("BRYN", 24 * 60)]
    found = gather(points, start=START, end=START + 60 * DAY, step=DAY_MS, around=around)
    assert len(found["QLMK"].fine) == 25
    assert not found["BRYN"].fine


def test_without_votes_there_is_no_share() -> None:
    (point,) = hours("QLMK", 1)
    silent = type(point)(**{name: getattr(point, name) for name in point.__struct_fields__} | {"votes": 0})
    found = gather([silent], start=START, end=START + DAY, step=HOUR_MS, around={})
    assert found["QLMK"].share is None
    assert found["QLMK"].coarse[to_ms(START)].share is None
