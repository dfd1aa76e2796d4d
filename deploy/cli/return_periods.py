"""`squall bench return-periods`: does "once in 30 days" come once in 30 days?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def return_periods(
    keys: Annotated[int, typer.Option(min=1, help="Quiet streams per rate.")] = 12,
    days: Annotated[int, typer.Option(min=40, help="Their length; alarms count from day 32 on.")] = 130,
    seed: Annotated[int, typer.Option(min=0, help="Other streams.")] = 1,
    json: Annotated[Path | None, typer.Option("--json", help="Also write the figures here, as JSON.")] = None,
) -> None:
    """Measure return periods on quiet streams, made here: alarms raised against alarms due at 7, 14 and 30 days."""
    from deploy.bench.return_periods import Plan, run
    from deploy.cli.bench import show

    show("Return periods", run(Plan(keys=keys, days=days, seed=seed)), json)
