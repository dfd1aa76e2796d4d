"""Which record of a mentions' log goes to which partition of another, and how late it is by then. Pure.

A monitor reads its own partition alone, so what moves the clock must stand on all of them: every Progress, as the
scorer does it, and where the records come from a single partition (files), also the mentions that move it on by a bin.
That closes the same bins as in the log that they were in.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from streams.errors import InputError
from streams.monitor.bins import BIN_MS, to_ms
from streams.records import AheadProgress, LogEntry, Mention, Progress, Seed
from streams.replay.core import time_alone
from streams.replay.sources.partitioner import partition_of

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
"""The time of records that know none, where there is nothing but such records."""


class Due(NamedTuple):
    """A record that is to be sent."""

    reached: datetime
    """The latest event time up to here, by which it is due."""
    at: datetime
    """Its own event time; of a Progress that knows none, the first that comes after it."""
    partition: int
    key: bytes | None
    record: LogEntry


def spread(records: Iterable[LogEntry], partitions: int, *, lateness_s: float) -> Iterator[Due]:
    """Spread the records of one partition over several.

    Args:
        records: a log of one partition, in its order.
        partitions: how many there are to be.
        lateness_s: the monitor's allowed lateness: bins close that much later than their end.
    """
    steps = _Steps(lateness_s)
    for reached, at, record in _timed(records):
        if isinstance(record, Progress | AheadProgress):
            if isinstance(record, AheadProgress) or steps.are_new(record):
                for number in range(partitions):
                    yield Due(reached, at, number, None, record)
            continue
        key, own = _place(record, partitions)
        if isinstance(record, Mention):
            step = time_alone(record)
            if steps.are_new(step):
                for number in range(partitions):
                    if number != own:
                        yield Due(reached, at, number, None, step)
        yield Due(reached, at, own, key, record)


def keep_apart(lanes: Mapping[int, Iterable[LogEntry]], partitions: int, *, lateness_s: float) -> Iterator[Due]:
    """Merge the partitions of a log by event time; each record stays on its partition, in its order.

    Args:
        lanes: the log by partition.
        partitions: how many there are to be.
        lateness_s: the monitor's allowed lateness.

    Raises:
        InputError: a company's mentions stand on another partition than they would among so many.
    """
    merged = [_lane(number, records, partitions, lateness_s) for number, records in sorted(lanes.items())]
    return heapq.merge(*merged, key=lambda due: due.reached)


def _lane(number: int, records: Iterable[LogEntry], partitions: int, lateness_s: float) -> Iterator[Due]:
    steps = _Steps(lateness_s)
    for reached, at, record in _timed(records):
        if isinstance(record, Progress | AheadProgress):
            if isinstance(record, AheadProgress) or steps.are_new(record):
                yield Due(reached, at, number, None, record)
            continue
        key, own = _place(record, partitions)
        if own != number:
            raise InputError(
                f"{record.entity} stands on partition {number} of the source and belongs on {own} of {partitions}: "
                "set topics.mention_partitions to as many as the source has"
            )
        yield Due(reached, at, number, key, record)


def _place(record: Mention | Seed, partitions: int) -> tuple[bytes, int]:
    return record.entity.encode(), partition_of(record.entity, partitions)


class _Steps:
    """Tells steps of the clock that close a bin from those that close none and can be left out.

    What the scorer wrote is never left out: the log is as it was.
    """

    def __init__(self, lateness_s: float) -> None:
        self._lateness_ms = round(lateness_s * 1_000)
        self._told: dict[int, int] = {}
        self._idle: set[int] = set()

    def are_new(self, step: Progress) -> bool:
        is_scorers = step.partitions > 0
        bin_number = None if step.event_time is None else (to_ms(step.event_time) - self._lateness_ms) // BIN_MS
        told = self._told.get(step.partition)
        moves = bin_number is not None and (told is None or bin_number > told)
        if not (is_scorers or moves or step.partition in self._idle):
            return False
        if moves and bin_number is not None:
            self._told[step.partition] = bin_number
        (self._idle.add if step.idle else self._idle.discard)(step.partition)
        return True


def _timed(records: Iterable[LogEntry]) -> Iterator[tuple[datetime, datetime, LogEntry]]:
    """Yield each record with the latest event time up to it, and its own. Those without wait for the first that has."""
    reached: datetime | None = None
    waiting: list[LogEntry] = []
    for record in records:
        at = _event_time(record)
        if at is None and reached is None:
            waiting.append(record)
            continue
        if at is not None:
            reached = at if reached is None else max(reached, at)
        assert reached is not None  # noqa: S101  # for the type checker: one of the two is known here
        for early in waiting:
            yield reached, reached, early
        waiting.clear()
        yield reached, at or reached, record
    for early in waiting:
        yield _NEVER, _NEVER, early


def _event_time(record: LogEntry) -> datetime | None:
    if isinstance(record, Mention):
        return record.published_at
    if isinstance(record, AheadProgress):
        return None  # its time is ahead of the others', and would take them along
    return record.event_time if isinstance(record, Progress) else record.learned_until
