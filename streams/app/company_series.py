"""What is shown of companies and sectors: which of them, and what their last hour held.

Bounded: a company has series of its own only if it is on a watch list, and only the first so many of these; sectors
are those of the company tables. Every figure belongs to a partition and goes when the partition does, so that no two
workers show the same company.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from aiokafka.partitioner import DefaultPartitioner

from streams.assembly import entity_table
from streams.config import Settings
from streams.ingest.entities import load_watchlist
from streams.ingest.entities.table import EntityTable
from streams.monitor import ClosedBin
from streams.monitor.bins import BIN_MS, HOUR_MS, bin_start
from streams.monitor.state import EntityState

MOST_SECTORS = 50
"""Of different sectors in the tables; the rest are shown as `OTHER`."""
OTHER = "other"
NO_SECTOR = "unknown"
"""Of companies whose table names no sector, and of those that have left the tables."""

_log = logging.getLogger(__name__)
_by_key = DefaultPartitioner()


class Company(NamedTuple):
    """A company with series of its own."""

    name: str
    sector: str


@dataclass(frozen=True)
class Companies:
    """Whom to show."""

    watched: Mapping[str, Company] = field(default_factory=dict)
    """By symbol, in the order of the watch lists."""
    sectors: Mapping[str, str] = field(default_factory=dict)
    """Of all companies of the tables, by symbol."""

    def of_partition(self, partition: int, partitions: int) -> Companies:
        """Return the same with no more watched companies than those whose mentions go to one partition."""
        numbers = list(range(partitions))
        here = {
            symbol: known
            for symbol, known in self.watched.items()
            if _by_key(symbol.encode(), numbers, numbers) == partition
        }
        return Companies(here, self.sectors)


def load_companies(settings: Settings) -> Companies:
    """Read tables and watch lists. Raises InputError for one that cannot be used."""
    table = entity_table(settings)
    symbols = [symbol for path in settings.entities.watchlists for symbol in load_watchlist(path).symbols(table)]
    return choose_companies(table, symbols, most=settings.worker.most_company_series)


def choose_companies(table: EntityTable, watched: Iterable[str], *, most: int) -> Companies:
    """Say who is shown; a list that is too long is cut, and the log says so.

    Args:
        table: all companies.
        watched: symbols of the table, perhaps several times.
        most: how many watched companies are shown.
    """
    sectors = _bounded({entity.symbol: entity.sector.strip() or NO_SECTOR for entity in table})
    names = {entity.symbol: entity.name for entity in table}
    distinct = list(dict.fromkeys(watched))
    if len(distinct) > most:
        _log.warning(
            "%d companies are on watch lists and the first %d have series of their own on /metrics "
            "(worker.most_company_series); alerts are raised for all",
            len(distinct),
            most,
        )
    shown = {symbol: Company(names[symbol], sectors[symbol]) for symbol in distinct[:most]}
    return Companies(shown, sectors)


def _bounded(sectors: dict[str, str]) -> dict[str, str]:
    kept = set(list(dict.fromkeys(sectors.values()))[:MOST_SECTORS])
    if len(kept) == len(set(sectors.values())):
        return sectors
    _log.warning("the company tables name more than %d sectors; the rest are shown as %r", MOST_SECTORS, OTHER)
    return {symbol: sector if sector in kept else OTHER for symbol, sector in sectors.items()}


class HourWindow:
    """Votes and their sum of P(negative) over the last hour of event time, minute by minute."""

    __slots__ = ("_bins",)

    def __init__(self) -> None:
        self._bins: deque[tuple[int, int, float]] = deque(maxlen=HOUR_MS // BIN_MS)

    def add(self, start_ms: int, votes: int, negative: float) -> None:
        """Add a closed bin; bins come in the order of their start, several of one start may follow each other."""
        bins = self._bins
        if bins and bins[-1][0] == start_ms:
            _, before, sum_before = bins.pop()
            votes, negative = votes + before, negative + sum_before
        bins.append((start_ms, votes, negative))

    def sums(self, until_ms: int) -> tuple[int, float]:
        """Return votes and sum of P(negative) of the 60 minutes that had ended by a time, milliseconds."""
        since_ms = bin_start(until_ms) - HOUR_MS
        within = [(votes, negative) for start_ms, votes, negative in self._bins if start_ms >= since_ms]
        return sum(votes for votes, _ in within), sum(negative for _, negative in within)


@dataclass(slots=True)
class Shown:
    """What is gathered of a company or a sector."""

    hour: HourWindow = field(default_factory=HourWindow)
    mentions: int = 0
    """In bins that have closed since the partition came here, copies included."""

    def add(self, closed: ClosedBin) -> None:
        """Take in a bin."""
        self.hour.add(closed.start_ms, closed.votes, closed.negative)
        self.mentions += closed.mentions


class PartitionSeries:
    """Gathers the figures of one partition, in the thread that its monitor runs in.

    Args:
        companies: whom to show of this partition.
    """

    def __init__(self, companies: Companies) -> None:
        self._sector_of = companies.sectors
        self.companies = {symbol: Shown() for symbol in companies.watched}
        self.sectors = {sector: Shown() for sector in dict.fromkeys(companies.sectors.values())}

    def on_bin(self, closed: ClosedBin) -> None:
        """Take in a bin that has closed: the monitor's `on_bin`."""
        company = self.companies.get(closed.entity)
        if company is not None:
            company.add(closed)
        sector = self._sector_of.get(closed.entity, NO_SECTOR)
        shown = self.sectors.get(sector)
        if shown is None:
            shown = self.sectors[sector] = Shown()
        shown.add(closed)

    def take_up(self, states: Mapping[str, EntityState]) -> None:
        """Take the last hour from a restored monitor, as far as a threshold rule has it in its own window.

        Without such a rule the hour fills anew. Counts of mentions begin at 0: Prometheus knows how to read that.
        """
        by_sector: dict[str, dict[int, tuple[int, float]]] = {}
        for symbol, state in states.items():
            window = max((memory.window for memory in state.rules.values()), key=len, default=[])
            minutes = by_sector.setdefault(self._sector_of.get(symbol, NO_SECTOR), {})
            company = self.companies.get(symbol)
            for start_ms, votes, negative in window:
                before, sum_before = minutes.get(start_ms, (0, 0.0))
                minutes[start_ms] = before + votes, sum_before + negative
                if company is not None:
                    company.hour.add(start_ms, votes, negative)
        for sector, minutes in by_sector.items():
            shown = self.sectors.setdefault(sector, Shown())
            for start_ms, (votes, negative) in sorted(minutes.items()):
                shown.hour.add(start_ms, votes, negative)
