"""What /metrics shows of the monitor's own state: companies, sectors, open bins and open alerts.

The state belongs to the monitor's thread, so it is looked at there, every few seconds, and what was seen is put in
place as a whole: a scrape waits for nothing, and never sees half of a rebalance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from prometheus_client import REGISTRY
from prometheus_client.core import Metric
from prometheus_client.registry import Collector, CollectorRegistry

from streams.app import metrics
from streams.app.company_series import Companies, PartitionSeries
from streams.monitor import PartitionMonitor, Rule, RuleSet
from streams.monitor.detect import usual_share_of
from streams.monitor.state import EntityState
from streams.records import AlertState

Samples = list[tuple[tuple[str, ...], float]]
FAMILIES = (
    metrics.BINS_OPEN,
    metrics.ENTITIES,
    metrics.ALERTS_OPEN,
    metrics.COMPANY,
    metrics.COMPANY_SHARE,
    metrics.COMPANY_VOTES,
    metrics.COMPANY_USUAL,
    metrics.COMPANY_MENTIONS,
    metrics.COMPANY_ALERT,
    metrics.SECTOR_SHARE,
    metrics.SECTOR_VOTES,
    metrics.SECTOR_MENTIONS,
)


class MonitorCollector(Collector):
    """Shows what was last seen.

    Args:
        registry: what is scraped.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seen = [family.made_of(()) for family in FAMILIES]
        registry.register(self)

    def describe(self) -> list[Metric]:
        """Return the metrics without samples."""
        return [family.made_of(()) for family in FAMILIES]

    def show(self, found: Mapping[metrics.Family, Samples]) -> None:
        """Put other figures in the place of those before; of what is not among them nothing is left."""
        self._seen = [family.made_of(found.get(family, ())) for family in FAMILIES]

    def collect(self) -> Sequence[Metric]:
        """Return what was last seen."""
        return self._seen


SHOWN = MonitorCollector(REGISTRY)
_OPEN: tuple[AlertState, ...] = ("pending", "firing", "recovering", "suppressed")


class Watched(NamedTuple):
    """A partition: its monitor, and what was gathered beside it."""

    monitor: PartitionMonitor
    series: PartitionSeries


def look(partitions: Mapping[int, Watched], rules: RuleSet, companies: Companies) -> dict[metrics.Family, Samples]:
    """Return the figures of the partitions that this worker has; in the monitors' thread, between two batches."""
    found: dict[metrics.Family, Samples] = {family: [] for family in FAMILIES}
    for number, (monitor, series) in sorted(partitions.items()):
        found[metrics.BINS_OPEN].append(((str(number),), monitor.open_bins))
        found[metrics.ENTITIES].append(((str(number),), len(monitor.entities)))
        _companies(found, monitor, series, rules, companies)
    if partitions:
        found[metrics.ALERTS_OPEN] = _open_alerts((watched.monitor for watched in partitions.values()), rules)
        _sectors(found, list(partitions.values()))
    return found


def _companies(
    found: dict[metrics.Family, Samples],
    monitor: PartitionMonitor,
    series: PartitionSeries,
    rules: RuleSet,
    companies: Companies,
) -> None:
    until_ms = monitor.watermark_ms or 0
    rule = rules.for_baselines
    for symbol, shown in series.companies.items():
        name, sector = companies.watched[symbol]
        labels = (symbol,)
        votes, negative = shown.hour.sums(until_ms)
        found[metrics.COMPANY].append(((symbol, name, sector), 1))
        found[metrics.COMPANY_VOTES].append((labels, votes))
        found[metrics.COMPANY_MENTIONS].append((labels, shown.mentions))
        if votes:
            found[metrics.COMPANY_SHARE].append((labels, negative / votes))
        state = monitor.entities.get(symbol)
        if state is None:
            continue
        usual = _usual(state, rule)
        if usual is not None:
            found[metrics.COMPANY_USUAL].append((labels, usual))
        found[metrics.COMPANY_ALERT] += [
            ((symbol, rule_name, memory.life.last_severity), 1)  # as it was told
            for rule_name, memory in state.rules.items()
            if memory.life.standing in ("firing", "recovering")
        ]


def _usual(state: EntityState, rule: Rule | None) -> float | None:
    """What the rule takes for usual at a company; None before it has read a bin of it."""
    memory = None if rule is None else state.rules.get(rule.alert)
    if rule is None or memory is None or memory.rule_version != rule.version:
        return None
    return usual_share_of(rule, memory)


def _open_alerts(monitors: Iterable[PartitionMonitor], rules: RuleSet) -> Samples:
    """Count alerts by rule and state: 0 for rules in force without one, and rules that are gone while one is open."""
    counts = Counter({(rule.alert, state): 0 for rule in rules.rules for state in _OPEN})
    for monitor in monitors:
        for entity in monitor.entities.values():
            for name, memory in entity.rules.items():
                if memory.life.state != "inactive":
                    counts[name, memory.life.standing] += 1
    return list(counts.items())


def _sectors(found: dict[metrics.Family, Samples], partitions: Sequence[Watched]) -> None:
    """Add up the sectors of all partitions, each as of its own watermark."""
    votes, mentions = Counter[str](), Counter[str]()
    negative: dict[str, float] = {}
    for monitor, series in partitions:
        for sector, shown in series.sectors.items():
            count, total = shown.hour.sums(monitor.watermark_ms or 0)
            votes[sector] += count
            negative[sector] = negative.get(sector, 0.0) + total
            mentions[sector] += shown.mentions
    for sector, count in votes.items():
        found[metrics.SECTOR_VOTES].append(((sector,), count))
        found[metrics.SECTOR_MENTIONS].append(((sector,), mentions[sector]))
        if count:
            found[metrics.SECTOR_SHARE].append(((sector,), negative[sector] / count))
