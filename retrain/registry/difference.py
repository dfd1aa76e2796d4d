"""What two models differ in: what they learned from, how, and what came of it. Pure, but for reading their folders."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.files import Manifest, iso_utc, peek_manifest
from retrain.card import METRICS


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that differs, or a figure of both.

    Attributes:
        group: `model`, `data`, `settings` or `figures`.
        name: what.
        one: of the first model; empty where it has none.
        other: of the second.
    """

    group: str
    name: str
    one: str
    other: str


def difference(one: Path, other: Path) -> list[Line]:
    """Compare two model folders; of the figures all are told, of everything else what differs.

    Raises:
        ModelFilesError: a folder is no model.
    """
    first, second = peek_manifest(one), peek_manifest(other)
    figures = _metrics(one), _metrics(other)
    return [
        *_unequal("model", _facts(first), _facts(second)),
        *_unequal("data", _data(first), _data(second)),
        *_unequal("settings", *(_flat(found.get("settings", {})) for found in figures)),
        *_both("figures", *(dict(_held_out(found)) for found in figures)),
    ]


def _metrics(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / METRICS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # for people: a model without it works all the same
    return found if isinstance(found, dict) else {}


def _facts(manifest: Manifest) -> dict[str, str]:
    return {
        "name": manifest.name,
        "version": manifest.version,
        "learned at": "unknown" if manifest.learned_at is None else iso_utc(manifest.learned_at),
        "base": str(manifest.base.get("name", "")),
        "tokens read": str(manifest.max_length),
        "calibration": str(manifest.calibration),
    }


def _data(manifest: Manifest) -> dict[str, str]:
    return {
        str(entry["name"]): f"{entry['rows']:,} rows, {entry['task']}, sha256 {str(entry['sha256'])[:12]}"
        for entry in manifest.training_data
    }


def _held_out(metrics: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for head, files in metrics.get("dev", {}).items():
        for file, found in files.items():
            for name in ("accuracy", "macro_f1", "calibration_error"):
                yield f"{head}, {file}, {name.replace('_', ' ')}", f"{found[name]:.4f} ({found['rows']:,} rows)"


def _flat(content: Mapping[str, Any], path: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in content.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{path}{name}.")
        else:
            found[f"{path}{name}"] = str(value)
    return found


def _unequal(group: str, one: Mapping[str, str], other: Mapping[str, str]) -> Iterator[Line]:
    return (line for line in _both(group, one, other) if line.one != line.other)


def _both(group: str, one: Mapping[str, str], other: Mapping[str, str]) -> Iterator[Line]:
    for name in dict.fromkeys((*one, *other)):
        yield Line(group, name, one.get(name, ""), other.get(name, ""))
