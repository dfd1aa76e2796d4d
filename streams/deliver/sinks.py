"""The seam between alerts and people, the terminal behind it, and a double for tests."""

from __future__ import annotations

import asyncio
from typing import Protocol

from rich.console import Console

from streams.deliver.text import alert_block, alert_line
from streams.records import Alert, AlertState

DELIVERED_STATES: frozenset[AlertState] = frozenset({"firing", "resolved"})
"""Nobody is called for the others; they stay on the alerts topic. Of these, `Alert.is_news` says for which."""


class AlertSink(Protocol):
    """Somewhere alerts go."""

    @property
    def lanes(self) -> int:
        """How many transitions it takes at once. With one, all come in the order in which they happened.

        With more, those of one company do; the sink may be handed more, and lets the others wait by itself.
        """

    async def deliver(self, alert: Alert, *, age_s: float = 0.0) -> None:
        """Hand over one transition.

        Args:
            alert: the transition.
            age_s: how long it has waited already.

        Raises:
            DeliveryError: it could not be handed over, and trying again now is of no use.
        """

    async def aclose(self) -> None:
        """Let go of connections."""


class ListSink:
    """The double of a sink: it keeps what it is given, in order."""

    lanes = 1

    def __init__(self) -> None:
        self.alerts: list[Alert] = []

    async def deliver(self, alert: Alert, *, age_s: float = 0.0) -> None:
        """Keep the alert."""
        self.alerts.append(alert)

    async def aclose(self) -> None:
        """Nothing is held."""


class TerminalSink:
    """Prints alerts that fire or resolve: blocks on a terminal, single lines into a log.

    Args:
        console: where to print; standard output without it.
        blocks: print blocks; without it, if the console is a terminal.
    """

    lanes = 1

    def __init__(self, console: Console | None = None, *, blocks: bool | None = None) -> None:
        self._console = console or Console()
        self._blocks = self._console.is_terminal if blocks is None else blocks

    async def deliver(self, alert: Alert, *, age_s: float = 0.0) -> None:
        """Print the alert."""
        if alert.is_news:
            # A terminal or pipe that nobody reads blocks its writer: that must not be the event loop.
            await asyncio.to_thread(self._print, alert)

    async def aclose(self) -> None:
        """Nothing is held."""

    def _print(self, alert: Alert) -> None:
        if self._blocks:
            self._console.print(alert_block(alert))
        else:
            self._console.print(alert_line(alert), markup=False, highlight=False, soft_wrap=True)
