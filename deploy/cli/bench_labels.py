"""`squall bench label-queue`: how many labels the queue saves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.progress import Progress
from rich.table import Table

from deploy.cli.frame import err, out


def label_queue(
    data: Annotated[Path, typer.Argument(help="Labelled texts: CSV with the columns text and label.")],
    base: Annotated[str, typer.Option(help="Encoder whose vectors are learned from: a folder, or an id on the Hub.")],
    seeds: Annotated[int, typer.Option(min=1, help="How many.")] = 5,
    page: Annotated[Path | None, typer.Option("--plot", help="Also write the curves here, as a page.")] = None,
) -> None:
    """Measure the label queue: how many chosen labels are worth a thousand random ones."""
    import numpy as np

    from deploy.bench.label_queue import LAST, SIZES, embed, measure, plot
    from retrain.data import read_examples

    console = err()
    examples = read_examples([data], "sentiment")
    with console.status(f"computing the vectors of {len(examples):,} texts"):
        vectors = embed([example.text for example in examples], base)
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("learning", total=2 * len(SIZES) * seeds)
        curves = measure(examples, vectors, range(seeds), on_round=lambda: progress.advance(bar))
    table = Table(box=box.SIMPLE_HEAD, title=f"{data.name}: accuracy by labels, {seeds} seeds", title_justify="left")
    for column in ("labels", "random", "", "queue", ""):
        table.add_column(column, justify="right")
    for place, size in enumerate(SIZES):
        cells = []
        for name in ("random", "queue"):
            found = np.array([getattr(curve, name)[place] for curve in curves])
            cells += [f"{found.mean():.4f}", f"±{found.std(ddof=1) if seeds > 1 else 0:.4f}"]
        table.add_row(f"{size:,}", *cells)
    out().print(table)
    mean = np.array([curve.queue for curve in curves]).mean(axis=0)
    goal = float(np.mean([curve.random[-1] for curve in curves]))
    enough = next((size for size, found in zip(SIZES, mean, strict=True) if found >= goal), None)
    told = ", ".join(f"{curve.seed}: {curve.enough or f'more than {LAST}'}" for curve in curves)
    reached = f"{enough:,} chosen labels" if enough is not None else f"more than {LAST:,} chosen labels"
    out().print(f"{LAST:,} random labels ({goal:.4f} in the mean) are worth {reached}; by seed: {told}")
    if page is not None:
        page.write_text(plot(curves), encoding="utf-8")
