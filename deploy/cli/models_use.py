"""`squall models use`: all workers answer with another model, without a restart."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from typing import Annotated

import typer

from deploy.cli.frame import out, settings


def use(
    model: Annotated[str, typer.Argument(help="A model's name, or the first six or more characters of its version.")],
    by: Annotated[str | None, typer.Option(help="Who decides; without it, your login name.", metavar="NAME")] = None,
    note: Annotated[str | None, typer.Option(help="Why, for whoever reads the log later.")] = None,
) -> None:
    """Let all workers answer with another model, without a restart.

    The model is looked for here first, and its files are checked. Each worker then looks for it among its own model
    folders (those beside classifier.model, and the shipped ones), loads and warms it up in the background, and takes it
    between two batches. A worker that cannot use it stays with the old one and says so in its log and in
    squall_model_swaps_total. To go back, name the old model.
    """
    from models.files import read_manifest
    from streams.control import tell_workers
    from streams.models_known import find_model
    from streams.records import ModelInUse

    current = settings()
    manifest = read_manifest(find_model(model, current))
    record = ModelInUse(
        name=manifest.name,
        version=manifest.version,
        at=datetime.now(UTC),
        by=by or getpass.getuser(),
        note=note,
    )
    tell_workers(current, record)
    out().print(
        f"All workers are told to answer with {manifest.name} {manifest.version}. "
        "squall_model_info on /metrics shows which model each of them answers with.",
        highlight=False,
    )
