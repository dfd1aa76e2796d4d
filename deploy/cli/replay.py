"""`squall replay`: recompute alerts from the mentions that Kafka holds."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from deploy.cli.frame import err, out, settings
from streams.assembly import company_names, entity_table, rules_in_force
from streams.config import Settings
from streams.deliver import alert_block, alert_line
from streams.deliver.sinks import DELIVERED_STATES
from streams.errors import InputError
from streams.records import Alert, encode
from streams.replay import compare_alerts, read_alerts, replay_mentions


def replay(
    entity: Annotated[str | None, typer.Option(help="This company's alerts only (its symbol).")] = None,
    until: Annotated[
        str | None, typer.Option(help="Event time at which to stop, such as 2026-03-17T09:30:00Z. Unset: all there is.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Also write every transition here, as JSON lines.")] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Check against the alerts that were raised; exit with 1 if they differ.")
    ] = False,
) -> None:
    """Recompute alerts from the mentions on Kafka, with the rules in force. It changes nothing.

    The same mentions, rules, company names and version of Squall give the same alerts, byte for byte; each alert
    carries the command that replays it.
    """
    current = settings()
    stop = _moment(until)
    symbol = _symbol(current, entity)
    rules = rules_in_force(current)
    console = out()
    # Raised ones first: what a worker raises in the meantime is then not missed in the log.
    raised = list(read_alerts(current, entity=symbol, until=stop)) if compare else []
    with Progress(console=err(), transient=True) as progress:
        task = progress.add_task("reading mentions", total=None)
        replayed = sorted(
            replay_mentions(
                current,
                rules=rules,
                entity=symbol,
                until=stop,
                names=company_names(current),
                on_progress=lambda read, total: progress.update(task, completed=read, total=total),
            ),
            key=lambda alert: alert.at,
        )
    if output is not None:
        _write(output, replayed)
    for alert in replayed:
        _print(console, alert)
    whom = f" of {symbol}" if symbol else ""
    when = f" until {stop:%Y-%m-%d %H:%M:%S} UTC" if stop else ""
    fired = sum(alert.state == "firing" for alert in replayed)
    err().print(f"{len(replayed):,} transitions{whom}{when}, {fired:,} of them firing", soft_wrap=True)
    if compare:
        _compare(replayed, raised)


def _compare(replayed: list[Alert], raised: list[Alert]) -> None:
    difference = compare_alerts(replayed, raised)
    if difference is None:
        err().print(f"The same as the {len(replayed):,} that were raised, byte for byte", style="green")
        return
    err().print(f"Not the same: {difference}.", style="red", markup=False, soft_wrap=True)
    if difference.kind == "missing":
        err().print("A monitor that has not read everything yet may still raise it.", soft_wrap=True)
    elif difference.kind == "unexpected":
        err().print("Were other rules in force, or is the log cut off by its retention?", soft_wrap=True)
    raise typer.Exit(1)


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        msg = f"{text!r} is no time with an offset: write it like 2026-03-17T09:30:00Z"
        raise typer.BadParameter(msg, param_hint="--until")
    return moment.astimezone(UTC)


def _symbol(current: Settings, entity: str | None) -> str | None:
    """Return the symbol under which mentions are kept: `$aapl` is AAPL; what no table knows is taken as it is."""
    if entity is None:
        return None
    known = entity_table(current).get(entity)
    return known.symbol if known is not None else entity


def _print(console: Console, alert: Alert) -> None:
    if console.is_terminal and alert.state in DELIVERED_STATES:
        console.print(alert_block(alert))
    else:
        console.print(f"{alert.at:%Y-%m-%d %H:%M} {alert_line(alert)}", markup=False, soft_wrap=True)


def _write(path: Path, alerts: list[Alert]) -> None:
    try:
        with path.open("wb") as file:
            file.writelines(encode(alert) + b"\n" for alert in alerts)
    except OSError as error:
        msg = f"cannot write {path}: {error.strerror}"
        raise InputError(msg) from error
