"""What `squall replay` tells: alerts, bad rows, and what came of a run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import get_args

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table

from streams.deliver import alert_block, alert_line
from streams.deliver.words import plural, span
from streams.records import Alert, Severity
from streams.replay.results import REPORT, RUN, RunResult, Summary
from streams.replay.sources.source import BadRecord

SHOWN_BAD = 20
"""Bad rows told one by one; a file of the wrong shape has millions."""

_SEVERITIES: tuple[Severity, ...] = get_args(Severity)
_DAY = timedelta(days=1)


class BadRows:
    """Tells the first bad rows and counts the others.

    Args:
        console: where to.
        counted: the results of the run count them too.
    """

    def __init__(self, console: Console, *, counted: bool = True) -> None:
        self._console = console
        self._counted = counted
        self.count = 0

    def __call__(self, bad: BadRecord) -> None:
        """Take one."""
        self.count += 1
        if self.count <= SHOWN_BAD:
            self._console.print(f"{bad.where}: {bad.detail}", style="red", markup=False, soft_wrap=True)

    def conclude(self) -> None:
        """Say how many were not told."""
        if self.count > SHOWN_BAD:
            more = plural(self.count - SHOWN_BAD, "more bad row")
            where = "; summary.json counts them by reason" if self._counted else ""
            self._console.print(f"... and {more}{where}", style="red")


def print_alert(console: Console, alert: Alert) -> None:
    """Print one transition: on a terminal a block where people are called, and one line otherwise."""
    if console.is_terminal and alert.is_news:
        console.print(alert_block(alert))
    else:
        console.print(f"{alert.at:%Y-%m-%d %H:%M} {alert_line(alert)}", markup=False, soft_wrap=True)


def pace_words(run: RunResult, speed: float, *, kept: bool) -> str:
    """Return how long the alerts of a run take at a pace, and where its results are meanwhile.

    Args:
        run: a run with alerts.
        speed: times faster than they were raised.
        kept: its files stay.
    """
    begin = run.summary.report_from or run.summary.first_event or run.alerts[0].at
    first, last = ((run.alerts[place].at - begin) / speed for place in (0, -1))
    text = (
        f"{plural(len(run.alerts), 'transition')} at {speed:g}x: the first in {span(first)}, the last in {span(last)}"
    )
    return f"{text}; the results are in {run.folder} already" if kept else text


def print_summary(console: Console, run: RunResult, *, kept: bool) -> None:
    """Print what came of a run.

    Args:
        console: where to.
        run: the run.
        kept: its files stay; otherwise one line says it all.
    """
    summary = run.summary
    if not kept:
        console.print(f"{_transitions(summary)}{_range(summary)}", soft_wrap=True)
        return
    console.print(_table(summary))
    for line in _facts(run):
        console.print(line, markup=False, soft_wrap=True)


def bad_rows(counts: Mapping[str, int]) -> str:
    """Return how many rows were bad, and why: `3 bad rows: 2 not_json, 1 of wrong shape or values`."""
    told = {reason: "of wrong shape or values" if reason == "bad_row" else reason for reason in counts}
    # One reason alone needs no count of its own.
    reasons = ", ".join(
        f"{count:,} {told[reason]}" if len(counts) > 1 else told[reason] for reason, count in counts.items()
    )
    return f"{plural(sum(counts.values()), 'bad row')}: {reasons}"


def a_day(rate: float) -> str:
    """Return alerts a day: `0.6 alerts a day`, `1 alert a day`, `120 alerts a day`."""
    number = f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"
    return f"{number} {'alert' if number == '1' else 'alerts'} a day"


def _transitions(summary: Summary) -> str:
    entity = summary.options.get("entity")
    whom = f" of {entity}" if entity else ""
    return f"{plural(summary.transitions, 'transition')}{whom}, {plural(summary.fired, 'alert')} fired"


def _range(summary: Summary) -> str:
    begin, end = summary.report_from or summary.first_event, summary.report_until or summary.last_event
    return f", {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC"


def _table(summary: Summary) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("alerts by rule", no_wrap=True)
    severities = [name for name in _SEVERITIES if summary.fired_by_severity.get(name)] or ["warning"]
    for name in (*severities, "all", "called nobody"):
        table.add_column(name, justify="right")
    for rule in summary.rules:
        counts = [rule.alerts.get(name, 0) for name in severities]
        nothing = rule.transitions.get("inactive", 0)
        table.add_row(rule.alert, *(f"{count:,}" for count in (*counts, sum(rule.alerts.values()), nothing)))
    return table


def _facts(run: RunResult) -> list[str]:
    summary = run.summary
    lines = [f"{_transitions(summary)}{_range(summary)}", _per_day(summary)]
    lines += [
        f"{plural(summary.mentions, 'mention')} of {plural(summary.companies, 'company', 'companies')}; "
        f"{summary.late:,} late, {summary.duplicates:,} repeated"
    ]
    if summary.messages is not None:
        lines += [_messages(summary.messages)]
    if summary.bad:
        lines += [bad_rows(summary.bad)]
    lines += [*_pace(run.folder / RUN), f"The report: {run.folder / REPORT}"]
    return lines


def _messages(counts: dict[str, int]) -> str:
    found = {name: counts.get(name, 0) for name in ("messages", "scored", "unlinked", "repeated")}
    return (
        f"{plural(found['messages'], 'message')}: {found['scored']:,} scored, {found['unlinked']:,} about no known "
        f"company, {found['repeated']:,} repeated"
    )


def _per_day(summary: Summary) -> str:
    begin, end = summary.report_from or summary.first_event, summary.report_until or summary.last_event
    days = max(1.0, (end - begin) / _DAY) if begin is not None and end is not None else 1.0
    line = a_day(summary.fired / days)
    if not summary.fired_per_day:
        return line
    day, most = max(summary.fired_per_day.items(), key=lambda item: (item[1], item[0]))
    return f"{line}, at most {most:,} ({day})"


def _pace(path: Path) -> list[str]:
    ran = msgspec.json.decode(path.read_bytes())
    if not ran.get("records"):
        return []
    return [f"{ran['records']:,} records in {ran['seconds']:,.1f} s ({ran['records_per_s']:,}/s through the monitor)"]
