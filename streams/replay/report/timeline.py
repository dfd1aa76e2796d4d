"""A company's hours put together so that a chart has so many points and no more. Pure.

All companies have buckets of one length, chosen by the length of the range, so that their charts can be compared.
Around the alerts that are shown in full the hours are kept as well: two years are drawn by the day, but an alert is
looked at by the hour.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from streams.monitor.bins import DAY_MS, HOUR_MS, to_ms
from streams.replay.results import TimelinePoint

_WEEK_MS = 7 * DAY_MS
_STEPS_MS = (HOUR_MS, 6 * HOUR_MS, DAY_MS, _WEEK_MS)
_MONDAY_MS = 4 * DAY_MS
"""1 January 1970 was a Thursday; weeks begin on Monday."""
_LEAST_POINTS = 60
AROUND_MS = 36 * HOUR_MS
"""This much on both sides of an alert is kept by the hour."""


def step_ms(start: datetime, end: datetime, *, most_points: int) -> int:
    """Return the length of the buckets, in ms: the shortest of hour, 6 hours, day, n weeks with few enough."""
    length = to_ms(end) - to_ms(start)
    for step in _STEPS_MS:
        if length // step + 2 <= most_points:
            return step
    weeks = -(-length // (_WEEK_MS * max(1, most_points - 2)))
    return int(weeks) * _WEEK_MS


def points_each(companies: int, *, each: int, in_all: int) -> int:
    """Return how many points a company may have, so that all of them together stay within bounds."""
    return max(_LEAST_POINTS, min(each, in_all // max(1, companies)))


def bucket_start(at_ms: int, step: int) -> int:
    """Return the start of the bucket that a time lies in, ms since the epoch."""
    offset = _MONDAY_MS if step % _WEEK_MS == 0 else 0
    return (at_ms - offset) // step * step + offset


@dataclass(slots=True)
class Bucket:
    """What came in within one bucket, and what was usual at its end."""

    mentions: int = 0
    votes: int = 0
    negative: float = 0.0
    baseline: float | None = None
    low: float | None = None
    high: float | None = None
    margin: float | None = None
    latest_ms: int = -1

    def add(self, point: TimelinePoint, at_ms: int) -> None:
        """Take in an hour."""
        self.mentions += point.mentions
        self.votes += point.votes
        self.negative += point.negative
        if point.baseline is not None and at_ms > self.latest_ms:
            self.baseline, self.low, self.high, self.margin = point.baseline, point.low, point.high, point.margin
            self.latest_ms = at_ms

    @property
    def share(self) -> float | None:
        """Mean P(negative) over the votes; None without one."""
        return self.negative / self.votes if self.votes else None


@dataclass(slots=True)
class CompanyTimeline:
    """One company over the whole range."""

    mentions: int = 0
    votes: int = 0
    negative: float = 0.0
    coarse: dict[int, Bucket] = field(default_factory=dict)
    """By start of the bucket, ms since the epoch."""
    fine: dict[int, Bucket] = field(default_factory=dict)
    """By the hour, around alerts; empty where the buckets are hours already."""

    @property
    def share(self) -> float | None:
        """Mean P(negative) over all votes; None without one."""
        return self.negative / self.votes if self.votes else None


def gather(
    points: Iterable[TimelinePoint],
    *,
    start: datetime,
    end: datetime,
    step: int,
    around: Mapping[str, Sequence[tuple[int, int]]],
) -> dict[str, CompanyTimeline]:
    """Put the hours together; the points are read once.

    Args:
        points: in any order.
        start: begin of the range; hours that end before it belong to a warm-up and are left out.
        end: end of the range, inclusive.
        step: length of a bucket, ms.
        around: by company, from when to when (ms) its hours are kept as well.
    """
    start_ms, end_ms = to_ms(start), to_ms(end)
    companies: dict[str, CompanyTimeline] = {}
    for point in points:
        at_ms = to_ms(point.at)
        if at_ms + HOUR_MS <= start_ms or at_ms > end_ms:
            continue
        company = companies.get(point.entity)
        if company is None:
            company = companies[point.entity] = CompanyTimeline()
        company.mentions += point.mentions
        company.votes += point.votes
        company.negative += point.negative
        begin = bucket_start(at_ms, step)
        bucket = company.coarse.get(begin)
        if bucket is None:
            bucket = company.coarse[begin] = Bucket()
        bucket.add(point, at_ms)
        if step > HOUR_MS and any(low <= at_ms <= high for low, high in around.get(point.entity, ())):
            company.fine.setdefault(bucket_start(at_ms, HOUR_MS), Bucket()).add(point, at_ms)
    return companies
