"""A finished model with another calibration: a copy of its folder, whose manifest, figures and card say so."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from models.errors import TrainingDataError
from models.files import Manifest, write_calibration
from retrain.calibrate import Calibrated
from retrain.card import CARD, METRICS, CardFacts, write_card
from retrain.data import Example
from retrain.held_out import evaluate_model
from retrain.split import Split


def write_calibrated(
    model: Path, out: Path, calibrated: Calibrated, examples: Sequence[Example], split: Split
) -> Manifest:
    """Write a copy of the model's folder with the calibration; `out` appears only when all of it is there.

    The figures on the held-out rows are taken again, as the probabilities are others now.

    Raises:
        TrainingDataError: `out` holds something already, or the model's metrics.json is not of this Squall.
        ModelFilesError: the model cannot be used.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise TrainingDataError(f"{out} exists already and is not an empty folder; choose another one")
    metrics = _read_metrics(model / METRICS)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as scratch:
        folder = Path(shutil.copytree(model, Path(scratch) / "model"))
        manifest = write_calibration(folder, calibrated.calibration)
        found = evaluate_model(folder, examples, split)
        metrics |= {
            "model": asdict(manifest.model),
            "dev": found.dev,
            "dev_firsts": found.firsts,
            "calibration": calibrated.figures,
        }
        facts = _facts(metrics, manifest)
        try:
            card = write_card(manifest, metrics, facts)
        except KeyError as error:
            raise TrainingDataError(f"{model / METRICS}: {error} is missing; train the model again") from None
        (folder / METRICS).write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
        (folder / CARD).write_text(card, encoding="utf-8")
        if out.exists():
            out.rmdir()
        shutil.move(folder, out)
    return manifest


def _read_metrics(path: Path) -> dict[str, Any]:
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingDataError(f"{path}: cannot be read ({error}); train the model again") from None
    if not isinstance(metrics, dict):
        raise TrainingDataError(f"{path}: not the figures of a training; train the model again")
    return metrics


def _facts(metrics: dict[str, Any], manifest: Manifest) -> CardFacts:
    """Return what the card says of rights; models of before it was kept know the base's name alone."""
    facts = metrics.get("facts")
    if facts is None:
        return CardFacts(manifest.base.get("name", "not stated"))
    return CardFacts(**facts | {"remarks": tuple(facts["remarks"])})
