"""`squall models use`: all workers answer with another model, without a restart."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.cli.frame import err, out, settings
from streams.config import Settings
from streams.errors import SquallError

if TYPE_CHECKING:
    from streams.records import ModelInUse


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

    Where there is a registry, its champion stays what it is; so the audit log has this step, and squall models list and
    history tell of the disagreement until squall models promote or rollback ends it.
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
    _write_down(current, record)


def _write_down(current: Settings, record: ModelInUse) -> None:
    """Put it on record where there is a registry, and tell where its champion is another model.

    Raises:
        InputError: the audit log cannot be read or written.
    """
    from models.prediction import ModelId
    from retrain.registry.audit import Entry, read_entries, write_entry
    from retrain.registry.beside import disagreement, is_in_use

    retrain = current.retrain
    if not is_in_use(retrain.registry, retrain.runs):
        return
    champion = None
    try:
        from retrain.registry.mlflow_registry import Registry

        found = Registry(retrain.registry, retrain.registry_name).called("champion")
        champion = None if found is None else found.model
    except SquallError as error:  # workers are told all the same: that is what this command is for
        err().print(f"the champion is not known: {error}", style="yellow", markup=False, soft_wrap=True)
    model = ModelId(record.name, record.version)
    entry = Entry(at=record.at, by=record.by, step="used", model=model, champion=champion, note=record.note)
    write_entry(retrain.runs, entry)
    told = disagreement(read_entries(retrain.runs))
    if told is not None:
        err().print(told, style="yellow", markup=False, soft_wrap=True)
