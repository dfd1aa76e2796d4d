"""`squall dashboards`: write Grafana's dashboards from their code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.frame import out
from streams.errors import ConfigError, InputError

app = typer.Typer(no_args_is_help=True)


@app.callback()
def dashboards() -> None:
    """Grafana's dashboards: Desk, Pipeline, Model, Alerts."""


@app.command()
def write(
    folder: Annotated[Path, typer.Argument(help="Folder for one JSON file per dashboard; it is made.")],
) -> None:
    """Write the dashboards as JSON, for Grafana to be provisioned with.

    Needs grafana-foundation-sdk (pip install grafana-foundation-sdk). What this writes also lies in deploy/grafana/json
    of the repository, for those who change nothing.
    """
    try:
        from deploy.grafana.dashboards import boards
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("grafana_foundation_sdk"):
            raise
        msg = "squall dashboards write needs grafana-foundation-sdk: pip install grafana-foundation-sdk"
        raise ConfigError(msg) from None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for board in boards():
            path = folder / f"{board.uid}.json"
            path.write_text(board.as_json(), encoding="utf-8")
            out().print(f"{path}  {board.title}")
    except OSError as error:
        msg = f"cannot write dashboards to {folder}: {error.strerror}"
        raise InputError(msg) from error
