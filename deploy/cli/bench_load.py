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


def _note() -> Note:
    console = err()
    return lambda line: console.print(line, style="dim", soft_wrap=True, markup=False)
