"""One fit: rows and knobs in, a trained network out; what a training, its folds, trials and ablations all call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.errors import TrainingDataError
from models.files import TOKENIZER
from models.network import ClassifierNetwork
from models.tokens import TextTokenizer
from retrain.base import build_network, load_base
from retrain.data import HEADS, Example
from retrain.evaluation import Report, report_by_file
from retrain.loop import Hooks, LabelledTokens, predict_probabilities, seed_everything, train_network
from retrain.methods.augment import augmented_rows
from retrain.methods.class_weights import class_weights
from retrain.methods.lora import add_adapters, merge_adapters
from retrain.methods.pseudo import SOURCE
from retrain.place import Kept, TrainingResult
from retrain.settings import TrainingSettings
from retrain.split import Split
from retrain.world import ALONE, World


@dataclass(frozen=True, slots=True)
class Material:
    """What a fit starts from.

    Attributes:
        base: folder or Hub id of the encoder.
        folder: holds the base's tokenizer.
        max_length: tokens of a text that are read.
        pad_id: token id that fills rows up.
        sha256: of the base's weights.
        device: where the network is trained.
        encoder: weights to put into the encoder in place of the base's, by name; None leaves those.
    """

    base: str
    folder: Path
    max_length: int
    pad_id: int
    sha256: str
    device: torch.device
    encoder: Mapping[str, Tensor] | None = None

    def tokenise(self, examples: Sequence[Example], weight: float = 1.0) -> list[LabelledTokens]:
        """Return the examples ready for the network."""
        tokens = TextTokenizer(self.folder / TOKENIZER, self.max_length)([example.text for example in examples])
        return [LabelledTokens(text, example, None, weight) for text, example in zip(tokens, examples, strict=True)]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A trained network in evaluation mode, adapters merged, and the course of its training."""

    network: ClassifierNetwork
    result: TrainingResult


def open_material(base: str, folder: Path, settings: TrainingSettings, device: torch.device) -> Material:
    """Look at the base and leave its tokenizer in `folder`.

    Raises:
        ModelFilesError: the base cannot be used.
    """
    found = load_base(base, folder)
    return Material(base, folder, min(settings.max_length, found.max_positions), found.pad_id, found.sha256, device)


def check_sides(examples: Sequence[Example], split: Split) -> None:
    """Make sure that both heads have something to learn from and to be judged by.

    Raises:
        TrainingDataError: a head has no rows on a side, or rows of one class alone to learn from.
    """
    for task in HEADS:
        for side, indices in (("training", split.train), ("development", split.dev)):
            if not any(examples[index].task == task for index in indices):
                raise TrainingDataError(f"no {task} rows on the {side} side; give more rows or another dev_share")
        classes = {examples[index].label for index in split.train if examples[index].task == task}
        if len(classes) == 1:
            raise TrainingDataError(
                f"all {task} rows to learn from are {HEADS[task][classes.pop()]}: with one class there is nothing to "
                "tell apart; give rows of others too"
            )


def fit(
    material: Material,
    train: Sequence[LabelledTokens],
    dev: Sequence[LabelledTokens],
    settings: TrainingSettings,
    *,
    run: int = 0,
    hooks: Hooks = Hooks(),  # noqa: B008 - frozen
    world: World = ALONE,
    kept: Kept | None = None,
) -> Fitted:
    """Train one network from the base.

    Args:
        material: base, tokenizer and device.
        train: training rows.
        dev: rows that choose the weights to keep; none keeps the last.
        settings: the knobs.
        run: 0 is the plain run; others start from the same heads and differ in the order of rows and in dropout.
        hooks: what is called on the way; `rows_of_epoch` is filled in where texts are augmented.
        world: the processes that train together.
        kept: where to leave, and find, what an unfinished fit needs to go on.

    Raises:
        ModelFilesError: the base cannot be used.
        TrainingDataError: adapters do not fit the base, or the checkpoint is damaged.
        BackendMissingError: adapters are asked for and peft is not installed.
    """
    seed_everything(settings)
    base = load_base(material.base, material.folder)
    if material.encoder is not None:
        base.encoder.load_state_dict({name: value for name, value in material.encoder.items() if "pooler." not in name})
    network = build_network(base, settings.head_dropout)
    if settings.lora.rank:
        add_adapters(network, settings.lora)
    network.to(material.device)
    if run:
        settings = replace(settings, seed=settings.seed + run)
        torch.manual_seed(settings.seed)
    rows = weigh(train, settings)
    if settings.augment.share:
        hooks = replace(hooks, rows_of_epoch=lambda epoch: _augmented(material, rows, settings, epoch))
    result = train_network(
        network,
        rows,
        dev,
        settings=settings,
        pad_id=material.pad_id,
        score=lambda candidate: development_score(candidate, dev, material.pad_id, settings.bf16),
        hooks=hooks,
        world=world,
        kept=kept,
    )
    merge_adapters(network)
    return Fitted(network.eval(), result)


def weigh(rows: Sequence[LabelledTokens], settings: TrainingSettings) -> list[LabelledTokens]:
    """Return the rows with the weight of their class; pseudo-labels are weighed, but count for no class."""
    labelled = [row.example for row in rows if row.example.source != SOURCE]
    weights = class_weights(settings.class_weights, labelled)
    if not weights:
        return list(rows)
    return [replace(row, weight=row.weight * weights.get((row.example.task, row.example.label), 1.0)) for row in rows]


def network_report(network: ClassifierNetwork, rows: Sequence[LabelledTokens], pad_id: int, *, bf16: bool) -> Report:
    """Return the figures of a network by head and file."""
    return report_by_file([row.example for row in rows], *probabilities(network, rows, pad_id, bf16=bf16))


def probabilities(
    network: ClassifierNetwork, rows: Sequence[LabelledTokens], pad_id: int, *, bf16: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the probabilities [rows, sentiments] and [rows, topics]."""
    return predict_probabilities(network, [row.tokens for row in rows], pad_id, bf16=bf16)


def development_score(
    network: ClassifierNetwork, dev: Sequence[LabelledTokens], pad_id: int, bf16: bool
) -> dict[str, float]:
    """Return accuracy and macro F1 by head and file; "selection" is the mean of the accuracies."""
    return selection(network_report(network, dev, pad_id, bf16=bf16))


def selection(report: Report) -> dict[str, float]:
    """Return accuracy and macro F1 by head and file; "selection" is the mean of the accuracies."""
    figures: dict[str, float] = {}
    for head, by_file in report.items():
        for file, entry in by_file.items():
            figures[f"{head}/{file}/accuracy"] = entry["accuracy"]
            figures[f"{head}/{file}/macro_f1"] = entry["macro_f1"]
    accuracies = [value for key, value in figures.items() if key.endswith("/accuracy")]
    return figures | {"selection": float(np.mean(accuracies))}


def _augmented(
    material: Material, rows: Sequence[LabelledTokens], settings: TrainingSettings, epoch: int
) -> list[LabelledTokens]:
    changed = augmented_rows([row.example.text for row in rows], settings.augment, seed=settings.seed, epoch=epoch)
    tokens = TextTokenizer(material.folder / TOKENIZER, material.max_length)(list(changed.values()))
    found = list(rows)
    for (index, text), ids in zip(changed.items(), tokens, strict=True):
        found[index] = replace(rows[index], tokens=ids, example=replace(rows[index].example, text=text))
    return found
