"""The latest texts and answers held against the model's reference, signal by signal. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from models.prediction import Prediction
from streams.watch.embedding import PointWindow, point
from streams.watch.psi import population_stability_index
from streams.watch.reference import Measure, Reference
from streams.watch.signals import SIGNALS, Signal, word_hashes
from streams.watch.window import HistogramWindow


class DriftWatch:
    """Keeps the window of one model. Its memory is fixed: 136 bytes a text, and the reference.

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
        self._cloud, self._reference_texts = reference.cloud(), reference.texts
        self._points = PointWindow(window_texts)

    @property
    def texts(self) -> int:
        """Texts in the window."""
        return len(self._windows["topic"])

    def add(self, texts: Sequence[str], predictions: Sequence[Prediction]) -> None:
        """Take texts and the model's answers to them into the window."""
        for text, prediction in zip(texts, predictions, strict=True):
            hashes = word_hashes(text)
            for name, bin_ in self._measure.places(hashes, prediction).items():
                self._windows[name].add(bin_)
            self._points.add(point(hashes))

    def indices(self) -> dict[Signal, float]:
        """Return the population stability index of each signal; nothing while the window holds too few texts."""
        if self.texts < self._min_texts:
            return {}
        return {
            name: population_stability_index(self._expected[name], window.counts)
            for name, window in self._windows.items()
        }

    def distance(self) -> float | None:
        """Return how far the texts lie from those of the reference (`streams.watch.embedding`), in standard deviations.

        None while the window holds too few texts, or with a reference that does not say where its own lie.
        """
        if self._cloud is None or self.texts < self._min_texts:
            return None
        return self._cloud.distance(self._points.mean(), self.texts, self._reference_texts)
