"""`squall rules nab`: score a copy of the Numenta Anomaly Benchmark with the methods that rules can use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.bench.figures import Figure

if TYPE_CHECKING:
    from deploy.bench.nab import Scored


def nab(
    data: Annotated[Path, typer.Argument(help="A copy of the benchmark's data: holds realTweets/*.csv.")],
    scores: Annotated[
        Path | None, typer.Option("--out", help="Write timestamp,score here: a folder per method, a file per series.")
    ] = None,
    json: Annotated[Path | None, typer.Option("--json", help="Also write the figures here, as JSON.")] = None,
) -> None:
    """Score the Numenta Anomaly Benchmark's tweet volumes: return period, z-score, and two simple bars beside them.

    Row by row, with fixed defaults and a cooldown of 12 hours; labels are not read. A scorer of the benchmark turns
    the folders of --out into points.
    """
    from deploy.bench.nab import run
    from deploy.cli.bench import show

    show("Numenta Anomaly Benchmark: rows that would alarm", [_figure(one) for one in run(data, scores)], json)


def _figure(scored: Scored) -> Figure:
    series = scored.series
    alarms = sum(score > 0 for score in scored.scores)
    highest = max(range(len(scored.scores)), key=scored.scores.__getitem__, default=None)
    note = ""
    if highest is not None and alarms:
        note = f"highest {scored.scores[highest]:.4g} at {series.timestamps[highest]}"
    return Figure(
        name=f"{series.name.removesuffix('.csv')}, {scored.method}",
        value=alarms,
        unit="rows above 0",
        against=f"{len(scored.scores):,} rows",
        ratio=alarms / len(scored.scores) if scored.scores else None,
        note=f"{note}; {scored.cpu_s / max(1, len(scored.scores)) * 1e6:.1f} us CPU a row".removeprefix("; "),
    )
