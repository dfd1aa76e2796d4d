"""`squall models list` and `squall models show`: which models there are, and what is known of one."""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from deploy.cli.frame import out, settings
from deploy.cli.models_registry import tell_disagreement
from models.files import Manifest, iso_utc, read_manifest

_CARD = "MODEL_CARD.md"
_CARD_LINES = 12


def list_models() -> None:
    """List the models that are there: those that are shipped, and those beside the configured one.

    The configured one is marked with a star; workers may have been told to answer with another one. "tuned": what
    computes it where the backend is auto, after squall models tune.
    """
    # Imported here: these bring torch with them, and the help shall not wait for it.
    from models.engines.artefacts import default_cache
    from models.engines.tuned import read_choice
    from models.first_tier.files import has_tier
    from streams.models_known import find_model, known_models

    current = settings()
    in_use = find_model(None, current).resolve()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("model", "version", "learned"):
        table.add_column(name, no_wrap=True)
    table.add_column("MiB", justify="right", no_wrap=True)
    for name in ("calibrated", "first tier", "tuned"):
        table.add_column(name)
    for folder, manifest in known_models(current):
        choice = read_choice(manifest, default_cache())
        table.add_row(
            ("* " if folder.resolve() == in_use else "  ") + escape(manifest.name),
            manifest.version,
            _learned(manifest)[:10],
            f"{folder_mib(folder):,.0f}",
            "yes" if manifest.calibration is not None else "no",
            "yes" if has_tier(folder) else "no",
            "no" if choice is None else f"{choice.backend} {choice.precision}",
        )
    out().print(table)
    tell_disagreement(current)


def show(
    model: Annotated[
        str | None, typer.Argument(help="A model's folder, name or version. Unset: the configured or the shipped one.")
    ] = None,
) -> None:
    """Show one model: its manifest, the head of its card, and what computes it on this machine.

    Its files are checked first.
    """
    from models.engines.artefacts import default_cache
    from models.engines.tuned import read_choice, why_not
    from models.first_tier.files import has_tier
    from streams.models_known import find_model

    folder = find_model(model, settings())
    manifest = read_manifest(folder)
    choice = read_choice(manifest, default_cache())
    calibration = manifest.calibration
    lines = {
        "folder": str(folder),
        "size": f"{folder_mib(folder):,.0f} MiB",
        "learned": _learned(manifest),
        "base": manifest.base.get("name", "not told"),
        "trained on": ", ".join(f"{entry.get('name')} ({entry.get('rows'):,} rows)" for entry in manifest.training_data)
        or "not told",
        "reads": f"{manifest.max_length} tokens at once",
        "calibrated": "no"
        if calibration is None
        else f"temperatures {calibration.sentiment.temperature:g} (sentiment) and {calibration.topic.temperature:g} "
        f"(topic); abstains below {calibration.abstain_below:g}",
        "first tier": "yes" if has_tier(folder) else "no",
        "tuned": "no: torch computes, unless a backend is configured; see squall models tune",
    }
    if choice is not None:
        reason = why_not(choice)
        lines["tuned"] = (
            f"{choice}, {choice.messages_per_s:,.0f} messages/s, {choice.against_torch:.2f} times torch, at a loss of "
            f"{choice.loss:.4f} (bound {choice.bound:g})" + (f"; not used: {reason}" if reason else "")
        )
    console = out()
    console.print(f"[bold]{escape(manifest.name)}[/] {manifest.version}")
    for name, line in lines.items():
        console.print(f"  {name:<11}{line}", markup=False, soft_wrap=True)
    for line in _card_head(folder):
        console.print(line, markup=False, soft_wrap=True)


def folder_mib(folder: Path) -> float:
    """Return what the files of a model folder come to."""
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file()) / 2**20


def _learned(manifest: Manifest) -> str:
    return "not told" if manifest.learned_at is None else iso_utc(manifest.learned_at)


def _card_head(folder: Path) -> list[str]:
    """Return the card up to its third heading, or its first lines."""
    try:
        lines = (folder / _CARD).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    headings = 0

    def is_head(line: str) -> bool:
        nonlocal headings
        headings += line.startswith("#")
        return headings <= 2

    return ["", *list(takewhile(is_head, lines))[:_CARD_LINES]]
