"""What it costs to show companies on /metrics: a look at the monitor, a scrape, and what the monitor does on the way.

Companies are the shipped table's, all of them watched; each has mentions in every minute of more than an hour, so that
every series has samples. Times are this process's own CPU time, the least of several rounds.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from prometheus_client import CollectorRegistry, generate_latest

from deploy.bench.figures import Figure
from streams.app.company_series import Companies, PartitionSeries, choose_companies
from streams.app.monitor_figures import MonitorCollector, Watched, look
from streams.ingest.entities import sp500
from streams.monitor import ClosedBin, MonitorOptions, PartitionMonitor, default_rules
from streams.records import LogEntry, Mention, ModelVersion, Origin, Progress

PARTITIONS = 4
_START = datetime(2026, 3, 2, tzinfo=UTC)
_MINUTES = 70
_ROUNDS = 5
_SYLLABLES = "bar cor den fel gro hil jam kel lom mar nor pel quin ros sol tam ul ver wyn zan".split()


def mentions_of(symbols: Sequence[str]) -> list[Mention]:
    """Return invented mentions of companies, one in every minute and a story each, in order of time."""
    draw = random.Random(3)  # noqa: S311 - no secret, and the same mentions in every run
    found: list[Mention] = []
    for minute in range(_MINUTES):
        for symbol in symbols:
            at = _START + timedelta(minutes=minute, seconds=draw.random() * 59)
            negative = round(draw.betavariate(1, 4), 4)
            found.append(
                Mention(
                    message_id=f"invented:{len(found)}",
                    entity=symbol,
                    relevance=1.0,
                    source=f"source-{len(found) % 11}",
                    published_at=at,
                    received_at=at,
                    scored_at=at,
                    text=" ".join("".join(draw.choices(_SYLLABLES, k=3)) for _ in range(12)),
                    negative=negative,
                    neutral=round(1 - negative, 4),
                    positive=0.0,
                    topic="legal",
                    topics={"legal": 1.0},
                    model=ModelVersion(name="invented", version="1"),
                    origin=Origin(partition=0, offset=len(found)),
                    author=f"author-{draw.randrange(5000)}",
                )
            )
    return sorted(found, key=lambda mention: mention.published_at)


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What one number of watched companies costs."""

    look_s: float
    """One look at all monitors, in their thread, every few seconds."""
    scrape_s: float
    """One answer to Prometheus, of what was last seen alone."""
    scrape_bytes: int
    absorb_s: float
    """All mentions through monitors that tell of their bins to nobody."""
    gather_s: float
    """What is gathered of these bins for /metrics."""


def measure(watched: int, *, companies: int, rounds: int) -> Measured:
    """Measure with so many companies on the watch list, of so many that are spoken of."""
    symbols = [entity.symbol for entity in sp500()][:companies]
    chosen = choose_companies(sp500(), symbols[:watched], most=watched)
    parts = [chosen.of_partition(number, PARTITIONS) for number in range(PARTITIONS)]
    everyone = choose_companies(sp500(), symbols, most=len(symbols))
    home = {
        symbol: number for number in range(PARTITIONS) for symbol in everyone.of_partition(number, PARTITIONS).watched
    }
    log: list[list[Mention]] = [[] for _ in range(PARTITIONS)]
    for mention in mentions_of(symbols):
        log[home[mention.entity]].append(mention)
    bins: list[list[ClosedBin]] = [[] for _ in range(PARTITIONS)]
    monitors = [_absorb(number, log[number], bins[number].append) for number in range(PARTITIONS)]
    absorb_s = _least(lambda: [_absorb(number, log[number], None) for number in range(PARTITIONS)], rounds)
    gather_s = _least(lambda: [_gather(part, closed) for part, closed in zip(parts, bins, strict=True)], rounds)
    series = [_gather(part, closed) for part, closed in zip(parts, bins, strict=True)]
    partitions = {number: Watched(monitor, series[number]) for number, monitor in enumerate(monitors)}
    registry = CollectorRegistry()
    collector = MonitorCollector(registry)
    rules = default_rules()
    return Measured(
        look_s=_least(lambda: collector.show(look(partitions, rules, chosen)), rounds),
        scrape_s=_least(lambda: generate_latest(registry), rounds),
        scrape_bytes=len(generate_latest(registry)),
        absorb_s=absorb_s,
        gather_s=gather_s,
    )


def _absorb(number: int, records: Sequence[Mention], on_bin: Callable[[ClosedBin], None] | None) -> PartitionMonitor:
    """Put a partition's log through a new monitor, up to its last bin."""
    monitor = PartitionMonitor(number, default_rules(), MonitorOptions(), on_bin=on_bin)
    monitor.absorb(Progress(partition=0, partitions=1, event_time=None, idle=False), 0)
    end = Progress(partition=0, partitions=1, event_time=_START + timedelta(minutes=_MINUTES, seconds=120), idle=False)
    log: list[LogEntry] = [*records, end]
    for offset, record in enumerate(log, start=1):
        monitor.absorb(record, offset)
    return monitor


def _gather(companies: Companies, bins: Sequence[ClosedBin]) -> PartitionSeries:
    """Do what `on_bin` costs, the making of its argument included."""
    series = PartitionSeries(companies)
    for closed in bins:
        series.on_bin(ClosedBin(*closed))
    return series


def _least(work: Callable[[], object], rounds: int) -> float:
    spent = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return min(spent)


def run(watched: Sequence[int] = (0, 100, 500), *, companies: int = 500, rounds: int = _ROUNDS) -> list[Figure]:
    """Measure; about two minutes.

    Args:
        watched: how many companies are on watch lists, one pass for each.
        companies: how many are spoken of.
        rounds: how often everything is measured.
    """
    figures = []
    for count in watched:
        found = measure(count, companies=companies, rounds=rounds)
        what = f"{count} of {companies} companies watched"
        figures += [
            Figure(name=f"{what}: a look at the monitors", value=round(found.look_s * 1000, 2), unit="ms CPU"),
            Figure(
                name=f"{what}: a scrape",
                value=round(found.scrape_s * 1000, 2),
                unit="ms CPU",
                note=f"{found.scrape_bytes / 1024:,.0f} KiB, of the monitor's figures alone",
            ),
            Figure(
                name=f"{what}: gathering, beside absorbing the same mentions",
                value=round(found.gather_s * 1000, 1),
                unit="ms CPU",
                against=f"absorbing {found.absorb_s * 1000:,.0f}",
                ratio=found.gather_s / found.absorb_s,
            ),
        ]
    return figures
