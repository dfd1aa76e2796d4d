"""Knobs of a training run that belong together, one documented object per method; all are off as they stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

AUGMENTATIONS = ("typos", "case", "links", "entities")
"""What can be done to a text without changing its labels, see `retrain.methods.augment`."""

COMBINATIONS = ("best", "soup", "distil")
"""What can be made of several runs, see `retrain.combine`."""

Combination = Literal["best", "soup", "distil"]


@dataclass(frozen=True, slots=True)
class LoraSettings:
    """Low-rank adapters in place of full fine-tuning (Hu et al., "LoRA", 2021), merged into the weights at the end.

    Attributes:
        rank: rank of the adapters; 0 trains all weights instead.
        alpha: their output is scaled by alpha / rank.
        dropout: on the adapters' input.
        targets: names of the linear layers that get one, such as query and value; none: what peft names for the
            architecture.
    """

    rank: int = 0
    alpha: float = 16.0
    dropout: float = 0.0
    targets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _whole("lora.rank", self.rank, 0)
        if not self.alpha > 0.0:
            raise ValueError(f"lora.alpha must be greater than 0, got {self.alpha}")
        _share("lora.dropout", self.dropout)


@dataclass(frozen=True, slots=True)
class AugmentSettings:
    """Texts changed in ways that leave their labels as they are.

    Attributes:
        share: share of the training rows that are changed, others in each epoch; 0.0 none.
        kinds: which changes: typos, case, links (and handles are dropped), entities (a company's name or cashtag is
            exchanged for another's).
    """

    share: float = 0.0
    kinds: tuple[str, ...] = AUGMENTATIONS

    def __post_init__(self) -> None:
        if not 0.0 <= self.share <= 1.0:
            raise ValueError(f"augment.share must lie between 0 and 1, got {self.share}")
        unknown = [kind for kind in self.kinds if kind not in AUGMENTATIONS]
        if unknown or not self.kinds:
            raise ValueError(f"augment.kinds must name some of {', '.join(AUGMENTATIONS)}, got {list(self.kinds)}")


@dataclass(frozen=True, slots=True)
class DomainSettings:
    """Continued masked-language pre-training on unlabelled texts before fine-tuning (Gururangan et al. 2020).

    Attributes:
        epochs: passes over the unlabelled texts; 0 leaves it out.
        learning_rate: peak rate, rising and falling as that of the fine-tuning does.
        batch_size: texts per step.
        mask_share: share of the tokens that are to be guessed.
    """

    epochs: int = 0
    learning_rate: float = 5e-5
    batch_size: int = 32
    mask_share: float = 0.15

    def __post_init__(self) -> None:
        _whole("domain.epochs", self.epochs, 0)
        _whole("domain.batch_size", self.batch_size, 1)
        if not self.learning_rate > 0.0:
            raise ValueError(f"domain.learning_rate must be greater than 0, got {self.learning_rate}")
        if not 0.0 < self.mask_share < 1.0:
            raise ValueError(f"domain.mask_share must lie between 0 and 1, got {self.mask_share}")


@dataclass(frozen=True, slots=True)
class PseudoSettings:
    """Labels that a finished model gives to unlabelled texts. Without such a model none of this has an effect.

    Attributes:
        threshold: probability from which the model's word counts as a label.
        weight: what such a row weighs in the loss, a labelled one weighing 1.
        most: at most so many rows per task, the surest first; 0 sets no limit.
    """

    threshold: float = 0.95
    weight: float = 0.5
    most: int = 0

    def __post_init__(self) -> None:
        if not 0.0 < self.threshold <= 1.0:
            raise ValueError(f"pseudo.threshold must be above 0 and at most 1, got {self.threshold}")
        if not 0.0 < self.weight <= 1.0:
            raise ValueError(f"pseudo.weight must be above 0 and at most 1, got {self.weight}")
        _whole("pseudo.most", self.most, 0)


def _whole(name: str, value: int, least: int) -> None:
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")


def _share(name: str, value: float) -> None:
    if not 0.0 <= value < 1.0:
        raise ValueError(f"{name} must be at least 0 and below 1, got {value}")
