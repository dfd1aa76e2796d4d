"""`squall bench ablation`: what each knob of the training is worth on its own, on a share of somebody's data.

One plain training, and one for each knob that differs from it in that knob alone; each with several seeds. All learn
from the same share of the training rows and are judged on all development rows, one of each group of near-duplicates.
The rows outside the share serve as unlabelled texts to the methods that need some.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import numpy as np
import torch

from models.device import choose_device, choose_dtype
from models.errors import TrainingDataError
from models.network import ClassifierNetwork
from retrain.combine import train_runs
from retrain.data import HEADS, TASKS, Example, read_both
from retrain.fit import Material, check_sides, fit, network_report, open_material, probabilities
from retrain.loop import Hooks, LabelledTokens, seed_everything
from retrain.methods.domain import adapt
from retrain.methods.pseudo import sure_rows
from retrain.settings import TrainingSettings
from retrain.settings_file import changed
from retrain.split import group_texts, normalise_text, split_examples, unit_hash

PLAIN = "plain"

KNOBS: dict[str, dict[str, Any]] = {
    PLAIN: {},
    "no-warm-up": {"warmup_share": 0.0},
    "no-label-smoothing": {"label_smoothing": 0.0},
    "no-layer-decay": {"layer_decay": 1.0},
    "no-moving-average": {"average_decay": 0.0},
    "class-weights": {"class_weights": "balanced"},
    "adversarial": {"adversarial": 0.5},
    "lora": {"lora": {"rank": 16, "alpha": 32.0}, "learning_rate": 1e-3},
    "augment-typos": {"augment": {"share": 0.3, "kinds": ["typos"]}},
    "augment-case": {"augment": {"share": 0.3, "kinds": ["case"]}},
    "augment-links": {"augment": {"share": 0.3, "kinds": ["links"]}},
    "augment-entities": {"augment": {"share": 0.3, "kinds": ["entities"]}},
    "domain": {"domain": {"epochs": 1}},
    "pseudo-labels": {"pseudo": {"threshold": 0.9}},
    "soup": {"runs": 2, "combine": "soup"},
    "distil": {"runs": 2, "combine": "distil"},
}
"""What differs from the plain training; adapters need a higher rate, as fewer weights move."""


class Line(msgspec.Struct, frozen=True):
    """What one knob did to one head.

    Differences are to the plain training with the same seed; spreads are standard deviations over the seeds, 0 with
    one.
    """

    knob: str
    head: str
    seeds: int
    rows: int
    accuracy: float
    accuracy_difference: float
    accuracy_spread: float
    macro_f1: float
    macro_f1_difference: float
    macro_f1_spread: float
    seconds: float
    """Of one training, its evaluation left out."""


@dataclass(frozen=True, slots=True)
class Ablation:
    """What is compared, and how.

    Attributes:
        sentiment: labelled file.
        topic: labelled file.
        base: folder or Hub id of the encoder.
        share: of the training side's text groups that is learned from.
        epochs: of each training.
        seeds: trainings per knob.
        knobs: which of `KNOBS`; the plain one is always among them.
        threads: CPU threads; 0 leaves torch's choice.
        device: as `squall train` takes it.
    """

    sentiment: Path
    topic: Path
    base: str
    share: float = 0.2
    epochs: int = 1
    seeds: int = 2
    knobs: tuple[str, ...] = tuple(KNOBS)
    threads: int = 0
    device: str = "auto"


@dataclass(frozen=True, slots=True)
class _Ground:
    material: Material
    train: list[LabelledTokens]
    dev: list[LabelledTokens]
    others: list[str]


Figures = dict[str, dict[str, float]]
"""Accuracy, macro F1 and rows by head, and the seconds of the training under "training"."""


def run(plan: Ablation, begin: Callable[[str], Hooks]) -> list[Line]:
    """Train everything and return a line per knob and head, the plain ones first.

    Args:
        plan: what is compared.
        begin: told what begins; returns what that training calls on its way.

    Raises:
        TrainingDataError: the files cannot be used, or the share leaves too few rows.
        ModelFilesError: the base cannot be used.
        DeviceError: the device is not there.
        ValueError: a knob is unknown.
    """
    unknown = [name for name in plan.knobs if name not in KNOBS]
    if unknown:
        raise ValueError(f"unknown knob {unknown[0]!r}; known are {', '.join(KNOBS)}")
    device = choose_device(plan.device)
    settings = TrainingSettings(
        epochs=plan.epochs, threads=plan.threads, bf16=choose_dtype("auto", device) is torch.bfloat16
    )
    seed_everything(settings)
    names = [PLAIN, *(name for name in KNOBS if name in plan.knobs and name != PLAIN)]
    found: dict[str, list[Figures]] = {name: [] for name in names}
    with TemporaryDirectory(prefix="squall-ablation-") as scratch:
        ground = _ground(plan, settings, device, Path(scratch))
        for seed in range(settings.seed, settings.seed + plan.seeds):
            seeded = replace(settings, seed=seed)
            plain: ClassifierNetwork | None = None
            for name in names:
                hooks = begin(f"{name}, seed {seed}")
                network, seconds = _train(name, ground, changed(seeded, KNOBS[name]), plain, hooks)
                plain = plain or network
                found[name].append(_figures(network, ground, settings, seconds))
    return [line for name in names for line in _lines(name, found[name], found[PLAIN])]


def _ground(plan: Ablation, settings: TrainingSettings, device: torch.device, scratch: Path) -> _Ground:
    examples = read_both([plan.sentiment], [plan.topic])
    split = split_examples(examples, settings.dev_share, settings.split_seed)
    side = [examples[index] for index in split.train]
    taken = take_share(side, plan.share, settings.split_seed)
    train = [side[index] for index in taken]
    if not {example.task for example in train} >= set(TASKS):
        raise TrainingDataError(f"a share of {plan.share:g} leaves a head without rows; take a larger one")
    check_sides(examples, split)
    chosen = set(taken)
    # Texts of both files come once; what is left of equal ones outside the share would be no new text.
    known = {normalise_text(example.text) for example in train}
    others = dict.fromkeys(
        example.text
        for index, example in enumerate(side)
        if index not in chosen and normalise_text(example.text) not in known
    )
    material = open_material(plan.base, scratch, settings, device)
    dev = [examples[index] for index in split.dev_firsts]
    return _Ground(material, material.tokenise(train), material.tokenise(dev), list(others))


def take_share(examples: Sequence[Example], share: float, seed: int) -> list[int]:
    """Return the positions of the examples of about this share of the text groups."""
    groups = group_texts([example.text for example in examples]).tolist()
    first: dict[int, str] = {}
    for group, example in zip(groups, examples, strict=True):
        text = normalise_text(example.text)
        first[group] = min(first.get(group, text), text)
    taken = {group for group, text in first.items() if unit_hash(f"{seed}:share:{text}") < share}
    return [index for index, group in enumerate(groups) if group in taken]


def _train(
    name: str, ground: _Ground, settings: TrainingSettings, plain: ClassifierNetwork | None, hooks: Hooks
) -> tuple[ClassifierNetwork, float]:
    """Return the trained network and the seconds that it took."""
    material, train = ground.material, list(ground.train)
    started = time.perf_counter()
    if settings.domain.epochs:
        texts = [row.tokens for row in material.tokenise(_bare(ground.others))]
        weights, _ = adapt(material.base, texts, settings=settings, device=material.device, step=hooks.step)
        material = replace(material, encoder=weights)
    if name == "pseudo-labels" and plain is not None:
        told = probabilities(plain, material.tokenise(_bare(ground.others)), material.pad_id, bf16=settings.bf16)
        rows = sure_rows(ground.others, dict(zip(TASKS, told, strict=True)), settings.pseudo)
        train += material.tokenise(rows, settings.pseudo.weight)
    if settings.runs > 1:
        network = train_runs(material, train, ground.dev, settings, begin=lambda _: hooks).network
    else:
        network = fit(material, train, ground.dev, settings, hooks=hooks).network
    return network, time.perf_counter() - started


def _bare(texts: Sequence[str]) -> list[Example]:
    """Return texts as examples whose labels nobody looks at."""
    return [Example(text, "sentiment", 0, "", 0) for text in texts]


def _figures(network: ClassifierNetwork, ground: _Ground, settings: TrainingSettings, seconds: float) -> Figures:
    report = network_report(network, ground.dev, ground.material.pad_id, bf16=settings.bf16)
    found: Figures = {"training": {"seconds": seconds}}
    for head in HEADS:
        (figures,) = report[head].values()
        found[head] = {key: float(figures[key]) for key in ("accuracy", "macro_f1", "rows")}
    return found


def _lines(name: str, found: Sequence[Figures], plain: Sequence[Figures]) -> list[Line]:
    lines = []
    for head in HEADS:
        means, differences, spreads = {}, {}, {}
        for key in ("accuracy", "macro_f1"):
            values = [figures[head][key] for figures in found]
            gains = [ours - theirs[head][key] for ours, theirs in zip(values, plain, strict=True)]
            means[key] = statistics.fmean(values)
            differences[key] = statistics.fmean(gains)
            of = values if name == PLAIN else gains
            spreads[key] = statistics.stdev(of) if len(of) > 1 else 0.0
        lines.append(
            Line(
                knob=name,
                head=head,
                seeds=len(found),
                rows=int(found[0][head]["rows"]),
                accuracy=means["accuracy"],
                accuracy_difference=differences["accuracy"],
                accuracy_spread=spreads["accuracy"],
                macro_f1=means["macro_f1"],
                macro_f1_difference=differences["macro_f1"],
                macro_f1_spread=spreads["macro_f1"],
                seconds=float(np.mean([figures["training"]["seconds"] for figures in found])),
            )
        )
    return lines
