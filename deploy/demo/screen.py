"""The demonstration's screen: a live table on a terminal, plain lines elsewhere; alerts and the verdict in both."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType

from rich.console import Console, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from deploy.demo.verdict import Check, CompanySummary
from streams.deliver import alert_block, alert_line
from streams.deliver.words import moment, percent, plural
from streams.records import Alert, AlertState

PLAIN_WIDTH = 110
_PLAIN_EVERY_S = 3.0
_MOST_COMPANIES = 15
_MOST_BAD_ROWS = 20
_REFUSED = {
    "not_json": "not JSON",
    "not_utf8": "not UTF-8",
    "wrong_type": "of a wrong type",
    "newer_schema": "of a newer version",
    "empty_text": "without text",
    "bad_id": "with a bad id",
    "bad_source": "with a bad source",
    "in_the_future": "from the future",
    "no_model": "in a language without a model",
}


@dataclass(frozen=True, slots=True)
class Figures:
    """What the table shows."""

    phase: str = ""
    published: int = 0
    scored: int = 0
    scored_per_s: float = 0.0
    batches: int = 0
    batch_messages: int = 0
    to_score: int = 0
    to_judge: int = 0
    mentions: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    alerts: Mapping[str, int] = field(default_factory=dict)
    """Alerts by the state they are in."""
    event_time: datetime | None = None

    @property
    def batch(self) -> str:
        """Mean size of the batches."""
        return f"{self.batch_messages / self.batches:,.0f}" if self.batches else "-"


class Screen:
    """Shows a run. Use it as a context manager.

    Args:
        console: where to.
        plain: lines instead of a live table.
    """

    def __init__(self, console: Console, *, plain: bool) -> None:
        self.console = console
        self._plain = plain
        self._figures: Figures | None = None
        self._doing = ""
        self._last_plain_s = 0.0
        self._shown: Figures | None = None
        self._spinner = Spinner("dots")
        self._live: Live | None = None

    def __enter__(self) -> Screen:
        if not self._plain:
            self._live = Live(get_renderable=self._table, console=self.console, refresh_per_second=8, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.freeze()

    def freeze(self) -> None:
        """Take the live table away; what was printed stays."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def doing(self, what: str) -> None:
        """Say what is under way."""
        changed, self._doing = what != self._doing, what
        if self._plain and changed:
            self.console.print(f"{what} ...", markup=False)

    def done(self, what: str, seconds: float) -> None:
        """Say what is done, and how long it took."""
        self.console.print(Text.assemble((f"{seconds:5.1f} s", "dim"), f"  {what}"))

    def say(self, text: str, style: str = "") -> None:
        """Print a sentence."""
        self.console.print(Text(text, style=style))

    def alert(self, alert: Alert) -> None:
        """Print an alert record: a block where somebody would be called, a line where nobody is."""
        if alert.is_news:
            self.console.print(alert_block(alert))
        else:
            self.console.print(Text(alert_line(alert), style="dim"))

    def update(self, figures: Figures) -> None:
        """Show new figures."""
        self._figures = figures
        now_s = time.monotonic()
        if self._plain and figures != self._shown and now_s - self._last_plain_s >= _PLAIN_EVERY_S:
            self._last_plain_s, self._shown = now_s, figures
            self.console.print(Text(figures_line(figures)), soft_wrap=True)

    def _table(self) -> RenderableType:
        self._spinner.update(text=Text(f" {self._doing}"))
        if self._figures is None:
            return self._spinner
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="bold", no_wrap=True)
        grid.add_column(overflow="fold")
        for name, value in figures_rows(self._figures):
            grid.add_row(name, value)
        return Panel(grid, title=Text(f"Squall: {self._doing}", style="bold"), title_align="left", border_style="blue")


