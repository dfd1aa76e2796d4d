"""The latest texts and answers held against the model's reference, signal by signal. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from models.prediction import Prediction
from streams.watch.psi import population_stability_index
from streams.watch.reference import Measure, Reference
from streams.watch.signals import SIGNALS, Signal
from streams.watch.window import HistogramWindow


class DriftWatch:
    """Keeps the window of one model. Its memory is fixed: eight bytes a text, and the reference.

    Args:
        reference: what is expected.
        window_texts: texts of the window.
        min_texts: texts below which nothing is said.
    """

    def __init__(self, reference: Reference, *, window_texts: int, min_texts: int) -> None:
        self._expected = {name: reference.signals[name].counts for name in SIGNALS}
        self._windows = {name: HistogramWindow(len(self._expected[name]), window_texts) for name in SIGNALS}
        self._measure = Measure(reference)
        self._min_texts = min_texts

    @property
    def texts(self) -> int:
        """Texts in the window."""
        return len(self._windows["topic"])

    def add(self, texts: Sequence[str], predictions: Sequence[Prediction]) -> None:
        """Take texts and the model's answers to them into the window."""
        for text, prediction in zip(texts, predictions, strict=True):
            for name, bin_ in self._measure.places(text, prediction).items():
                self._windows[name].add(bin_)

    def indices(self) -> dict[Signal, float]:
        """Return the population stability index of each signal; nothing while the window holds too few texts."""
        if self.texts < self._min_texts:
            return {}
        return {
            name: population_stability_index(self._expected[name], window.counts)
            for name, window in self._windows.items()
        }
