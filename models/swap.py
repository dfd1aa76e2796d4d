"""A scorer whose model can be exchanged while it works: between two calls, never within one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from models.prediction import ModelId, Prediction, Scorer, predict_quickly

_WARM_UP = (
    "The company reported its results.",
    "The company said on Monday that its board had met to review the outlook for the year and the plans for its plants "
    "abroad, after a difficult quarter in which demand stayed flat and costs went on rising.",
)
"""A short text and a longer one: a backend compiles what it needs at the first call of each length."""


class SwappableScorer:
    """Answers with the model in use; `swap` puts another one in its place. Thread-safe.

    A call that has begun ends with the model that it began with, and each prediction names the model that made it: so
    no text is lost or scored twice, and nobody has to ask which model was in use at the time.

    Args:
        scorer: the model to begin with.
    """

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._swapping = threading.Lock()

    @property
    def model(self) -> ModelId:
        """The model that the next call is answered with."""
        return self._scorer.model

    @property
    def scorer(self) -> Scorer:
        """The scorer in use."""
        return self._scorer

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Return one prediction per text, in order, all of one model."""
        scorer = self._scorer  # once: a swap in the meantime is for the next call
        return _named(scorer.model, scorer.predict(texts))

    def predict_quickly(self, texts: Sequence[str]) -> list[Prediction]:
        """Return the quick answers of the model in use, or its usual ones if it has none."""
        scorer = self._scorer
        return _named(scorer.model, predict_quickly(scorer, texts))

    def swap(self, load: Callable[[], Scorer], *, expected: ModelId | None = None) -> ModelId:
        """Load another model, warm it up, and answer with it from the next call on.

        It is to be called in a thread of its own: meanwhile the old model goes on answering. If anything fails, the old
        model stays in use.

        Args:
            load: makes the new scorer.
            expected: what the new one must be.

        Returns:
            The new model.

        Raises:
            ValueError: it is another model than expected.
            Exception: whatever `load` or the first predictions raise.
        """
        with self._swapping:
            scorer = load()
            if expected is not None and scorer.model != expected:
                found = f"{scorer.model.name}@{scorer.model.version}"
                msg = f"expected the model {expected.name}@{expected.version}, found {found}: the old one stays in use"
                raise ValueError(msg)
            scorer.predict(list(_WARM_UP))
            self._scorer = scorer
            return scorer.model


def _named(model: ModelId, predictions: Sequence[Prediction]) -> list[Prediction]:
    return [
        prediction if prediction.model is not None else replace(prediction, model=model) for prediction in predictions
    ]