def figures_rows(figures: Figures) -> list[tuple[str, str]]:
    """Return the rows of the live table. Pure."""
    reached = moment(figures.event_time) if figures.event_time else ""
    rate = f"{figures.scored_per_s:,.0f} a second, {figures.batch} in a batch"
    waiting = f"{figures.to_score:,} to be scored, {figures.to_judge:,} to be judged"
    return [
        ("Published", f"{plural(figures.published, 'record')} ({figures.phase})"),
        ("Scored", f"{figures.scored:,} ({rate})"),
        ("Waiting", waiting),
        ("Mentions", f"{figures.mentions:,} (a message and a company it speaks of)"),
        ("Refused", refused_words(figures.refused)),
        ("Alerts", alert_words(figures.alerts)),
        ("Judged", f"up to {reached}" if figures.event_time else "-"),
    ]


def figures_line(figures: Figures) -> str:
    """Return the figures as one line. Pure."""
    parts = [
        f"published {figures.published:,}",
        f"scored {figures.scored:,} ({figures.scored_per_s:,.0f}/s, {figures.batch} in a batch)",
        f"waiting {figures.to_score:,} + {figures.to_judge:,}",
        f"mentions {figures.mentions:,}",
        f"refused {sum(figures.refused.values()):,}",
        f"alerts: {alert_words(figures.alerts)}",
    ]
    if figures.event_time:
        parts.append(f"judged up to {moment(figures.event_time)}")
    return ", ".join(parts)


def refused_words(refused: Mapping[str, int]) -> str:
    """Return dead letters by reason in words. Pure."""
    parts = [f"{n:,} {_REFUSED.get(reason, reason.replace('_', ' '))}" for reason, n in sorted(refused.items()) if n]
    return ", ".join(parts) or "none"


def alert_words(states: Mapping[str, int]) -> str:
    """Return alerts by state in words. Pure."""
    words: dict[AlertState, str] = {
        "firing": "firing",
        "recovering": "calming down",
        "resolved": "over",
        "pending": "worth a look",
        "suppressed": "kept back",
        "inactive": "came to nothing",
    }
    parts = [f"{states[state]:,} {word}" for state, word in words.items() if states.get(state)]
    return ", ".join(parts) or "none"


def checks_table(checks: Iterable[Check]) -> RenderableType:
    """Return the verdict: what had to be so, and what was found."""
    table = Table(title="What was planted, and what Squall made of it", title_justify="left", title_style="bold")
    table.add_column("", no_wrap=True)
    table.add_column("Planted", ratio=3, overflow="fold")
    table.add_column("Found", ratio=2, overflow="fold")
    for check in checks:
        mark = Text("ok", style="green") if check.ok else Text("FAILED", style="bold red")
        table.add_row(mark, Text(check.what), Text(check.found))
    return table


def companies_table(companies: Sequence[CompanySummary]) -> RenderableType:
    """Return the user's companies with what came in about each."""
    table = Table(title="Your messages, by company", title_justify="left", title_style="bold")
    table.add_column("Company", overflow="fold")
    table.add_column("Mentions", justify="right")
    table.add_column("Negative", justify="right")
    table.add_column("Enough history of its own")
    for company in companies[:_MOST_COMPANIES]:
        name = company.symbol if company.name == company.symbol else f"{company.name} ({company.symbol})"
        has = "yes" if company.has_baseline else "no"
        table.add_row(Text(name), f"{company.mentions:,}", percent(company.negative), has)
    rest = companies[_MOST_COMPANIES:]
    if rest:
        table.add_row(
            Text(f"{len(rest):,} more companies", style="dim"), f"{sum(company.mentions for company in rest):,}", "", ""
        )
    return table


def bad_rows(bad: Sequence[str]) -> str:
    """Return what is wrong with rows, the first ones one by one. Pure."""
    more = [f"... and {len(bad) - _MOST_BAD_ROWS:,} more bad rows"] if len(bad) > _MOST_BAD_ROWS else []
    return "\n".join([*bad[:_MOST_BAD_ROWS], *more])
