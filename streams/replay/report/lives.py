"""The transitions of an alert as one story, and which alerts are the strongest. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from streams.records import Alert, Severity

SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""Ascending."""


@dataclass(frozen=True, slots=True)
class Life:
    """One alert from its opening to its end."""

    transitions: tuple[Alert, ...]
    """In their order, at least one."""

    @property
    def id(self) -> str:
        """The alert's id."""
        return self.transitions[0].id

    @property
    def entity(self) -> str:
        """The company; of an alert about no one company, its labels."""
        labels = self.transitions[0].labels
        if entity := labels.get("entity"):
            return entity
        return ", ".join(f"{key} {value}" for key, value in sorted(labels.items()) if key != "alertname")

    @property
    def shown(self) -> Alert:
        """The record whose evidence is shown: the first that fires, or else that was kept back, or the first of all."""
        for state in ("firing", "suppressed"):
            for alert in self.transitions:
                if alert.state == state:
                    return alert
        return self.transitions[0]

    @property
    def fired(self) -> datetime | None:
        """When it fired in the range, event time; None if it did not."""
        return self.shown.at if self.shown.state == "firing" else None

    @property
    def fired_before(self) -> bool:
        """It had fired before the range began, and only its end lies in it."""
        return self.fired is None and self.shown.fired_at is not None

    @property
    def was_kept_back(self) -> bool:
        """It would have fired, and something kept it back to its end."""
        return self.fired is None and self.shown.state == "suppressed"

    @property
    def begin(self) -> datetime:
        """When it fired, or when it was opened if it never did."""
        return self.fired or self.shown.fired_at or self.shown.starts_at

    @property
    def ended(self) -> datetime | None:
        """When it was over; None if it was not when the range ended."""
        return self.transitions[-1].ends_at

    @property
    def severity(self) -> Severity:
        """The highest at which it fired; what was pending called nobody, and does not count if it fired at all."""
        firing = [alert.severity for alert in self.transitions if alert.state == "firing"]
        return max(firing or [alert.severity for alert in self.transitions], key=SEVERITIES.index)

    @property
    def strength(self) -> tuple[int, float, float]:
        """By what alerts are ranked: severity, then how far the e-value exceeds its threshold, then the rise."""
        evidence = self.shown.evidence
        over = evidence.e_value / evidence.threshold if evidence.e_value is not None and evidence.threshold else 0.0
        rise = evidence.observed.share - evidence.baseline.share
        return SEVERITIES.index(self.severity), math.log10(max(over, 1e-9)), rise


def lives(alerts: Iterable[Alert]) -> list[Life]:
    """Gather the transitions of each alert id; oldest first."""
    by_id: dict[str, dict[int, Alert]] = {}
    for alert in alerts:
        by_id.setdefault(alert.id, {})[alert.transition] = alert
    found = [Life(tuple(life[number] for number in sorted(life))) for life in by_id.values()]
    return sorted(found, key=lambda life: (life.begin, life.id))


def strongest_first(found: Sequence[Life]) -> list[Life]:
    """Return alerts by strength; of equal ones the later first."""
    newest_first = sorted(found, key=lambda life: (life.begin, life.id), reverse=True)
    return sorted(newest_first, key=lambda life: life.strength, reverse=True)
