"""The end of a training: the folder with its papers, complete or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from models.errors import TrainingDataError
from models.files import TOKENIZER, Manifest, read_manifest, write_calibration, write_manifest
from models.storage import save_network
from retrain.calibrate import fit_calibration
from retrain.card import CARD, METRICS, write_card
from retrain.checkpoint import Checkpoints
from retrain.combine import Combined
from retrain.data import Example
from retrain.figures import training_metrics
from retrain.fit import Material, network_report
from retrain.held_out import HeldOut, evaluate_classical, evaluate_model
from retrain.job import Ground, TrainedModel, TrainingJob, Watchers
from retrain.loop import LabelledTokens
from retrain.settings import TrainingSettings
from retrain.split import Split


def finish(
    job: TrainingJob,
    settings: TrainingSettings,
    ground: Ground,
    material: Material,
    labelled: Sequence[LabelledTokens],
    combined: Combined,
    facts: dict[str, Any],
    checkpoints: Checkpoints,
    watchers: Watchers,
) -> TrainedModel:
    """Write the folder, with its papers, and put it in its place.

    Args:
        job: what the training was asked for.
        settings: the knobs.
        ground: rows, split and files.
        material: base and tokenizer.
        labelled: the labelled rows of both sides.
        combined: the network, and how it came about.
        facts: further entries of metrics.json; those of None are left out.
        checkpoints: where the folder is put together.
        watchers: who is told.

    Raises:
        OSError, SafetensorError: the folder cannot be written.
    """
    examples, split = ground.examples, ground.split
    folder = checkpoints.folder / "model"
    shutil.rmtree(folder, ignore_errors=True)  # what a kill in the middle of this has left
    folder.mkdir()
    shutil.copyfile(material.folder / TOKENIZER, folder / TOKENIZER)
    firsts = [labelled[index] for index in split.dev_firsts]
    before = network_report(combined.network, firsts, material.pad_id, bf16=False)
    save_network(combined.network.cpu(), folder)
    manifest = write_manifest(
        folder,
        name=job.name,
        max_length=material.max_length,
        pad_id=material.pad_id,
        base={"name": job.facts.base_name, "sha256": material.sha256},
        training_data=ground.training_data,
        # Of a training that was broken off, when it began at first: its labels were read then.
        learned_at=datetime.fromisoformat(checkpoints.begun) if checkpoints.begun else None,
    )
    manifest, calibration = _calibrate(folder, manifest, examples, split, watchers.say)
    metrics = training_metrics(
        manifest, settings, combined.result, split, labelled, before, evaluate_model(folder, examples, split)
    )
    metrics["calibration"] = calibration
    metrics["facts"] = asdict(job.facts)
    metrics["teachers"] = [asdict(read_manifest(teacher).model) for teacher in job.teachers]
    classical = _classical(examples, split, watchers)
    metrics["classical"] = asdict(classical) if classical else None
    metrics |= {name: value for name, value in facts.items() if value is not None}
    if combined.facts is not None:
        metrics["combination"] = combined.facts
    (folder / METRICS).write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    (folder / CARD).write_text(write_card(manifest, metrics, job.facts), encoding="utf-8")
    if job.out.exists():
        job.out.rmdir()
    shutil.move(folder, job.out)
    return TrainedModel(job.out, manifest, metrics)


def _classical(examples: Sequence[Example], split: Split, watchers: Watchers) -> HeldOut | None:
    """Return what TF-IDF with logistic regression makes of the same rows; None where no word occurs in two of them."""
    watchers.begin("the classical baseline")
    try:
        return evaluate_classical(examples, split)
    except ValueError as error:
        watchers.say(f"no classical baseline: {error}")
        return None


def _calibrate(
    folder: Path, manifest: Manifest, examples: Sequence[Example], split: Split, progress: Callable[[str], None]
) -> tuple[Manifest, dict[str, Any] | None]:
    """Calibrate the model in its folder; with too few held-out rows it stays as it is, and `progress` is told."""
    try:
        fitted = fit_calibration(folder, examples, split)
    except TrainingDataError as error:
        progress(f"not calibrated: {error}")
        return manifest, None
    return write_calibration(folder, fitted.calibration), fitted.figures
