"""`squall demo`: see it work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.frame import settings
from deploy.demo.story import SEED


def demo(
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Your own messages instead of the invented ones: CSV, JSONL or Parquet. May be repeated."),
    ] = None,
    text_column: Annotated[str | None, typer.Option(help="With --data: column of the text.")] = None,
    time_column: Annotated[str | None, typer.Option(help="With --data: column of the time of publication.")] = None,
    assume_utc: Annotated[
        bool, typer.Option("--assume-utc", help="With --data: take times without an offset as UTC.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="The invented messages differ with it.")] = SEED,
    keep: Annotated[
        bool, typer.Option("--keep/--no-keep", help="Keep data and logs, also when all went well.")
    ] = False,
    plain: Annotated[
        bool, typer.Option("--plain", help="Lines instead of a live table; so it is where there is no terminal.")
    ] = False,
) -> None:
    """See it work: a broker, a worker, invented companies in trouble, and the alerts.

    Starts a Kafka of its own and a worker with the shipped model, lets it learn from two weeks of invented messages,
    and then plays three days with two crises and three decoys. Checks that the crises raised an alert and the decoys
    none, and stops everything. If kafka.bootstrap_servers names a cluster, that one is used.

    With --data it does the same with your messages, and the companies of the S&P 500 and of entities.tables.

    Exit status: 0 all came out as planted (with --data: it ran through), 1 something did not, and the logs are named.
    """
    from rich.console import Console

    from deploy.demo.run import Options, run_demo
    from deploy.demo.screen import PLAIN_WIDTH

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=PLAIN_WIDTH)
    named = {"text": text_column, "published_at": time_column}
    options = Options(
        files=tuple(data or ()),
        seed=seed,
        keep=keep,
        plain=plain or not console.is_terminal,
        assume_utc=assume_utc,
        columns={field: column for field, column in named.items() if column is not None},
    )
    status = run_demo(options, settings(), console)
    if status:
        raise typer.Exit(status)
