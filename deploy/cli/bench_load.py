"""`squall bench load`, `soak`, `fuzz` and `recovery`: the running system under load, over time, on bad input, after a
crash. Real broker, real worker.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.cli.frame import err, settings

if TYPE_CHECKING:
    from deploy.bench.rig import Note

Json = Annotated[Path | None, typer.Option("--json", help="Also write the figures here, as JSON.")]


def load(
    rate: Annotated[float | None, typer.Option(min=1, help="Sustainable messages per second; unset: found.")] = None,
    factor: Annotated[float, typer.Option(min=0.1, help="Of that, in the burst.")] = 5.0,
    seconds: Annotated[float, typer.Option(min=1, help="Length of the burst.")] = 120.0,
    calm: Annotated[float, typer.Option(min=1, help="Seconds at half the sustainable rate before it, and after.")] = 60,
    watched: Annotated[int, typer.Option(min=1, max=59, help="Companies on the watch list, of 60.")] = 3,
    degrade_after: Annotated[float, typer.Option(min=0.1, help="classifier.degrade_after_s.")] = 2.0,
    json: Json = None,
) -> None:
    """Offer a worker several times what it can sustain: memory, lag, recovery, delay of watched companies, accounts.

    A broker of its own is started and taken away, unless kafka.bootstrap_servers names a cluster. About 6 minutes.
    """
    from deploy.bench.load import Plan, run
    from deploy.cli.bench import show

    plan = Plan(
        rate_per_s=rate, factor=factor, seconds=seconds, calm_s=calm, watched=watched, degrade_after_s=degrade_after
    )
    show("Load", run(settings(), plan, note=_note()), json)


def soak(
    minutes: Annotated[float, typer.Option(min=0.1, help="How long.")] = 30.0,
    rate: Annotated[float, typer.Option(min=1, help="Messages per second: half of what is sustained, say.")] = 300.0,
    speed: Annotated[float, typer.Option(min=1, help="Seconds of event time in a second.")] = 720.0,
    most_mib_per_h: Annotated[float, typer.Option(min=0, help="Slope of the memory that is still flat.")] = 30.0,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks at the worker.")] = 30.0,
    backlog: Annotated[int, typer.Option(min=1, help="Messages that wait at the beginning, in full batches.")] = 8_192,
    json: Json = None,
) -> None:
    """Let a worker run under steady load, with event time far faster than the clock, and see whether memory is flat.

    Ends with status 1 if memory, threads or open files grow, or a message is missing.
    """
    from deploy.bench.soak import Plan, run, soak_figures
    from deploy.cli.bench import show

    plan = Plan(
        minutes=minutes, rate_per_s=rate, speed=speed, most_mib_per_h=most_mib_per_h, sample_s=every, backlog=backlog
    )
    found = run(settings(), plan, note=_note())
    show("Soak", soak_figures(found), json)
    if not found.is_flat:
        err().print("not flat: something grows, or is missing", style="red")
        raise typer.Exit(1)


def fuzz(
    messages: Annotated[int, typer.Option(min=1, help="Spoilt messages.")] = 100_000,
    others: Annotated[int, typer.Option(min=1, help="Spoilt records on each of the other four topics.")] = 1_000,
    seed: Annotated[int, typer.Option(help="Of all of it.")] = 7,
    json: Json = None,
) -> None:
    """Send spoilt records to a real worker: it must not end, and each must be accounted for, from the topics.

    Ends with status 1 if one is not. About 4 minutes.
    """
    from deploy.bench.fuzz import Plan, fuzz_figures, run
    from deploy.cli.bench import show

    found = run(settings(), Plan(messages=messages, others=others, seed=seed), note=_note())
    show("Fuzz", fuzz_figures(found), json)
    if not found.is_exact:
        err().print(f"not all are accounted for; the first that are not: {found.unexplained[:5]}", style="red")
        raise typer.Exit(1)


def recovery(
    repeats: Annotated[int, typer.Option(min=1, help="Runs of each; the median counts.")] = 3,
    backlog: Annotated[int, typer.Option(min=400, help="Messages that a killed worker has before it.")] = 6_000,
    companies: Annotated[
        list[int] | None, typer.Option(min=8, help="Companies whose state is deleted. Default: 500 and 5,000.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, help="Days of history that they have.")] = 5,
    mentions: Annotated[int, typer.Option(min=1, help="Mentions of each of them in a day.")] = 12,
    json: Json = None,
) -> None:
    """Kill a worker, restart the broker, delete the monitor's state: how long until all is as before, and is all there.

    A broker of its own is started and taken away. About 15 minutes.
    """
    from deploy.bench.recovery import Plan, run
    from deploy.cli.bench import show

    plan = Plan(
        repeats=repeats,
        backlog=backlog,
        companies=tuple(companies or (500, 5_000)),
        days=days,
        mentions_per_day=mentions,
    )
    show("Recovery", run(settings(), plan, note=_note()), json)


def _note() -> Note:
    console = err()
    return lambda line: console.print(line, style="dim", soft_wrap=True, markup=False)
