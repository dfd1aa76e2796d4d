"""Texts without labels, from any file that Squall reads; those like a held-out text are left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import TrainingDataError
from models.files import file_sha256
from retrain.split import group_texts, normalise_text
from streams.errors import InputError
from streams.ingest.readers import read_rows

_MAX_BAD_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Unlabelled:
    """Texts, and what a model card says of them.

    Attributes:
        texts: each once, none a near-duplicate of a held-out text.
        files: name, rows read and SHA-256 of each file.
        unreadable: rows that could not be read or had no text.
        repeated: texts left out as equal to an earlier or a training text once normalised.
        held_out: texts left out as near-duplicates of a held-out one.
    """

    texts: tuple[str, ...] = ()
    files: tuple[dict[str, Any], ...] = ()
    unreadable: int = 0
    repeated: int = 0
    held_out: int = 0

    def facts(self) -> dict[str, Any]:
        """Return what stands in metrics.json: all but the texts."""
        return {
            "files": list(self.files),
            "texts": len(self.texts),
            "unreadable": self.unreadable,
            "repeated": self.repeated,
            "held_out": self.held_out,
        }


def read_unlabelled(paths: Sequence[Path], *, known: Sequence[str], held_out: Sequence[str]) -> Unlabelled:
    """Read the column `text` of CSV, JSON lines, Parquet or text files.

    Args:
        paths: the files.
        known: training texts; an equal one teaches nothing.
        held_out: texts that no training may see, nor anything that is almost one of them.

    Raises:
        TrainingDataError: a file cannot be read, lacks the column, most of its rows are bad, or nothing is left.
    """
    texts: list[str] = []
    files: list[dict[str, Any]] = []
    unreadable = 0
    for path in paths:
        found, bad = _read(path)
        texts += found
        unreadable += bad
        files.append({"name": path.name, "rows": len(found), "sha256": file_sha256(path)})
    distinct, repeated = _once(texts, known)
    kept = _unlike(distinct, held_out)
    if paths and not kept:
        raise TrainingDataError(f"{', '.join(str(path) for path in paths)}: no text that is new and not held out")
    return Unlabelled(tuple(kept), tuple(files), unreadable, repeated, len(distinct) - len(kept))


def _read(path: Path) -> tuple[list[str], int]:
    """Return the texts of a file and how many rows had none."""
    texts: list[str] = []
    bad = 0
    first = ""
    try:
        for row in read_rows(path):
            text = row.values.get("text")
            if row.error is None and isinstance(text, str) and text.strip():
                texts.append(text.strip())
                continue
            bad += 1
            first = first or f"{path}:{row.line}: {row.error or 'no text in the column text'}"
    except InputError as error:
        raise TrainingDataError(str(error)) from None
    if bad > _MAX_BAD_SHARE * (bad + len(texts)):
        raise TrainingDataError(f"{first}, and so on: {bad} of {bad + len(texts)} rows cannot be used")
    if not texts:
        raise TrainingDataError(f"{path}: holds no texts")
    return texts, bad


def _once(texts: Sequence[str], known: Sequence[str]) -> tuple[list[str], int]:
    seen = {normalise_text(text) for text in known}
    kept: list[str] = []
    for text in texts:
        normal = normalise_text(text)
        if normal and normal not in seen:
            seen.add(normal)
            kept.append(text)
    return kept, len(texts) - len(kept)


def _unlike(texts: Sequence[str], held_out: Sequence[str]) -> list[str]:
    if not texts:
        return []
    groups = group_texts([*held_out, *texts]).tolist()
    closed = set(groups[: len(held_out)])
    return [text for text, group in zip(texts, groups[len(held_out) :], strict=True) if group not in closed]
