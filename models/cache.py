"""Recent answers by text: a repost costs nothing.

The key is the text as the network would see it (`models.text.prepare`: links shortened, entities resolved, white space
collapsed), so a hit is the very answer that the network would give again. Nothing looser is taken: a text that merely
resembles another has an answer of its own.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from models.bounds import shorten
from models.prediction import ModelId, Prediction, Scorer, predict_quickly
from models.text import prepare

_LONGEST_KEY = 4_096
"""Longer texts are not kept: they are rare, seldom reposted whole, and would fill the memory."""


@dataclass(frozen=True, slots=True)
class CacheFigures:
    """What a cache has done since it was made."""

    hits: int
    misses: int
    entries: int

    @property
    def hit_share(self) -> float:
        """Share of the texts that were answered from memory, 0 to 1; 0 before the first."""
        asked = self.hits + self.misses
        return self.hits / asked if asked else 0.0


class PredictionCache:
    """Answers by model and text; when it is full, the one that was longest not asked for goes. Thread-safe.

    Args:
        capacity: answers that are kept, at least 1. One takes about a kilobyte.

    Raises:
        ValueError: `capacity` is below 1.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, got {capacity}")
        self._capacity = capacity
        self._answers: OrderedDict[tuple[ModelId, str], Prediction] = OrderedDict()
        self._lock = threading.Lock()
        self._hits = self._misses = 0

    @property
    def figures(self) -> CacheFigures:
        """Hits, misses and entries so far."""
        with self._lock:
            return CacheFigures(self._hits, self._misses, len(self._answers))

    def get(self, model: ModelId, key: str) -> Prediction | None:
        """Return the answer of this model to a prepared text, or None."""
        with self._lock:
            found = self._answers.get((model, key))
            if found is None:
                self._misses += 1
                return None
            self._answers.move_to_end((model, key))
            self._hits += 1
            return found

    def put(self, model: ModelId, key: str, prediction: Prediction) -> None:
        """Remember an answer. One that was made under overload is not: another time it would be better."""
        if prediction.degraded or len(key) > _LONGEST_KEY:
            return
        with self._lock:
            self._answers[(model, key)] = prediction
            self._answers.move_to_end((model, key))
            while len(self._answers) > self._capacity:
                self._answers.popitem(last=False)

    def clear(self) -> None:
        """Forget all answers; the counts stay."""
        with self._lock:
            self._answers.clear()


class CachedScorer:
    """A scorer with a memory. Answers from memory say so (`Prediction.cached`) and are otherwise the same.

    Args:
        scorer: answers what is not known.
        cache: the memory; it may be shared by scorers, as answers are kept by model.
    """

    def __init__(self, scorer: Scorer, cache: PredictionCache) -> None:
        self._scorer = scorer
        self._cache = cache

    @property
    def model(self) -> ModelId:
        """Which model answers."""
        return self._scorer.model

    @property
    def scorer(self) -> Scorer:
        """What answers the texts that are not known."""
        return self._scorer

    @property
    def figures(self) -> CacheFigures:
        """Of the memory."""
        return self._cache.figures

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Return one prediction per text, in order; a text that stands twice in the call is asked once."""
        return self._through(texts, self._scorer.predict)

    def predict_quickly(self, texts: Sequence[str]) -> list[Prediction]:
        """Return what is known, and the scorer's quick answers to the rest."""
        return self._through(texts, lambda unknown: predict_quickly(self._scorer, unknown))

    def _through(self, texts: Sequence[str], ask: Callable[[list[str]], list[Prediction]]) -> list[Prediction]:
        model, cache = self._scorer.model, self._cache
        keys = [prepare(shorten(text)) for text in texts]
        answers: dict[str, Prediction] = {}
        asked: dict[str, str] = {}  # key -> the first text that has it
        for key, text in zip(keys, texts, strict=True):
            if key in answers or key in asked:
                continue
            known = cache.get(model, key)
            if known is None:
                asked[key] = text
            else:
                answers[key] = replace(known, cached=True)
        if asked:
            for key, prediction in zip(asked, ask(list(asked.values())), strict=True):
                cache.put(model, key, prediction)
                answers[key] = prediction
        seen: set[str] = set()
        results = []
        for key in keys:
            answer = answers[key]
            if key in seen and not answer.cached:
                answer = replace(answer, cached=True)
            seen.add(key)
            results.append(answer)
        return results
