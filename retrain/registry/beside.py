"""A model that workers were told to answer with beside the registry: `squall models use` while there is a champion.

It is allowed, as a desk must be able to change the model while MLflow is down. But the alias stays where it is, so this
is written into the audit log, and told until the registry and the workers mean the same model again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from models.prediction import ModelId
from retrain.registry.audit import FILE, Entry, Step

_DECIDES: tuple[Step, ...] = ("promoted", "rolled_back", "used")
"""Steps that tell the workers which model to answer with."""

REMEDY = "squall models promote or rollback makes both mean the same again"


def is_in_use(address: str, runs: Path) -> bool:
    """Return whether there is a registry to disagree with, without opening it: that takes seconds, or makes one.

    Args:
        address: `retrain.registry`.
        runs: folder of the audit log.
    """
    return "://" in address or Path(address).is_dir() or (runs / FILE).exists()


def champion_by(entries: Sequence[Entry]) -> ModelId | None:
    """Return the champion by the audit log alone: what was promoted last, or what a later step met as such."""
    for entry in reversed(entries):
        if entry.step in ("promoted", "rolled_back"):
            return entry.model
        if entry.step == "used" and entry.champion is not None:
            return entry.champion
    return None


def disagreement(entries: Sequence[Entry]) -> str | None:
    """Return in words what workers were told beside the registry; None where both mean the same model.

    Args:
        entries: of the audit log, oldest first.
    """
    last = next((entry for entry in reversed(entries) if entry.step in _DECIDES), None)
    champion = champion_by(entries)
    if last is None or last.step != "used" or last.model is None or champion in (None, last.model):
        return None
    assert champion is not None  # noqa: S101  # tells the type checker
    return (
        f"workers were told to answer with {last.model.name} {last.model.version} ({last.at:%Y-%m-%d %H:%M} UTC, by "
        f"{last.by}), and the registry's champion is {champion.name} {champion.version}: {REMEDY}"
    )
