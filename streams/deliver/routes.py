"""Who is called for which alert. Pure.

Routes look at an alert's labels, and at `severity`, `rule` and the company's `sector` beside them. Whoever was told of
an alert is told of all that follows it, also where its severity has risen past what a route names: nobody is left with
an alert that never ends (`streams.deliver.book`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from streams.delivery_sections import DeliverySettings
from streams.matchers import Matcher
from streams.records import Alert


@dataclass(frozen=True, slots=True)
class Route:
    """One route: conditions that all have to hold, and whom it leads to."""

    matchers: tuple[Matcher, ...]
    receivers: tuple[str, ...]
    goes_on: bool

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether labels fulfil all conditions."""
        return all(matcher.matches(labels) for matcher in self.matchers)


@dataclass(frozen=True, slots=True)
class Found:
    """Who gets an alert, and why."""

    receivers: tuple[str, ...]
    """In the order of the routes, each once."""
    by: tuple[int, ...]
    """Numbers of the routes that matched, from 1 on; none if it is the default."""


class Routes:
    """The routes of one configuration.

    Args:
        routes: in their order.
        default: who gets what no route matches.
        sectors: sector by company, for matchers of `sector`; a label of the alert's own goes before it.
    """

    def __init__(
        self, routes: Sequence[Route], default: Sequence[str], *, sectors: Mapping[str, str] | None = None
    ) -> None:
        self._routes = tuple(routes)
        self._default = tuple(default)
        self._sectors = sectors or {}

    @classmethod
    def of(cls, settings: DeliverySettings, *, sectors: Mapping[str, str] | None = None) -> Routes:
        """Read the routes of a configuration; without any, every receiver gets every alert."""
        routes = [Route(one.conditions, one.receivers, one.continue_) for one in settings.routes]
        default = settings.default_receivers
        if default is None:
            default = tuple(settings.all_receivers)
        return cls(routes, default, sectors=sectors)

    def find(self, labels: Mapping[str, str]) -> Found:
        """Return who gets an alert with these labels."""
        receivers: dict[str, None] = {}
        by: list[int] = []
        for number, route in enumerate(self._routes, start=1):
            if route.matches(labels):
                by.append(number)
                receivers |= dict.fromkeys(route.receivers)
                if not route.goes_on:
                    break
        return Found(tuple(receivers) if by else self._default, tuple(by))

    def lead_to(self, receiver: str, alert: Alert) -> bool:
        """Whether an alert is for a receiver, by its routes alone."""
        return receiver in self.find(self.labels_of(alert)).receivers

    def labels_of(self, alert: Alert) -> dict[str, str]:
        """Return what matchers see of an alert."""
        return {
            "sector": self._sectors.get(alert.labels.get("entity", ""), ""),
            **alert.labels,
            "alertname": alert.rule,
            "rule": alert.rule,
            "severity": alert.severity,
        }
