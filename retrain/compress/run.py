"""Makes a smaller model from a finished one, and measures what that costs."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from models.classifier import Classifier
from models.errors import TrainingDataError
from models.files import DECIDING_FILES, TOKENIZER, Manifest, read_manifest, write_manifest
from models.storage import load_network, save_network
from retrain.card import CardFacts
from retrain.compress.layers import cut_layers
from retrain.compress.vocabulary import cut_vocabulary, keep_used, write_tokenizer
from retrain.cycle.base import write_base
from retrain.data import HEADS, TASKS, Example
from retrain.evaluation import evaluate_head
from retrain.job import TrainingJob
from retrain.settings import TrainingSettings
from retrain.train import train_model

_ROUNDS = 5
_TIMED_TEXTS = 512


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to become smaller.

    Attributes:
        out: folder to write; it must not exist.
        name: name of the smaller model.
        texts: texts that tell which word pieces are used; empty keeps all.
        layers: how many layers stay; None keeps all.
        sentiment: with fewer layers: training files of the original, from which it teaches the smaller one.
        topic: the same for topics.
        settings: of that training; the split must be that of the original.
        device: where to train and measure.
    """

    out: Path
    name: str
    texts: Sequence[str] = ()
    layers: int | None = None
    sentiment: tuple[Path, ...] = ()
    topic: tuple[Path, ...] = ()
    settings: TrainingSettings = field(default_factory=TrainingSettings)
    device: str = "auto"


@dataclass(frozen=True, slots=True)
class Measured:
    """What a model is.

    Attributes:
        megabytes: size of the files that decide its answers.
        texts_per_second: on this machine, as `squall score` computes.
        accuracy: by head, on the rows that were given; None without any of the head.
        parameters: of encoder and heads.
    """

    megabytes: float
    texts_per_second: float
    accuracy: dict[str, float | None]
    parameters: int


def compress(model: Path, plan: Plan, progress: Callable[[str], None]) -> Manifest:
    """Write a smaller model; `plan.out` appears only when all of it is there.

    Raises:
        ModelFilesError: the model cannot be used.
        TrainingDataError: nothing is to become smaller, `plan.out` is there already, or the training cannot be done.
    """
    if not plan.texts and plan.layers is None:
        raise TrainingDataError("nothing is to become smaller: give texts for the vocabulary, or a number of layers")
    if plan.out.exists():
        raise TrainingDataError(f"{plan.out} exists already; choose another folder")
    manifest = read_manifest(model)
    plan.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=plan.out.parent, prefix=f".{plan.out.name}.") as scratch:
        cut = Path(scratch) / "cut"
        cut.mkdir()
        smaller = _cut(model, manifest, cut, plan, progress)
        if plan.layers is not None and plan.sentiment:
            progress("the original teaches the smaller one")
            job = TrainingJob(
                sentiment=plan.sentiment,
                topic=plan.topic,
                base=str(write_base(cut, Path(scratch) / "base")),
                out=plan.out,
                name=plan.name,
                facts=CardFacts(f"{manifest.name} {manifest.version}, {plan.layers} layers"),
                teachers=(model,),
                device=plan.device,
                learned_at=manifest.learned_at,
            )
            return train_model(job, plan.settings, progress).manifest
        shutil.move(cut, plan.out)
    return smaller


def _cut(model: Path, manifest: Manifest, folder: Path, plan: Plan, progress: Callable[[str], None]) -> Manifest:
    network = load_network(model)
    pad_id = manifest.pad_id
    if plan.layers is not None:
        stay = cut_layers(network, plan.layers)
        progress(f"layers kept: {', '.join(str(index + 1) for index in stay)}")
    if plan.texts:
        kept = keep_used(model / TOKENIZER, plan.texts, max_length=manifest.max_length, pad_id=pad_id)
        encoder: Any = network.encoder
        progress(f"word pieces kept: {len(kept.ids):,} of {encoder.config.vocab_size:,}")
        pad_id = cut_vocabulary(network, kept, pad_id)
        write_tokenizer(kept, folder)
    else:
        shutil.copy(model / TOKENIZER, folder / TOKENIZER)
    save_network(network, folder)
    return write_manifest(
        folder,
        name=plan.name,
        max_length=manifest.max_length,
        pad_id=pad_id,
        base={**manifest.base, "compressed_from": f"{manifest.name} {manifest.version}"},
        training_data=manifest.training_data,
        learned_at=manifest.learned_at,
        # With fewer layers the old temperatures fit no longer; with fewer word pieces the logits are the same.
        calibration=manifest.calibration if plan.layers is None else None,
    )


def measure(folder: Path, examples: Sequence[Example], texts: Sequence[str], *, device: str = "auto") -> Measured:
    """Measure a model.

    Args:
        folder: the model.
        examples: labelled rows that it has not learned from.
        texts: for the speed; some hundred.
        device: where to compute.

    Raises:
        ModelFilesError: the folder is no model.
    """
    classifier = Classifier.load(folder, device=device)
    accuracy: dict[str, float | None] = {}
    for task in TASKS:
        rows = [one for one in examples if one.task == task]
        if not rows:
            accuracy[task] = None
            continue
        answers = classifier.predict([one.text for one in rows])
        found = np.array(
            [(one.negative, one.neutral, one.positive) if task == "sentiment" else one.topics for one in answers]
        )
        accuracy[task] = evaluate_head(found, [one.label for one in rows], HEADS[task]).accuracy
    some = list(texts[:_TIMED_TEXTS])
    classifier.predict(some)
    rates = []
    for _ in range(_ROUNDS):
        began_s = time.perf_counter()
        classifier.predict(some)
        rates.append(len(some) / (time.perf_counter() - began_s))
    return Measured(
        megabytes=sum((folder / name).stat().st_size for name in DECIDING_FILES) / 1e6,
        texts_per_second=median(rates),
        accuracy=accuracy,
        parameters=sum(value.numel() for value in load_network(folder).parameters()),
    )
