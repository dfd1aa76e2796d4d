"""Every knob of a training run, in one documented object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from retrain.data import HEADS
from retrain.settings_parts import (
    COMBINATIONS,
    AugmentSettings,
    Combination,
    DomainSettings,
    LoraSettings,
    PseudoSettings,
)

ClassWeights = str | Mapping[str, Mapping[str, float]]
"""What `class_weights` takes: "none", "balanced", or weights by task and class."""

KEPT_ACCURACY, KEPT_CONFIDENCE = 0.9, 0.95
"""What the abstain band states: of the sentiments not abstained at least 90 % are right, with 95 % confidence."""


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """How a classifier is fine-tuned. The defaults are those of the shipped model, which ran with one thread.

    Attributes:
        epochs: passes over the training rows.
        batch_size: rows per optimiser step.
        learning_rate: peak rate of the encoder's top layer.
        head_learning_rate: peak rate of the two heads, which start from random numbers.
        layer_decay: rate of each encoder layer relative to the one above it (1.0: all alike).
        warmup_share: share of the steps during which the rates rise; afterwards they fall along a half cosine.
        weight_decay: of AdamW, on matrices only.
        label_smoothing: probability mass spread over all classes in the loss.
        head_dropout: dropout on the pooled vector.
        max_grad_norm: gradients are scaled down to this norm.
        average_decay: decay per step of the moving average of the weights, which is what gets evaluated and
            saved; 0.0 keeps the plain weights.
        dev_share: share of the text groups held out for development.
        max_length: tokens of a text that are read, special tokens included; also that of the saved model.
        bf16: use bfloat16 autocast for the encoder.
        adversarial: length of the step that the word embeddings are moved against the model before a second
            pass over each batch (fast gradient method, Miyato et al. 2017); 0.0 leaves the second pass out.
        teacher_weight: share of the loss that follows the teachers where a row has a label; rows that lack the
            label of a task learn that task from the teachers alone. Without teachers it has no effect.
        class_weights: what a row weighs in the loss by its class: "none" (1), "balanced" (rows / (classes * rows of
            the class), so that classes weigh alike and the mean row weighs 1), or weights by task and class such as
            {"sentiment": {"negative": 2.0}}, 1 where none is given.
        evaluation_steps: steps between two evaluations on the development rows; 0 evaluates after each epoch.
        patience: evaluations in a row without a better development score after which training stops; 0 never. The
            weights of the best evaluation are kept in any case.
        runs: trainings that differ in the order of rows and in dropout, from the same heads.
        combine: what is made of them: "best" on development; "soup", the mean of their weights, where that is better
            than the best; "distil", one more run that learns from their mean probabilities.
        folds: cross-validation over so many folds of text groups before the training proper; 0 leaves it out.
        checkpoint_steps: steps after which what an unfinished run needs to go on is written; 0 never.
        lora: low-rank adapters in place of full fine-tuning.
        augment: texts changed in ways that leave their labels as they are.
        domain: masked-language pre-training on unlabelled texts before fine-tuning.
        pseudo: labels by a finished model on unlabelled texts.
        split_seed: of the split into training and development.
        seed: of the heads, the order of rows and dropout.
        threads: CPU threads; 0 leaves torch's choice. Sums depend on it, so a bit-for-bit rerun fixes it.
    """

    epochs: int = 5
    batch_size: int = 32
    learning_rate: float = 1e-4
    head_learning_rate: float = 1e-3
    layer_decay: float = 0.9
    warmup_share: float = 0.06
    weight_decay: float = 0.01
    label_smoothing: float = 0.05
    head_dropout: float = 0.1
    max_grad_norm: float = 1.0
    average_decay: float = 0.998
    dev_share: float = 0.1
    max_length: int = 256
    bf16: bool = True
    adversarial: float = 0.0
    teacher_weight: float = 0.5
    class_weights: ClassWeights = "none"
    evaluation_steps: int = 0
    patience: int = 0
    runs: int = 1
    combine: Combination = "best"
    folds: int = 0
    checkpoint_steps: int = 500
    lora: LoraSettings = field(default_factory=LoraSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    domain: DomainSettings = field(default_factory=DomainSettings)
    pseudo: PseudoSettings = field(default_factory=PseudoSettings)
    split_seed: int = 20
    seed: int = 20
    threads: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "max_length", "runs"):
            self._bounded(name, getattr(self, name) >= 1, "at least 1")
        for name in ("warmup_share", "label_smoothing", "head_dropout", "average_decay"):
            self._bounded(name, 0.0 <= getattr(self, name) < 1.0, "at least 0 and below 1")
        for name in ("learning_rate", "head_learning_rate", "max_grad_norm"):
            self._bounded(name, getattr(self, name) > 0.0, "greater than 0")
        for name in ("weight_decay", "threads", "adversarial", "evaluation_steps", "patience", "checkpoint_steps"):
            self._bounded(name, getattr(self, name) >= 0, "at least 0")
        self._bounded("layer_decay", 0.0 < self.layer_decay <= 1.0, "above 0 and at most 1")
        self._bounded("dev_share", 0.0 < self.dev_share < 1.0, "between 0 and 1")
        self._bounded("teacher_weight", 0.0 <= self.teacher_weight <= 1.0, "between 0 and 1")
        self._bounded("folds", self.folds == 0 or self.folds >= 2, "0 or at least 2")
        self._bounded("combine", self.combine in COMBINATIONS, f"one of {', '.join(COMBINATIONS)}")
        self._check_together()
        _check_class_weights(self.class_weights)

    def _bounded(self, name: str, holds: bool, words: str) -> None:
        if not holds:
            raise ValueError(f"{name} must be {words}, got {getattr(self, name)!r}")

    def _check_together(self) -> None:
        if self.combine != "best" and self.runs == 1:
            raise ValueError(f"combine {self.combine!r} needs runs of at least 2, got 1")
        if self.lora.rank and self.adversarial:
            raise ValueError("adversarial moves the word embeddings, which lora freezes; set one of the two to 0")

    def as_dict(self) -> dict[str, Any]:
        """Return the knobs as plain values, for the metrics file and the model card."""
        return asdict(self)


def _check_class_weights(weights: ClassWeights) -> None:
    if weights in ("none", "balanced"):
        return
    if not isinstance(weights, Mapping):
        raise ValueError(f"class_weights must be none, balanced or weights by task and class, got {weights!r}")
    for task, by_class in weights.items():
        known = next((classes for head, classes in HEADS.items() if head == task), None)
        if known is None:
            raise ValueError(f"class_weights: unknown task {task!r}; known are {', '.join(HEADS)}")
        if not isinstance(by_class, Mapping):
            raise ValueError(f"class_weights: {task} needs weights by class, got {by_class!r}")
        for name, weight in by_class.items():
            if name not in known:
                raise ValueError(f"class_weights: unknown {task} class {name!r}; known are {', '.join(known)}")
            if not isinstance(weight, (int, float)) or not 0.0 < weight < float("inf"):
                raise ValueError(f"class_weights: the weight of {task} {name} must be a number above 0, got {weight!r}")
