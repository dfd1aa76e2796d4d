"""Every knob of a training run, in one documented object."""

from __future__ import annotations

from dataclasses import asdict, dataclass

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
    split_seed: int = 20
    seed: int = 20
    threads: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "max_length"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("warmup_share", "label_smoothing", "head_dropout", "average_decay"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ValueError(f"{name} must be at least 0 and below 1, got {getattr(self, name)}")
        for name in ("learning_rate", "head_learning_rate", "max_grad_norm"):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"{name} must be greater than 0, got {getattr(self, name)}")
        if not 0.0 < self.layer_decay <= 1.0:
            raise ValueError(f"layer_decay must be above 0 and at most 1, got {self.layer_decay}")
        if not 0.0 < self.dev_share < 1.0:
            raise ValueError(f"dev_share must lie between 0 and 1, got {self.dev_share}")
        if not 0.0 <= self.teacher_weight <= 1.0:
            raise ValueError(f"teacher_weight must lie between 0 and 1, got {self.teacher_weight}")
        for name in ("weight_decay", "threads", "adversarial"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} cannot be negative, got {getattr(self, name)}")

    def as_dict(self) -> dict[str, int | float | bool]:
        """Return the knobs as plain values, for the metrics file and the model card."""
        return asdict(self)
