"""Single texts to batches: real threads, and an outcome for each text whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from models.batcher import Batcher, BatcherClosedError
from models.prediction import Prediction
from models.testing import FakeClassifier


class Held(FakeClassifier):
    """The double, which begins no batch before it may, and notes what each batch held."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[str]] = []
        self.begun = threading.Semaphore(0)
        self.may_go_on = threading.Semaphore(0)

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        self.batches.append(list(texts))
        self.begun.release()
        assert self.may_go_on.acquire(timeout=30)
        if any("unscorable" in text for text in texts):
            raise ValueError("this text cannot be scored")
        return super().predict(texts)


@pytest.fixture
def held() -> Held:
    return Held()


def free(held: Held) -> None:
    for _ in range(1_000):
        held.may_go_on.release()


def test_many_threads_get_the_answers_to_their_own_texts() -> None:
    alone = FakeClassifier()
    texts = [f"Vantor falls {number}" if number % 3 else f"Ostrel gains {number}" for number in range(600)]
    with Batcher(FakeClassifier(), max_delay_ms=1) as batcher, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda text: batcher.submit(text).result(30), texts))
    assert answers == alone.predict(texts)


def test_what_comes_while_a_batch_is_under_way_goes_together_and_watched_first(held: Held) -> None:
    with Batcher(held, max_delay_ms=0) as batcher:
        first = batcher.submit("first")
        assert held.begun.acquire(timeout=30)
        rest = [batcher.submit("other"), batcher.submit("watched", watched=True)]
        free(held)
        for answer in (first, *rest):
            answer.result(30)
    assert held.batches == [["first"], ["watched", "other"]]


def test_a_text_that_cannot_be_scored_fails_alone(held: Held) -> None:
    with Batcher(held, max_delay_ms=0) as batcher:
        first = batcher.submit("first")
        assert held.begun.acquire(timeout=30)
        answers = [batcher.submit(text) for text in ("good", "unscorable", "fine")]
        free(held)
        first.result(30)
        assert answers[0].result(30).negative >= 0
        with pytest.raises(ValueError, match="cannot be scored"):
            answers[1].result(30)
        assert answers[2].result(30).negative >= 0


def test_submit_blocks_while_too_many_wait_and_goes_on_when_there_is_room(held: Held) -> None:
    with Batcher(held, max_delay_ms=0, max_waiting=2) as batcher:
        batcher.submit("under way")
        assert held.begun.acquire(timeout=30)
        batcher.submit("one")
        batcher.submit("two")
        with pytest.raises(TimeoutError, match="2 texts wait already"):
            batcher.submit("three", timeout_s=0.01)
        free(held)
        assert batcher.submit("four", timeout_s=30).result(30).negative >= 0


def test_closing_tells_those_that_wait_and_takes_nothing_more(held: Held) -> None:
    batcher = Batcher(held, max_delay_ms=0)
    under_way = batcher.submit("under way")
    assert held.begun.acquire(timeout=30)
    waiting = batcher.submit("waits")
    cancelled = batcher.submit("is cancelled")
    assert cancelled.cancel()
    closing = threading.Thread(target=batcher.close)
    closing.start()
    free(held)
    closing.join(30)
    assert under_way.result(30).negative >= 0
    # It was either refused or, if the thread was quicker, answered; never left without an outcome.
    assert waiting.done()
    with pytest.raises(BatcherClosedError, match="nothing more is scored"):
        batcher.submit("late")
