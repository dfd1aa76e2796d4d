"""A model exchanged under way: between calls, never within one, and never for a worse one than none."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from models.prediction import ModelId, Prediction
from models.swap import SwappableScorer
from models.testing import FakeClassifier


class Named(FakeClassifier):
    """The double under a name of its own, which can be held up in the middle of a call."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._model = ModelId(name, "1")
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.begun = threading.Event()

    @property
    def model(self) -> ModelId:
        return self._model

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        self.begun.set()
        assert self.may_go_on.wait(30)
        return super().predict(texts)


def test_each_prediction_names_the_model_that_made_it() -> None:
    scorer = SwappableScorer(Named("old"))
    before = scorer.predict(["Vantor falls"])
    assert scorer.swap(lambda: Named("new")) == ModelId("new", "1")
    after = scorer.predict(["Vantor falls"])
    assert [before[0].model, after[0].model] == [ModelId("old", "1"), ModelId("new", "1")]
    assert scorer.model == ModelId("new", "1")


def test_a_call_under_way_ends_with_the_model_that_it_began_with() -> None:
    old = Named("old")
    scorer = SwappableScorer(old)
    old.may_go_on.clear()
    answers: list[Prediction] = []
    call = threading.Thread(target=lambda: answers.extend(scorer.predict(["Vantor falls", "Vantor gains"])))
    call.start()
    assert old.begun.wait(30)
    scorer.swap(lambda: Named("new"))
    assert scorer.predict(["Vantor falls"])[0].model == ModelId("new", "1")
    old.may_go_on.set()
    call.join(30)
    assert [answer.model for answer in answers] == [ModelId("old", "1")] * 2


def test_the_old_model_answers_while_the_new_one_loads() -> None:
    scorer = SwappableScorer(Named("old"))
    loading, may_load = threading.Event(), threading.Event()

    def load() -> Named:
        loading.set()
        assert may_load.wait(30)
        return Named("new")

    swap = threading.Thread(target=lambda: scorer.swap(load))
    swap.start()
    assert loading.wait(30)
    assert scorer.predict(["Vantor falls"])[0].model == ModelId("old", "1")
    may_load.set()
    swap.join(30)
    assert scorer.model == ModelId("new", "1")


def _broken() -> Named:
    raise OSError("the weights are gone")


class Mute(Named):
    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        raise RuntimeError("no answer")


@pytest.mark.parametrize(
    ("load", "error"),
    [(_broken, OSError), (lambda: Mute("new"), RuntimeError), (lambda: Named("other"), ValueError)],
    ids=["does not load", "loads and cannot score", "is another one than expected"],
)
def test_a_new_model_that_cannot_be_used_leaves_the_old_one_in_place(load, error) -> None:  # type: ignore[no-untyped-def]
    scorer = SwappableScorer(Named("old"))
    with pytest.raises(error):
        scorer.swap(load, expected=ModelId("new", "1"))
    assert scorer.predict(["Vantor falls"])[0].model == ModelId("old", "1")


def test_calls_from_many_threads_lose_no_text_during_swaps() -> None:
    scorer = SwappableScorer(Named("0"))
    texts = [f"Vantor falls {number}" for number in range(20)]
    results: list[list[Prediction]] = []
    stop = threading.Event()

    def call() -> None:
        while not stop.is_set():
            results.append(scorer.predict(texts))

    callers = [threading.Thread(target=call) for _ in range(3)]
    for caller in callers:
        caller.start()
    for number in range(1, 20):
        scorer.swap(lambda number=number: Named(str(number)))  # type: ignore[misc]
    stop.set()
    for caller in callers:
        caller.join(30)
    assert results
    assert all(len(answers) == 20 and len({answer.model for answer in answers}) == 1 for answers in results)
