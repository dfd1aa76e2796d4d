"""One training run, from labelled files to a finished model folder."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from models.device import choose_device
from models.errors import TrainingDataError
from models.files import TOKENIZER, Manifest, file_sha256, read_manifest, write_calibration, write_manifest
from models.network import ClassifierNetwork
from models.storage import save_network
from models.tokens import TextTokenizer
from retrain.base import build_network, load_base
from retrain.calibrate import fit_calibration
from retrain.card import CARD, METRICS, CardFacts, write_card
from retrain.data import HEADS, Example, read_both
from retrain.evaluation import report_by_file
from retrain.held_out import HeldOut, evaluate_model
from retrain.loop import LabelledTokens, TrainingResult, predict_probabilities, seed_everything, train_network
from retrain.settings import TrainingSettings
from retrain.split import Split, split_examples
from retrain.teachers import check_teacher, teach


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """Where the finished model lies, what it is, and the figures that stand in its metrics.json."""

    folder: Path
    manifest: Manifest
    metrics: dict[str, Any]


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """What to train from, and what the result is called.

    Attributes:
        sentiment: CSV files with the columns text and label (negative, neutral, positive; bearish, bullish).
        topic: CSV files with the columns text and label (topic ids or the public set's names).
        base: folder or Hub id of the encoder to start from.
        out: folder to write; it must not exist or be empty.
        name: name of the model.
        facts: what the model card shall say of rights and origin.
        teachers: finished model folders whose mean word on the training texts is learned too.
        device: "auto" (CUDA where there is one), "cpu", "cuda" or "cuda:N".
        learned_at: what the manifest shall say of when the model was learned, UTC; None says nothing.
    """

    sentiment: tuple[Path, ...]
    topic: tuple[Path, ...]
    base: str
    out: Path
    name: str
    facts: CardFacts
    teachers: tuple[Path, ...] = ()
    device: str = "auto"
    learned_at: datetime | None = None


def train_model(job: TrainingJob, settings: TrainingSettings, progress: Callable[[str], None]) -> TrainedModel:
    """Fine-tune a classifier and write a complete model folder; `job.out` appears only when all of it is there.

    `progress` receives one line of text now and then.

    Raises:
        TrainingDataError: the files cannot be used, or `job.out` holds something already.
        DeviceError: the device is not there.
        ModelFilesError: the base, or a teacher, cannot be used.
    """
    device = choose_device(job.device)
    out = job.out
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise TrainingDataError(f"{out} exists already and is not an empty folder; choose another one")
    examples = read_both(job.sentiment, job.topic)
    split = split_examples(examples, settings.dev_share, settings.split_seed)
    _check_sides(examples, split)
    progress(
        f"{len(examples)} rows in {split.groups} text groups: {len(split.train)} for training, {len(split.dev)} "
        f"for development ({split.dev_duplicates} near-duplicates left out)"
    )
    training_data = describe_files((*job.sentiment, *job.topic), examples)
    for teacher in job.teachers:
        check_teacher(teacher, training_data, settings)
    seed_everything(settings)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as scratch:
        folder = Path(scratch) / "model"
        folder.mkdir()
        base = load_base(job.base, folder)
        max_length = min(settings.max_length, base.max_positions)
        tokens = TextTokenizer(folder / TOKENIZER, max_length)([example.text for example in examples])
        rows = [LabelledTokens(text, example) for text, example in zip(tokens, examples, strict=True)]
        firsts = [rows[index] for index in split.dev_firsts]
        train = teach([rows[index] for index in split.train], job.teachers, progress)
        network = build_network(base, settings.head_dropout).to(device)
        result = train_network(
            network,
            train,
            firsts,
            settings=settings,
            pad_id=base.pad_id,
            score=lambda candidate: _epoch_score(candidate, firsts, base.pad_id, settings.bf16),
            progress=progress,
        )
        before = report_by_file(
            [item.example for item in firsts], *_network_probabilities(network, firsts, base.pad_id, bf16=False)
        )
        save_network(network.cpu(), folder)
        manifest = write_manifest(
            folder,
            name=job.name,
            max_length=max_length,
            pad_id=base.pad_id,
            base={"name": job.facts.base_name, "sha256": base.sha256},
            training_data=training_data,
            learned_at=job.learned_at,
        )
        manifest, calibration = _calibrate(folder, manifest, examples, split, progress)
        metrics = _metrics(manifest, settings, result, split, rows, before, evaluate_model(folder, examples, split))
        metrics["calibration"] = calibration
        metrics["facts"] = asdict(job.facts)
        metrics["teachers"] = [asdict(read_manifest(teacher).model) for teacher in job.teachers]
        (folder / METRICS).write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
        (folder / CARD).write_text(write_card(manifest, metrics, job.facts), encoding="utf-8")
        if out.exists():
            out.rmdir()
        shutil.move(folder, out)
    return TrainedModel(out, manifest, metrics)


def _check_sides(examples: Sequence[Example], split: Split) -> None:
    for task in HEADS:
        for side, indices in (("training", split.train), ("development", split.dev)):
            if not any(examples[index].task == task for index in indices):
                raise TrainingDataError(f"no {task} rows on the {side} side; give more rows or another dev_share")


def describe_files(paths: Sequence[Path], examples: Sequence[Example]) -> list[dict[str, Any]]:
    """Return what a manifest says of training files: name, task, rows and SHA-256 of each."""
    described = []
    for path in paths:
        rows = [example for example in examples if example.source == path.name]
        described.append({"name": path.name, "task": rows[0].task, "rows": len(rows), "sha256": file_sha256(path)})
    return described


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


def _network_probabilities(
    network: ClassifierNetwork, dev: Sequence[LabelledTokens], pad_id: int, *, bf16: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return predict_probabilities(network, [item.tokens for item in dev], pad_id, bf16=bf16)


def _epoch_score(
    network: ClassifierNetwork, dev: Sequence[LabelledTokens], pad_id: int, bf16: bool
) -> dict[str, float]:
    """Return accuracy and macro F1 by head and file; "selection" is the mean of the accuracies."""
    figures: dict[str, float] = {}
    examples = [item.example for item in dev]
    for head, by_file in report_by_file(examples, *_network_probabilities(network, dev, pad_id, bf16=bf16)).items():
        for file, report in by_file.items():
            figures[f"{head}/{file}/accuracy"] = report["accuracy"]
            figures[f"{head}/{file}/macro_f1"] = report["macro_f1"]
    accuracies = [value for key, value in figures.items() if key.endswith("/accuracy")]
    return figures | {"selection": float(np.mean(accuracies))}


def _metrics(
    manifest: Manifest,
    settings: TrainingSettings,
    result: TrainingResult,
    split: Split,
    labelled: Sequence[LabelledTokens],
    before: dict[str, dict[str, Any]],
    shipped: HeldOut,
) -> dict[str, Any]:
    """Return what metrics.json holds; nothing in it depends on the clock, so equal runs write equal files."""
    lengths = [len(item.tokens.ids) for item in labelled]
    return {
        "model": asdict(manifest.model),
        "rows": {
            "train": len(split.train),
            "dev": len(split.dev),
            "dev_firsts": len(split.dev_firsts),
            "dev_duplicates": split.dev_duplicates,
            "groups": split.groups,
            "mean_tokens": round(float(np.mean(lengths)), 2),
            "longest_tokens": max(lengths),
        },
        "dev": shipped.dev,
        "dev_firsts": shipped.firsts,
        "dev_firsts_float32_weights": before,
        "best_epoch": result.best_epoch,
        "history": result.history,
        "settings": settings.as_dict(),
        "environment": {
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "threads": torch.get_num_threads(),
        },
    }
