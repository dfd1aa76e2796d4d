"""`squall retrain`: from the desk's labels to a better model, or none."""

from __future__ import annotations

import getpass
import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deploy.cli.frame import err, invocation, settings
from deploy.cli.stopping import sigterm_tidies
from streams.config import Settings
from streams.errors import InputError

if TYPE_CHECKING:
    from retrain.gate.run import Stretch

EXIT_REFUSED, EXIT_NOT_DUE, EXIT_BUSY = 10, 11, 75
"""Statuses of their own, where they are asked for; 75 is EX_TEMPFAIL: another run is under way, try again later."""


def retrain(
    once: Annotated[bool, typer.Option("--once", help="One run, now.")] = False,
    schedule: Annotated[
        str | None, typer.Option(help="Run by a cron expression in UTC, such as '0 2 * * *', where there is a reason.")
    ] = None,
    if_due: Annotated[
        bool, typer.Option("--if-due", help="Train only with a reason: retrain.min_labels new ones, or drift.")
    ] = False,
    promote: Annotated[
        bool, typer.Option("--promote/--no-promote", help="Let a challenger that passes the gate become champion.")
    ] = True,
    import_labels: Annotated[
        bool, typer.Option("--import/--no-import", help="Bring in the verdicts of squall.labels first.")
    ] = True,
    history: Annotated[
        list[str] | None,
        typer.Option(help="Scored mentions to compare alerts on; without it the last days of the live ones."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    by: Annotated[str | None, typer.Option(help="Who does it, for the audit log; without it your login name.")] = None,
    detailed: Annotated[
        bool,
        typer.Option(
            "--detailed-exit-code", help=f"Exit with {EXIT_REFUSED} when refused, {EXIT_NOT_DUE} when not due."
        ),
    ] = False,
) -> None:
    """Learn from labels: import them, train a challenger, judge it against the champion, promote it or refuse it.

    The champion changes in the last step or not at all. Exit status: 0 the run came to its end (promoted, refused, or
    nothing to do), 2 a step failed, 75 another run is under way. squall models history shows what was done.
    """
    if once == (schedule is not None):
        raise typer.BadParameter("give --once, or --schedule with a cron expression")
    if schedule is not None:
        _by_schedule(schedule, history=history, promote=promote, import_labels=import_labels, device=device, by=by)
        return
    from retrain.cycle.lock import BusyError

    try:
        ending = _once(
            settings(),
            if_due=if_due,
            promotes=promote,
            import_labels=import_labels,
            history=history,
            device=device,
            by=by or getpass.getuser(),
        )
    except BusyError as error:
        err().print(str(error), markup=False)
        raise typer.Exit(EXIT_BUSY) from None
    if detailed and ending in ("refused", "not_due"):
        raise typer.Exit(EXIT_REFUSED if ending == "refused" else EXIT_NOT_DUE)


def _once(
    current: Settings,
    *,
    if_due: bool,
    promotes: bool,
    import_labels: bool,
    history: list[str] | None,
    device: str,
    by: str,
) -> str:
    from retrain.cycle.due import read_drift
    from retrain.cycle.steps import Run, run_once
    from retrain.registry.mlflow_registry import Registry
    from retrain.registry.promotion import Desk
    from streams.control import tell_workers

    console = err()

    def say(line: str) -> None:
        console.print(line, markup=False, soft_wrap=True)

    if import_labels:
        from deploy.cli.labels import take_verdicts

        say(take_verdicts(current, console).words)
    drift: dict[str, float] = {}
    if current.retrain.drift_url is not None:
        try:
            drift = read_drift(current.retrain.drift_url)
        except (OSError, ValueError) as error:
            say(f"drift is not known: {current.retrain.drift_url} cannot be asked ({error})")
    desk = Desk(
        registry=Registry(current.retrain.registry, current.retrain.registry_name),
        models=current.retrain.models,
        runs=current.retrain.runs,
        tell=lambda record: tell_workers(current, record),
        by=by,
        now=lambda: datetime.now(UTC).replace(microsecond=0),
    )
    run = Run(
        settings=current,
        desk=desk,
        say=say,
        stretch=_stretch(current, history, say),
        drift=drift,
        only_if_due=if_due,
        promotes=promotes,
        device=device,
    )
    with sigterm_tidies():
        ended = run_once(run)
    say(ended.words)
    if ended.verdict is not None:
        typer.echo(ended.verdict)
    return ended.ending


def _stretch(current: Settings, history: list[str] | None, say: Any) -> Stretch | None:
    from retrain.gate.run import Stretch
    from streams.assembly import monitor_options, rules_in_force
    from streams.replay.sources.open_source import open_mentions
    from streams.replay.sources.options import Window

    if history:
        source = open_mentions(history, current)
    elif current.retrain.gate_history_days > 0:
        since = datetime.now(UTC) - timedelta(days=current.retrain.gate_history_days)
        try:
            source = open_mentions([f"kafka:?from={since:%Y-%m-%dT%H:%M:%SZ}"], current, window=Window())
        except InputError as error:  # nothing of these days is there: a young installation
            say(f"alerts are not compared: {error}")
            return None
    else:
        return None
    return Stretch(source, rules_in_force(current), monitor_options(current))


def _by_schedule(expression: str, **options: Any) -> None:
    """Each run is a process of its own: one that is killed, or runs out of memory, leaves the schedule alive."""
    from retrain.cycle.schedule import next_run, run_on_schedule

    console, stopping = err(), threading.Event()
    next_run(expression, datetime.now(UTC))  # a wrong expression is told before anything else
    child: list[subprocess.Popen[bytes]] = []

    def stop(number: int, _: object) -> None:
        stopping.set()
        for process in child:
            process.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)

    def work() -> None:
        child[:] = [subprocess.Popen(_command(**options), env=os.environ.copy())]  # noqa: S603 - our own words
        status = child[0].wait()
        child.clear()
        console.print(f"the run ended with {status}", markup=False)

    run_on_schedule(expression, work, stopping=stopping, say=lambda line: console.print(line, markup=False))


def _command(
    *, history: list[str] | None, promote: bool, import_labels: bool, device: str, by: str | None
) -> list[str]:
    words = [sys.executable, "-m", "deploy.cli"]
    if invocation.config is not None:
        words += ["--config", str(invocation.config)]
    words += ["retrain", "--once", "--if-due", "--device", device]
    words += ["--promote" if promote else "--no-promote", "--import" if import_labels else "--no-import"]
    for source in history or ():
        words += ["--history", source]
    if by is not None:
        words += ["--by", by]
    return words
