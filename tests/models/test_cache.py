"""Recent answers: the same as without the memory, bounded, and by model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.cache import CachedScorer, PredictionCache
from models.prediction import ModelId, Prediction
from models.testing import FakeClassifier


class Counting:
    """The double, and what it was asked."""

    def __init__(self, name: str = "double") -> None:
        self._double = FakeClassifier()
        self.model = ModelId(name, "1")
        self.asked: list[str] = []

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        self.asked += texts
        return self._double.predict(texts)


def plain(predictions: Sequence[Prediction]) -> list[Prediction]:
    return [replace(prediction, cached=False) for prediction in predictions]


WORDS = st.sampled_from(["Vantor", "falls", "http://a.example/1", "http://a.example/2", " ", "  ", "&amp;", "\ud800"])


@given(st.lists(st.lists(WORDS, max_size=4).map("".join), max_size=12), st.integers(1, 4))
def test_answers_are_those_of_the_scorer_whatever_the_size_of_the_memory(texts: list[str], capacity: int) -> None:
    scorer = CachedScorer(Counting(), PredictionCache(capacity))
    alone = FakeClassifier()
    for start in range(0, len(texts), 3):
        asked = texts[start : start + 3]
        assert plain(scorer.predict(asked)) == plain(alone.predict(asked))
    assert scorer.figures.entries <= capacity


def test_a_repost_with_another_link_is_not_computed_again_and_says_so() -> None:
    double = Counting()
    scorer = CachedScorer(double, PredictionCache(10))
    first = scorer.predict(["Vantor plunges http://a.example/1"])
    second = scorer.predict(["Vantor  plunges http://b.example/other", "Vantor plunges http://c.example"])
    assert len(double.asked) == 1
    assert not first[0].cached
    assert [prediction.cached for prediction in second] == [True, True]
    assert plain(second) == first * 2
    assert scorer.figures.hit_share == 0.5


def test_of_equal_texts_in_one_call_the_first_is_computed() -> None:
    double = Counting()
    predictions = CachedScorer(double, PredictionCache(10)).predict(["Vantor falls", "Vantor falls", "Vantor gains"])
    assert double.asked == ["Vantor falls", "Vantor gains"]
    assert [prediction.cached for prediction in predictions] == [False, True, False]


def test_what_was_not_asked_for_the_longest_goes_first() -> None:
    double = Counting()
    scorer = CachedScorer(double, PredictionCache(2))
    for text in ("one", "two", "one", "three", "one", "two"):
        scorer.predict([text])
    assert double.asked == ["one", "two", "three", "two"]


def test_another_model_does_not_answer_from_the_memory_of_the_first() -> None:
    cache = PredictionCache(10)
    old, new = Counting("old"), Counting("new")
    CachedScorer(old, cache).predict(["Vantor falls"])
    CachedScorer(new, cache).predict(["Vantor falls"])
    assert (old.asked, new.asked) == (["Vantor falls"], ["Vantor falls"])


def test_an_answer_that_was_made_under_overload_is_not_kept() -> None:
    cache = PredictionCache(10)
    double = Counting()
    answer = double.predict(["Vantor falls"])[0]
    cache.put(double.model, "Vantor falls", replace(answer, degraded=True))
    assert cache.get(double.model, "Vantor falls") is None
    cache.put(double.model, "Vantor falls", answer)
    assert cache.get(double.model, "Vantor falls") == answer


def test_a_very_long_text_is_answered_and_not_kept() -> None:
    double = Counting()
    scorer = CachedScorer(double, PredictionCache(10))
    scorer.predict(["falls " * 2_000])
    scorer.predict(["falls " * 2_000])
    assert len(double.asked) == 2
    assert scorer.figures.entries == 0


def test_a_text_that_cannot_be_unescaped_fails_no_batch() -> None:
    digits = "&#" + "1" * 5_000 + ";"
    with_it, without = CachedScorer(Counting(), PredictionCache(10)).predict([digits + " falls", "Vantor falls"])
    assert without == FakeClassifier().predict(["Vantor falls"])[0]
    assert 0 <= with_it.negative <= 1


def test_a_memory_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1, got 0"):
        PredictionCache(0)
