"""When each source was last heard: the figure behind an alert on a dead feed. Bounded, whatever names come."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from streams.app import metrics

MOST_SOURCES = 50
"""Sources with a series of their own: the first ones that are heard. The rest are `OTHER`."""
OTHER = "other"


class LastArrivals:
    """The last arrival by source, the latest of those that were told in any order.

    Args:
        most: how many sources are told apart.
    """

    def __init__(self, most: int = MOST_SOURCES) -> None:
        self._most = most
        self._last: dict[str, float] = {}

    def heard(self, source: str, at_s: float) -> tuple[str, float]:
        """Take note of an arrival.

        Args:
            source: any name.
            at_s: when, Unix time.

        Returns:
            The name under which the source is shown, and its last arrival.
        """
        name = source if source in self._last or self._named < self._most else OTHER
        last = self._last[name] = max(at_s, self._last.get(name, at_s))
        return name, last

    @property
    def _named(self) -> int:
        return len(self._last) - (OTHER in self._last)


_arrivals = LastArrivals()


def show_arrivals(heard: Mapping[str, datetime]) -> None:
    """Show the last arrivals of a batch, by source."""
    for source, at in heard.items():
        name, last = _arrivals.heard(source, at.timestamp())
        metrics.LAST_MESSAGE.labels(name).set(last)
