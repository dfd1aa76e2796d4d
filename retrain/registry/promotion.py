"""The champion changes: the alias moves, the workers are told, the audit log knows. And the way back.

The order is chosen so that a failure anywhere leaves the champion in place: the model lies where workers look for it
before anybody is told of it; the way back is kept first; then the alias moves, and is moved back if the workers cannot
be told; what workers were told is what counts, and the audit log is written after it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from models.prediction import ModelId
from retrain.registry.audit import Entry, Step, write_entry
from retrain.registry.mlflow_registry import Alias, Registered, Registry, RegistryError
from streams.errors import SquallError
from streams.records import ModelInUse

Tell = Callable[[ModelInUse], None]
"""Tells all workers; `streams.control.tell_workers` with the settings."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Where promotion works.

    Attributes:
        registry: models and aliases.
        models: folder in which workers look for models.
        runs: folder of the audit log.
        tell: tells the workers.
        by: who decides: a name or an account.
        now: what time it is, UTC.
    """

    registry: Registry
    models: Path
    runs: Path
    tell: Tell
    by: str
    now: Callable[[], datetime]


def promote(desk: Desk, found: Registered, *, note: str | None = None, force: bool = False) -> Path:
    """Make a model champion, and return the folder in which workers find it.

    Args:
        desk: where.
        found: the model.
        note: why, for the audit log.
        force: also a model that the gate has refused or not judged; it takes a note.

    Raises:
        RegistryError: the gate has not passed the model, or the registry fails; the champion stays.
        ModelFilesError: the model's files are not whole.
        BrokerError, TopicError: the workers cannot be told; the champion stays.
        InputError: the audit log cannot be written.
    """
    if found.gate != "passed" and not force:
        said = "refused it" if found.gate == "refused" else "has not judged it"
        msg = f"the gate {said}: {_called(found.model)} is not promoted; to do it all the same, give --force and --note"
        raise RegistryError(msg)
    champion = desk.registry.called("champion")
    if not force and champion is not None and found.against not in ("", champion.model.version):
        msg = (
            f"{_called(found.model)} passed against {found.against}, and {champion.model.version} is champion by now: "
            "let the gate judge it again, or give --force and --note"
        )
        raise RegistryError(msg)
    if force and not note:
        raise RegistryError("a promotion by force needs --note: say why, for the audit log")
    return _change(desk, found, step="promoted", note=note, facts={"gate": found.gate or "not judged", "forced": force})


def adopt(desk: Desk, folder: Path) -> Registered:
    """Register the model that answers now as champion, where the registry knows of none; and return the champion.

    Raises:
        RegistryError: the registry fails.
        ModelFilesError: the folder is no model folder.
    """
    champion = desk.registry.called("champion")
    if champion is not None:
        return champion
    found = desk.registry.register(folder, parameters={}, figures={}, tags={"squall.origin": "in use before"})
    desk.registry.drop_alias("challenger")
    desk.registry.set_alias("champion", found)
    return found


def rollback(desk: Desk, *, note: str | None = None) -> tuple[Registered, Path]:
    """Make the model champion that was it before, and return it with its folder. A second rollback goes forth again.

    Raises:
        RegistryError: there was none before, or the registry fails; the champion stays.
        BrokerError, TopicError, InputError: as `promote`.
    """
    before = desk.registry.called("previous")
    if before is None:
        raise RegistryError("no model was champion before this one: name one with squall models promote")
    return before, _change(desk, before, step="rolled_back", note=note, facts={})


def _change(desk: Desk, found: Registered, *, step: Step, note: str | None, facts: dict[str, object]) -> Path:
    champion = desk.registry.called("champion")
    folder = desk.registry.fetch(found, desk.models)
    record = ModelInUse(name=found.model.name, version=found.model.version, at=desk.now(), by=desk.by, note=note)
    previous = desk.registry.called("previous")
    moves = champion is not None and champion.number != found.number
    if moves and champion is not None:
        desk.registry.set_alias("previous", champion)  # first: whatever comes, the way back is known
    desk.registry.set_alias("champion", found)
    try:
        desk.tell(record)
    except BaseException:
        _restore(desk.registry, "champion", champion)
        if moves:
            _restore(desk.registry, "previous", previous)
        raise
    try:
        _write_down(desk, found, champion, record, step=step, note=note, facts=facts)
    except SquallError as error:
        msg = (
            f"the workers answer with {_called(found.model)} and the registry calls it champion, but not all of it is "
            f"written down: {error}"
        )
        raise RegistryError(msg) from error
    return folder


def _restore(registry: Registry, alias: Alias, before: Registered | None) -> None:
    if before is None:
        registry.drop_alias(alias)
    else:
        registry.set_alias(alias, before)


def _write_down(
    desk: Desk,
    found: Registered,
    champion: Registered | None,
    record: ModelInUse,
    *,
    step: Step,
    note: str | None,
    facts: dict[str, object],
) -> None:
    challenger = desk.registry.called("challenger")
    if challenger is not None and challenger.number == found.number:
        desk.registry.drop_alias("challenger")
    write_entry(
        desk.runs,
        Entry(
            at=record.at,
            by=desk.by,
            step=step,
            model=found.model,
            champion=None if champion is None else champion.model,
            note=note,
            facts={"registry_version": found.number, "run": found.run, **facts},
        ),
    )


def _called(model: ModelId) -> str:
    return f"{model.name} {model.version}"
