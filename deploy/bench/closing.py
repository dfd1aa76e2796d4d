"""How long a minute that is over and has waited for late messages still waits to be closed.

An alert is raised when its minute closes. The log of mentions alone decides when that is, so it is read off the log
afterwards, with Kafka's time of each record as the clock; nothing of the worker is trusted for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from deploy.bench.figures import Figure, percentile
from deploy.bench.offer import Offered
from streams.config import Settings
from streams.monitor.bins import BIN_MS
from streams.monitor.clock import observe, watched_watermark
from streams.monitor.state import ClockState
from streams.records import LogEntry, decode_mention
from streams.replay.log import read_topic


class Closing(NamedTuple):
    """One minute of one partition that was closed."""

    due_ms: int
    """When it could have been at the earliest: its end, and the allowed lateness, by the clock."""
    waited_ms: int
    """From then until it was."""
    watched: bool
    """For watched companies; else for all."""


def closings(log: Iterable[tuple[int, int, LogEntry]], *, lateness_ms: int) -> list[Closing]:
    """Follow the watermarks of a live log, whose event times are those of the clock.

    Args:
        log: (partition, time in milliseconds, record), in the order of each partition.
        lateness_ms: the monitor's allowed lateness.
    """
    clocks: dict[int, ClockState] = {}
    closed: dict[tuple[int, bool], int] = {}
    found = []
    for partition, at_ms, record in log:
        state = clocks.setdefault(partition, ClockState())
        observe(state, record, lateness_ms=lateness_ms)
        for watched, mark_ms in ((False, state.watermark_ms), (True, watched_watermark(state))):
            if mark_ms is None:
                continue
            minute = mark_ms // BIN_MS
            before = closed.setdefault((partition, watched), minute)
            for number in range(before + 1, minute + 1):
                due_ms = number * BIN_MS + lateness_ms
                found.append(Closing(due_ms, at_ms - due_ms, watched))
            closed[partition, watched] = max(before, minute)
    return found


def read_closings(settings: Settings) -> list[Closing]:
    """The same for the mentions on Kafka. Raises SquallError if the topic cannot be read."""
    log = (
        (record.partition, record.timestamp, decode_mention(record.value))
        for record in read_topic(settings, settings.topics.mentions)
    )
    return closings(log, lateness_ms=settings.monitor.allowed_lateness_s * 1000)


def closing_figures(found: Sequence[Closing], stretches: Sequence[tuple[str, Offered]]) -> list[Figure]:
    """Return how long minutes waited that were due in each stretch: the longest, watched companies first."""
    figures = []
    for watched, who in ((True, "watched"), (False, "all")):
        for name, stretch in stretches:
            values = [
                one.waited_ms / 1000
                for one in found
                if one.watched is watched and stretch.began_ms <= one.due_ms < stretch.ended_ms
            ]
            if values:
                figures.append(
                    Figure(
                        name=f"{who}, {name}: a minute waits to be closed, longest",
                        value=round(max(values), 1),
                        unit="s",
                        note=f"p50 {percentile(values, 50):.1f} s, of {len(values)} minutes and partitions",
                    )
                )
    return figures
