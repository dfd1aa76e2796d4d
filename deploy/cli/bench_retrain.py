"""`squall bench new-domain`: what the loop makes of labels from another domain."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.table import Table

from deploy.cli.frame import err, out


def new_domain(
    sentiment: Annotated[Path, typer.Argument(help="The sentiment file that the model was trained from.")],
    topic: Annotated[Path, typer.Argument(help="Its topic file.")],
    headlines: Annotated[Path, typer.Argument(help="Labelled rows of another domain: CSV with text and label.")],
    model: Annotated[Path | None, typer.Option(help="Folder of the model; the shipped one without it.")] = None,
    labels: Annotated[int, typer.Option(min=20, help="How many of the other domain's rows are labelled.")] = 500,
    flipped: Annotated[int, typer.Option(min=0, help="Wrong labels that come afterwards; 0: none.")] = 300,
    training: Annotated[Path | None, typer.Option("--settings", help="Of the training: YAML.")] = None,
    most_old: Annotated[
        int | None, typer.Option(min=1, help="Old rows that are kept for each head; all without it.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 1,
) -> None:
    """Let the loop learn from labels of another domain, right ones and then flipped ones, and judge the outcome."""
    from deploy.bench.new_domain import run
    from models.files import DEFAULT_MODEL

    console = err()
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="squall-new-domain-") as work:
        found = run(
            model or DEFAULT_MODEL,
            sentiment,
            topic,
            headlines,
            labels=labels,
            flipped=flipped,
            training=training,
            most_old=most_old,
            seed=seed,
            work=Path(work),
            say=lambda line: console.print(line, markup=False, soft_wrap=True),
        )
    table = Table(
        box=box.SIMPLE_HEAD, title=f"{labels:,} labels of {headlines.name}, seed {seed}", title_justify="left"
    )
    for column in ("", "rows", "champion", "challenger", "points"):
        table.add_column(column, justify="left" if not column else "right")
    for title, rows, one, other in (
        (f"{headlines.name}, macro F1", found.headlines, found.before.headlines, found.after.headlines),
        (f"{headlines.name}, accuracy", found.headlines, found.before.headline_accuracy, found.after.headline_accuracy),
        (f"{sentiment.name}, macro F1", found.tweets, found.before.tweets, found.after.tweets),
        (f"{sentiment.name}, accuracy", found.tweets, found.before.tweet_accuracy, found.after.tweet_accuracy),
    ):
        table.add_row(title, f"{rows:,}", f"{one:.4f}", f"{other:.4f}", f"{100 * (other - one):+.2f}")
    out().print(table)
    out().print(f"with the labels: {found.ended.ending}", markup=False)
    if found.poisoned is not None:
        out().print(f"with {flipped:,} flipped labels more: {found.poisoned.ending}", markup=False)
    out().print(f"{time.monotonic() - began_s:.0f} s in all", markup=False)
    if found.poisoned is not None and found.poisoned.ending != "refused":
        raise typer.Exit(1)
