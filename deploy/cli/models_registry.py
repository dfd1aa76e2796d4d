"""`squall models promote|rollback|fetch|diff|history`: which model is champion, and who made it so."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table

from deploy.cli.frame import err, out, settings
from streams.config import Settings

if TYPE_CHECKING:
    from retrain.registry.promotion import Desk

By = Annotated[str | None, typer.Option(help="Who decides; without it, your login name.", metavar="NAME")]
Note = Annotated[str | None, typer.Option(help="Why, for the audit log.")]
ALIASES = ("champion", "challenger", "previous")


def promote(
    model: Annotated[str, typer.Argument(help="challenger, a number in MLflow, or the beginning of a version.")],
    by: By = None,
    note: Note = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also what the gate has refused or not judged; needs --note.")
    ] = False,
) -> None:
    """Make a registered model champion: the alias moves, and all workers answer with it, without a restart."""
    from retrain.cycle.lock import alone
    from retrain.registry.promotion import adopt
    from retrain.registry.promotion import promote as change

    current = settings()
    with alone(current.retrain.runs):  # a run of squall retrain that is under way would change it again
        desk = _desk(current, by)
        found = desk.registry.find(model)
        adopt(desk, _in_use(current))
        folder = change(desk, found, note=note, force=force)
    out().print(f"{found.model.name} {found.model.version} is champion; workers find it in {folder}", markup=False)


def rollback(by: By = None, note: Note = None) -> None:
    """Make the model champion that was it before. Doing it twice goes forth again."""
    from retrain.cycle.lock import alone
    from retrain.registry.promotion import rollback as change

    current = settings()
    with alone(current.retrain.runs):
        found, folder = change(_desk(current, by), note=note)
    out().print(f"{found.model.name} {found.model.version} is champion again; it lies in {folder}", markup=False)


def fetch(
    model: Annotated[str, typer.Argument(help="champion, challenger, previous, a number or a version.")] = "champion",
    into: Annotated[Path | None, typer.Option(help="Folder to put it in; without it retrain.models.")] = None,
) -> None:
    """Bring a registered model here, for a worker that does not share the folder; prints where it lies."""
    current = settings()
    registry = _desk(current, None).registry
    typer.echo(registry.fetch(registry.find(model), into or current.retrain.models))


def diff(
    one: Annotated[str, typer.Argument(help="A folder, a name or version, or champion, challenger, previous.")],
    other: Annotated[str, typer.Argument(help="The same.")],
) -> None:
    """Show what two models differ in: data, settings, and the figures of both."""
    from retrain.registry.difference import difference

    current = settings()
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("", "", one, other):
        table.add_column(column, overflow="fold")
    group = ""
    for line in difference(_folder(current, one), _folder(current, other)):
        table.add_row(line.group if line.group != group else "", line.name, line.one, line.other)
        group = line.group
    out().print(table, markup=False)


def history(
    count: Annotated[int, typer.Option("--last", min=1, help="The last so many steps.")] = 20,
) -> None:
    """Show the audit log: what was trained, refused, promoted and rolled back, when and by whom."""
    from retrain.registry.audit import read_entries

    entries = read_entries(settings().retrain.runs)
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("at (UTC)", "by", "step", "model", "note"):
        table.add_column(column, overflow="fold")
    for entry in entries[-count:]:
        model = "" if entry.model is None else f"{entry.model.name} {entry.model.version}"
        table.add_row(f"{entry.at:%Y-%m-%d %H:%M:%S}", entry.by, entry.step, model, entry.note or "")
    out().print(table if entries else "nothing was done yet: squall retrain --once is the beginning", markup=False)
    tell_disagreement(settings())


def tell_disagreement(current: Settings) -> None:
    """Print what workers were told beside the registry, if they were and it still holds."""
    from retrain.registry.audit import read_entries
    from retrain.registry.beside import disagreement

    told = disagreement(read_entries(current.retrain.runs))
    if told is not None:
        err().print(told, style="yellow", markup=False, soft_wrap=True)


def _desk(current: Settings, by: str | None) -> Desk:
    from retrain.registry.mlflow_registry import Registry
    from retrain.registry.promotion import Desk
    from streams.control import tell_workers

    return Desk(
        registry=Registry(current.retrain.registry, current.retrain.registry_name),
        models=current.retrain.models,
        runs=current.retrain.runs,
        tell=lambda record: tell_workers(current, record),
        by=by or getpass.getuser(),
        now=lambda: datetime.now(UTC).replace(microsecond=0),
    )


def _in_use(current: Settings) -> Path:
    from models.files import DEFAULT_MODEL

    return current.classifier.model or DEFAULT_MODEL


def _folder(current: Settings, text: str) -> Path:
    from streams.models_known import find_model

    if text not in ALIASES:
        return find_model(text, current)
    registry = _desk(current, None).registry
    return registry.fetch(registry.find(text), current.retrain.models)
