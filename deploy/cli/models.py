"""`squall models`: which models there are, and which one answers."""

from __future__ import annotations

import typer

from deploy.cli.models_calibrate import calibrate
from deploy.cli.models_compress import compress
from deploy.cli.models_first_tier import first_tier
from deploy.cli.models_list import list_models, show
from deploy.cli.models_reference import reference
from deploy.cli.models_registry import diff, fetch, history, promote, rollback
from deploy.cli.models_tune import tune
from deploy.cli.models_use import use

app = typer.Typer(no_args_is_help=True)


@app.callback()
def models() -> None:
    """Look at the models that are there, make them faster, and tell the workers which one is to answer."""


app.command("list")(list_models)
app.command("show")(show)
app.command("tune")(tune)
app.command("use")(use)
app.command("calibrate")(calibrate)
app.command("first-tier")(first_tier)
app.command("reference")(reference)
app.command("promote")(promote)
app.command("rollback")(rollback)
app.command("diff")(diff)
app.command("fetch")(fetch)
app.command("history")(history)
app.command("compress")(compress)
