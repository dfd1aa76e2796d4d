"""Shows the difference of two replays: for `squall replay --compare A B` and `squall rules backtest`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from streams.deliver.words import clean, plural
from streams.errors import InputError
from streams.replay.differences.comparison import Comparison
from streams.replay.differences.difference_markdown import as_markdown
from streams.replay.differences.difference_words import (
    KINDS,
    Line,
    a_day,
    as_json,
    counts,
    headline,
    lines,
    totals,
    unfired_words,
)

STANDARD_OUTPUT = Path("-")

MOST_LINES = 60
"""Episodes that a terminal is shown; files have all of them."""

_WIDE = 120
"""Columns from which on a table of alerts reads better than a line for each."""

_STYLES = {"added": "green", "removed": "red", "shifted": "yellow", "changed": "cyan", "same": "dim"}


def show_difference(comparison: Comparison, console: Console) -> None:
    """Print a comparison for a person: what went in differently, counts, and each episode that is not the same."""
    console.print(Text(f"Compared: {headline(comparison)}", style="bold"))
    for word, side in (("old", comparison.old), ("new", comparison.new)):
        console.print(Text(f"{word}: {clean(side.name)}; {a_day(side.per_day)}"), soft_wrap=True)
    for caution in comparison.cautions:
        console.print(Text(f"Take care: {clean(caution)}.", style="yellow"), soft_wrap=True)
    if comparison.facts:
        table = _table("Differs in", "old", "new")
        for fact in comparison.facts:
            table.add_row(*(Text(clean(cell)) for cell in fact))
        console.print(table)
    rows = counts(comparison)
    if rows:
        table = _table("Rule", "company")
        for kind in (*KINDS, "same"):
            table.add_column(kind, justify="right")
        for row in rows:
            numbers = (_number(kind, row.kinds[kind]) for kind in (*KINDS, "same"))
            table.add_row(Text(row.rule), Text(clean(row.entity)), *numbers)
        console.print(table)
    _episodes(comparison, console)
    total = totals(rows)
    said = ", ".join(f"{total[kind]:,} {kind}" for kind in KINDS)
    console.print(Text(f"{said}, {total['same']:,} the same"), soft_wrap=True)
    if words := unfired_words(comparison):
        console.print(Text(f"Alerts {words}", style="dim"), soft_wrap=True)


def write_difference(
    comparison: Comparison,
    *,
    json: Path | None = None,
    markdown: Path | None = None,
    verdict: Sequence[str] | None = None,
) -> None:
    """Write a comparison as JSON, as Markdown or both; `-` is standard output.

    Args:
        comparison: the runs and their difference.
        json: file for programs.
        markdown: file for the comment on a pull request.
        verdict: the bounds that were broken, in words; empty if all held; None if there were none.

    Raises:
        InputError: a file cannot be written.
    """
    if json is not None:
        content = as_json(comparison) | ({} if verdict is None else {"broken": list(verdict)})
        _write(json, lambda: msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
    if markdown is not None:
        _write(markdown, lambda: as_markdown(comparison, verdict=verdict).encode())


def require_writable(*paths: Path | None) -> None:
    """Refuse files that could not be written, before the work whose result they are to hold.

    Raises:
        InputError: the folder of one is not there, or it may not be written.
    """
    for path in paths:
        if path is None or path == STANDARD_OUTPUT:
            continue
        if path.is_dir():
            raise InputError(f"cannot write {path}: it is a folder")
        if not path.parent.is_dir():
            raise InputError(f"cannot write {path}: there is no folder {path.parent}; make it first")
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise InputError(f"cannot write {path}: permission denied")


def takes_output(*paths: Path | None) -> bool:
    """Whether standard output is asked for by one of these, so that nothing else may be printed there."""
    return STANDARD_OUTPUT in paths


def _write(path: Path, content: Callable[[], bytes]) -> None:
    if path == STANDARD_OUTPUT:
        sys.stdout.write(content().decode())
        return
    try:
        path.write_bytes(content())
    except OSError as error:
        msg = f"cannot write {path}: {error.strerror or error}"
        raise InputError(msg) from error


def _episodes(comparison: Comparison, console: Console) -> None:
    found = list(lines(comparison))
    if not found:
        return
    shown = found[:MOST_LINES]
    if console.width >= _WIDE:
        console.print(_episode_table(shown))
    else:
        for line in shown:
            console.print(_episode_lines(line), soft_wrap=not console.is_terminal)
        console.print()
    left_out = len(found) - MOST_LINES
    if left_out > 0:
        console.print(Text(f"... and {plural(left_out, 'alert')} more: --json writes all of them"), soft_wrap=True)


def _episode_table(shown: Sequence[Line]) -> Table:
    table = _table("", "fired (UTC)", "company", "rule", "severity", "seen", "difference")
    for line in shown:
        cells = (f"{line.fired:%Y-%m-%d %H:%M}", line.company, line.rule, line.severity, line.seen, line.note)
        table.add_row(Text(line.kind, style=_STYLES[line.kind]), *(Text(clean(cell)) for cell in cells))
    return table


def _episode_lines(line: Line) -> Text:
    fired = f"{line.fired:%Y-%m-%d %H:%M} UTC"
    what = f" {fired}  {clean(line.company)}  {line.rule} ({line.severity}): {clean(line.seen)}; {clean(line.note)}"
    return Text.assemble((f"{line.kind:<8}", _STYLES[line.kind]), what)


def _number(kind: str, count: int) -> Text:
    return Text(f"{count:,}", style=_STYLES[kind]) if count else Text("-", style="dim")


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=column in ("", "fired (UTC)"), overflow="fold")
    return table
