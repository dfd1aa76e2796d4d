"""Every knob of making a first tier, in one documented object. Importing it loads no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TierSettings:
    """How a first tier is made.

    Attributes:
        ngrams: n-grams that get weights: those that the most texts have.
        epochs, batch_texts, learning_rate, dropout: see `fit_regression`.
        tuning_share, proof_share: of the groups of unlabelled texts.
        seed: of the sides, the order of texts and the dropout.
    """

    ngrams: int = 60_000
    epochs: int = 8
    batch_texts: int = 256
    learning_rate: float = 0.02
    dropout: float = 0.3
    tuning_share: float = 0.1
    proof_share: float = 0.25
    seed: int = 20

    def __post_init__(self) -> None:
        for name in ("ngrams", "epochs", "batch_texts"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("tuning_share", "proof_share"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise ValueError(f"{name} must lie between 0 and 1, got {getattr(self, name)}")
        if self.tuning_share + self.proof_share >= 1.0:
            raise ValueError("tuning_share and proof_share leave nothing to learn from")
        if not 0.0 <= self.dropout < 1.0 or not self.learning_rate > 0.0:
            raise ValueError("dropout must be at least 0 and below 1, and learning_rate above 0")
