"""What one receiver was told of and has not been told the end of. Pure.

It says who is called for a transition, and which alerts are sent again while they fire. It is kept by partition: when
one goes to another process, so do its alerts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from streams.records import Alert

END_KEPT_S = 900.0
"""An end is remembered for so long, so that a copy of what came before it brings nothing back."""


@dataclass(slots=True)
class _Page:
    """One alert."""

    told: Alert | None = None
    """The last transition that the receiver has, or was given up for it; None where it may not be sent again."""
    transition: int = -1
    """Its number."""
    ended_s: float | None = None
    """When its end was told."""


class Book:
    """Keeps track of alerts for one receiver.

    Args:
        leads_here: whether the routes lead an alert to this receiver.
        most: alerts that are kept; of more, the ones begun first are forgotten.
    """

    def __init__(self, leads_here: Callable[[Alert], bool], *, most: int = 10_000) -> None:
        self._leads_here = leads_here
        self._most = most
        self._pages: dict[tuple[int, str], _Page] = {}

    def __len__(self) -> int:
        return len(self._pages)

    def expect(self, partition: int, alert: Alert) -> bool:
        """Return whether this receiver is called for a transition that was just read, and remember it if so.

        Nobody is called for what is no news: `pending`, `recovering`, what is kept back, and what fires again after it
        had begun to recover.
        """
        if not alert.is_news:
            return False
        key = (partition, alert.id)
        if key in self._pages:
            return True  # whoever was told of an alert is told of all that follows
        if not self._leads_here(alert):
            return False
        if alert.state == "firing":
            self._pages[key] = _Page()
            while len(self._pages) > self._most:
                del self._pages[next(iter(self._pages))]
        return True

    def begin(self, partition: int, alert: Alert) -> None:
        """A transition is about to be told: if it is an end, nothing older is sent again from now on."""
        page = self._pages.get((partition, alert.id))
        if page is not None and alert.state == "resolved" and alert.transition > page.transition:
            page.told = None

    def told(self, partition: int, alert: Alert, now_s: float) -> None:
        """A transition was told, or given up.

        Args:
            partition: of the alerts topic.
            alert: the transition.
            now_s: Unix time.
        """
        page = self._pages.get((partition, alert.id))
        if page is None or alert.transition < page.transition:
            return  # forgotten; or a copy of what came before the last one
        page.transition = alert.transition
        if alert.state == "firing":
            page.told = alert
        else:
            page.told = None
            page.ended_s = now_s
            self._forget_old(now_s)

    def read_back(self, partition: int, alert: Alert, written_s: float) -> None:
        """Take in a transition that was told before.

        Args:
            partition: of the alerts topic.
            alert: the transition.
            written_s: when Kafka had it, Unix time.
        """
        if self.expect(partition, alert):
            self.told(partition, alert, written_s)

    def to_repeat(self) -> list[Alert]:
        """Return what fires, which is sent again.

        An end is not: a new alert on the same labels may fire by then, and would be ended by it.
        """
        return [page.told for page in self._pages.values() if page.told is not None]

    def clear(self) -> None:
        """Forget everything: partitions go elsewhere."""
        self._pages.clear()

    def _forget_old(self, now_s: float) -> None:
        over = [
            key for key, page in self._pages.items() if page.ended_s is not None and now_s - page.ended_s >= END_KEPT_S
        ]
        for key in over:
            del self._pages[key]
