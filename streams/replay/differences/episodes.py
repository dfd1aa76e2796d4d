"""Episodes: what a desk lives through, made of the transitions of one alert. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple, get_args

from msgspec import UNSET

from streams.records import Alert, Severity, encode

_ORDER: tuple[Severity, ...] = get_args(Severity)


@dataclass(frozen=True, slots=True)
class Episode:
    """One alert from its opening to its end. It fired: what was pending and came to nothing called nobody."""

    id: str
    rule: str
    entity: str
    """The company; of an alert about no one company, its labels."""
    opened: datetime
    fired: datetime
    ended: datetime | None
    """None if it was still firing when the run ended."""
    severity: Severity
    """The highest that it reached."""
    alert: Alert
    """Its first record that says it fired: the evidence that called the desk."""

    @property
    def numbers(self) -> dict[str, object]:
        """The evidence as far as two runs are compared by it, under the names that a person reads."""
        evidence = self.alert.evidence
        observed = evidence.observed
        return {
            "share": observed.share,
            "usual share": evidence.baseline.share,
            "stories": observed.stories,
            "messages": observed.messages,
            "sources": observed.sources,
            "authors": observed.authors,
            "e-value": evidence.e_value,
            "value": None if evidence.measure is UNSET else evidence.measure.value,
            "onset": evidence.onset,
        }

    @property
    def key(self) -> tuple[datetime, datetime, str, str, str]:
        """By what episodes are put in order: when it fired, when it opened, and which it is."""
        return self.fired, self.opened, self.entity, self.rule, self.id


class Episodes(NamedTuple):
    """The episodes of a run, in the order of firing."""

    fired: tuple[Episode, ...]
    unfired: int
    """Alerts that were pending or kept back, and never fired; some were still so when the run ended."""


def episodes(alerts: Iterable[Alert]) -> Episodes:
    """Gather the transitions of each alert id, in any order; one that is there twice counts once."""
    by_id: dict[str, dict[int, Alert]] = {}
    for alert in alerts:
        known = by_id.setdefault(alert.id, {})
        other = known.get(alert.transition)
        # Two records under one number should be the same bytes; if not, the choice must not hang on their order.
        if other is None or encode(alert) < encode(other):
            known[alert.transition] = alert
    found = [_episode([life[number] for number in sorted(life)]) for life in by_id.values()]
    fired = sorted((episode for episode in found if episode is not None), key=lambda episode: episode.key)
    return Episodes(tuple(fired), len(found) - len(fired))


def _episode(life: Sequence[Alert]) -> Episode | None:
    told = [alert for alert in life if alert.fired_at is not None]
    if not told or told[0].fired_at is None:
        return None
    first, last = told[0], life[-1]
    return Episode(
        id=first.id,
        rule=first.rule,
        entity=_subject(first),
        opened=first.starts_at,
        fired=told[0].fired_at,
        ended=last.ends_at,
        severity=max((alert.severity for alert in told), key=_ORDER.index),
        alert=first,
    )


def _subject(alert: Alert) -> str:
    entity = alert.labels.get("entity")
    if entity:
        return entity
    return ", ".join(f"{key}={value}" for key, value in sorted(alert.labels.items()) if key != "alertname")


@dataclass(frozen=True, slots=True)
class PerDay:
    """How many alerts fired a day (UTC), over a range of days with and without one."""

    days: int
    count: int
    """Alerts in all of them."""
    most: int
    most_on: date | None
    """The first day with so many; None if no alert fired."""

    @property
    def mean(self) -> float:
        """Alerts a day."""
        return self.count / self.days


def per_day(found: Sequence[Episode], *, since: datetime, until: datetime) -> PerDay:
    """Count episodes by the day on which they fired; those that fired before the range are left out.

    Args:
        found: the episodes of a run.
        since: begin of the range, UTC.
        until: its end, inclusive; days that it only touches are days of the range.
    """
    counts: dict[date, int] = {}
    for episode in found:
        if episode.fired >= since:
            counts[episode.fired.date()] = counts.get(episode.fired.date(), 0) + 1
    # The bin of the last message may end, and an alert fire, on the day after it.
    days = (max([until.date(), *counts]) - since.date()) // timedelta(days=1) + 1
    most = max(counts.values(), default=0)
    most_on = min((day for day, count in counts.items() if count == most), default=None)
    return PerDay(days=days, count=sum(counts.values()), most=most, most_on=most_on)
