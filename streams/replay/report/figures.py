"""The key figures, and what to know before one trusts them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple

from streams.deliver.words import percent, plural
from streams.replay.report.data import Figures
from streams.replay.report.lives import SEVERITIES, Life
from streams.replay.report.timeline import CompanyTimeline

_DAYS_PER_WEEK = 7.0
_FEW_MENTIONS_PER_DAY = 60
"""Below this many a day no statistic finds a fivefold surge; measured, see the design notes on alerting."""


class Figure(NamedTuple):
    """One of the large numbers at the top."""

    value: str
    name: str
    more: str = ""


class DayCount(NamedTuple):
    """Alerts that fired on one day, UTC."""

    day: date
    total: int
    by_severity: tuple[int, ...]
    """Ascending severity."""


def days_between(start: datetime, end: datetime) -> float:
    """Length of a range in days, at least one."""
    return max(1.0, (end - start).total_seconds() / 86_400)


def key_figures(
    figures: Figures,
    *,
    mentions: int,
    found: Sequence[Life],
    days: float,
) -> list[Figure]:
    """Return the large numbers.

    Args:
        figures: what the run counted.
        mentions: those in the range.
        found: all alerts, also those that never fired.
        days: length of the range.
    """
    fired = [life for life in found if life.fired is not None]
    by_severity = [(severity, sum(life.severity == severity for life in fired)) for severity in reversed(SEVERITIES)]
    kinds = ", ".join(f"{count:,} {severity}" for severity, count in by_severity if count)
    unfired = sum(_came_to_nothing(life) for life in found)
    weeks = days / _DAYS_PER_WEEK
    rate = len(fired) / (weeks * figures.companies) if figures.companies else 0.0
    bad = sum(figures.bad.values())
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(figures.bad.items()))
    before = figures.mentions_read - mentions
    return [
        _count(len(fired), "alert fired", "alerts fired", kinds),
        Figure(_rate(rate), "per week and company", f"{_rate(len(fired) / days)} a day in all"),
        _count(figures.companies, "company", "companies", f"over {plural(round(days), 'day')}"),
        _count(mentions, "mention", "mentions", f"{before:,} more outside the range" if before > 0 else ""),
        _count(unfired, "rise that came to nothing", "rises that came to nothing", "pending, never fired"),
        _count(figures.late, "late mention", "late mentions", "not counted" if figures.late else ""),
        _count(bad, "bad row", "bad rows", reasons),
    ]


def _came_to_nothing(life: Life) -> bool:
    return life.fired is None and not life.fired_before and not life.was_kept_back


def _count(count: int, one: str, many: str, more: str) -> Figure:
    return Figure(f"{count:,}", one if count == 1 else many, more)


def _rate(value: float) -> str:
    """Return a rate with two significant digits, in full."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2g}" if value >= 0.001 or not value else "under 0.001"


class RuleCount(NamedTuple):
    """What came of one rule."""

    rule: str
    total: int
    by_severity: tuple[int, ...]
    """Alerts that fired, by ascending severity."""
    unfired: int
    """Rises that were pending and never fired."""


def alerts_per_rule(rules: Sequence[str], found: Sequence[Life]) -> list[RuleCount]:
    """Return a count for each rule in force, in their order, and for those that only an alert knows of."""
    names = dict.fromkeys([*rules, *sorted(life.shown.rule for life in found)])
    counts = []
    for name in names:
        own = [life for life in found if life.shown.rule == name]
        fired = [life for life in own if life.fired is not None]
        by_severity = tuple(sum(life.severity == severity for life in fired) for severity in SEVERITIES)
        unfired = sum(_came_to_nothing(life) for life in own)
        counts.append(RuleCount(name, len(fired), by_severity, unfired))
    return counts


def alerts_per_day(fired: Sequence[Life]) -> list[DayCount]:
    """Return the days on which an alert fired, in order."""
    days: dict[date, list[int]] = {}
    for life in fired:
        days.setdefault(life.begin.date(), [0] * len(SEVERITIES))[SEVERITIES.index(life.severity)] += 1
    return [DayCount(day, sum(counts), tuple(counts)) for day, counts in sorted(days.items())]


def quality_notes(
    figures: Figures,
    companies: Mapping[str, CompanyTimeline],
    fired: Sequence[Life],
    *,
    mentions: int,
    days: float,
) -> list[str]:
    """Return sentences on what limits this run; the first ones weigh most."""
    notes = []
    few = sum(company.mentions / days < _FEW_MENTIONS_PER_DAY for company in companies.values())
    if few:
        notes.append(
            f"{few:,} of {plural(len(companies), 'company', 'companies')} had fewer than {_FEW_MENTIONS_PER_DAY} "
            "mentions a day. With so few, even a fivefold rise of negative news may go unseen."
        )
    cold = sum(not life.shown.evidence.quality.warm for life in fired)
    if cold:
        notes.append(
            f"{plural(cold, 'alert')} of {len(fired):,} fired while the company had little history of its own; what "
            "was usual was then partly an assumption. A longer warm-up before the range makes them fewer."
        )
    narrow = sum(
        life.shown.evidence.counterfactual is not None and not life.shown.evidence.counterfactual.fires
        for life in fired
    )
    if narrow:
        notes.append(
            f"{plural(narrow, 'alert')} of {len(fired):,} would not have fired yet without the strongest story. "
            "An alert fires as soon as its evidence suffices, so that some are bound to be this narrow."
        )
    if figures.late:
        notes.append(f"{plural(figures.late, 'mention')} came later than the allowed lateness and had no say.")
    if figures.duplicates:
        of_all = f", {percent(figures.duplicates / figures.mentions_read)} of all" if figures.mentions_read else ""
        notes.append(f"{plural(figures.duplicates, 'mention')} had been read before, by the id{of_all}.")
    if figures.suppressed:
        notes.append(
            f"{plural(figures.suppressed, 'further alert')} fell into a cooldown or were inhibited, and called nobody."
        )
    if bad := sum(figures.bad.values()):
        notes.append(f"{plural(bad, 'row')} could not be used and {'was' if bad == 1 else 'were'} left out.")
    if not mentions:
        notes.append("No mention lies in the range: nothing was tested.")
    return notes
