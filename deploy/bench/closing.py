"""How far the monitor's watermarks are behind the clock: how long a minute that is over waits to be closed.

An alert is raised when its minute closes. The log of mentions alone decides when that is, so it is read off the log
afterwards, with Kafka's time of each record as the clock; nothing of the worker is trusted for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from deploy.bench.figures import Figure, percentile
from deploy.bench.offer import Offered
from streams.config import Settings
from streams.monitor.clock import observe, watched_watermark
from streams.monitor.state import ClockState
from streams.records import LogEntry, decode_mention
from streams.replay.log import read_topic


class Behind(NamedTuple):
    """How far the watermarks are behind when a record of the log was written; in milliseconds."""

    at_ms: int
    """When, by Kafka's clock."""
    watched_ms: int
    """That of watched companies."""
    all_ms: int
    """That of all."""


def behind(log: Iterable[tuple[int, int, LogEntry]], *, lateness_ms: int) -> list[Behind]:
    """Follow the watermarks of a log.

    Args:
        log: (partition, time in milliseconds, record), in the order of each partition.
        lateness_ms: the monitor's allowed lateness, which is part of how far they are behind.
    """
    clocks: dict[int, ClockState] = {}
    found = []
    for partition, at_ms, record in log:
        state = clocks.setdefault(partition, ClockState())
        mark_ms = observe(state, record, lateness_ms=lateness_ms)
        watched_ms = watched_watermark(state)
        if mark_ms is not None and watched_ms is not None:
            found.append(Behind(at_ms, at_ms - watched_ms, at_ms - mark_ms))
    return found


def read_behind(settings: Settings) -> list[Behind]:
    """The same for the mentions on Kafka. Raises SquallError if the topic cannot be read."""
    log = (
        (record.partition, record.timestamp, decode_mention(record.value))
        for record in read_topic(settings, settings.topics.mentions)
    )
    return behind(log, lateness_ms=settings.monitor.allowed_lateness_s * 1000)


def closing_figures(found: Sequence[Behind], stretches: Sequence[tuple[str, Offered]]) -> list[Figure]:
    """Return the 99th percentile of each stretch, watched companies first, against the first stretch."""
    figures = []
    for who, field in (("watched", "watched_ms"), ("all", "all_ms")):
        calm = 0.0
        for name, stretch in stretches:
            values = [getattr(one, field) for one in found if stretch.began_ms <= one.at_ms < stretch.ended_ms]
            if not values:
                continue
            value = percentile(values, 99) / 1000
            first, calm = not calm, calm or max(value, 1e-3)
            figures.append(
                Figure(
                    name=f"{who}, {name}: watermark behind the clock, p99",
                    value=round(value, 1),
                    unit="s",
                    against="" if first else f"before {calm:.1f}",
                    ratio=None if first else value / calm,
                    note=f"p50 {percentile(values, 50) / 1000:.1f} s",
                )
            )
    return figures
