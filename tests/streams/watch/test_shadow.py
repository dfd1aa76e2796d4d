"""The challenger in its own thread: compared, dropped when busy, stopped when it fails, and never in anybody's way."""

from __future__ import annotations

import logging
import math
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.prediction import ModelId, Prediction, Scorer
from models.testing import FakeClassifier
from streams.watch.shadow import Divergence, Shadow, is_chosen, jensen_shannon_bits
from tests.streams.app.harness import until
from tests.streams.watch.answers import MODEL, OTHER, answer


@st.composite
def distributions(draw: st.DrawFn) -> tuple[float, ...]:
    parts = draw(st.lists(st.integers(0, 1_000), min_size=3, max_size=3).filter(any))
    return tuple(part / sum(parts) for part in parts)


@given(distributions(), distributions())
def test_the_divergence_is_bounded_symmetric_and_zero_for_equals(
    one: tuple[float, ...], other: tuple[float, ...]
) -> None:
    found = jensen_shannon_bits(one, other)
    assert 0 <= found <= 1
    assert found == pytest.approx(jensen_shannon_bits(other, one), abs=1e-12)
    assert jensen_shannon_bits(one, one) == pytest.approx(0, abs=1e-12)


def test_opposites_are_one_bit_apart() -> None:
    assert jensen_shannon_bits((1, 0, 0), (0, 0, 1)) == 1


@given(st.lists(st.tuples(distributions(), distributions()), min_size=3, max_size=30))
def test_the_mean_is_over_the_latest_pairs(pairs: list[tuple[tuple[float, ...], tuple[float, ...]]]) -> None:
    divergence = Divergence(size=10, least=3)
    for live, other in pairs:
        divergence.add(answer(*live), answer(*other))
    latest = [jensen_shannon_bits(live, other) for live, other in pairs[-10:]]
    assert divergence.mean_bits == pytest.approx(math.fsum(latest) / len(latest))


def test_few_pairs_have_no_mean() -> None:
    divergence = Divergence(least=3)
    divergence.add(answer(), answer())
    divergence.add(answer(), answer())
    assert divergence.mean_bits is None


@given(st.text(), st.floats(0, 1), st.floats(0, 1))
def test_a_greater_share_takes_the_messages_of_a_smaller_one_too(name: str, one: float, other: float) -> None:
    assert is_chosen(name, max(one, other)) >= is_chosen(name, min(one, other))
    assert is_chosen(name, 1.0)
    assert not is_chosen(name, 0.0)


def test_a_share_is_about_that_share_of_the_messages() -> None:
    chosen = sum(is_chosen(f"wire:{number}", 0.1) for number in range(20_000))
    assert chosen == pytest.approx(2_000, rel=0.1)


class Told:
    """Takes what a shadow tells."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.divergence: float | None = None
        self.models: list[tuple[ModelId, bool]] = []

    def shadow(self, load: Callable[[], Scorer], share: float = 1.0) -> Shadow:
        return Shadow(
            load,
            share,
            on_outcome=self._count,
            on_divergence=self._diverge,
            on_model=lambda model, scores: self.models.append((model, scores)),
        )

    def _count(self, outcome: str, texts: int) -> None:
        self.outcomes[outcome] += texts

    def _diverge(self, bits: float | None) -> None:
        self.divergence = bits


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def started() -> Iterator[Callable[[Shadow], Shadow]]:
    """Start a shadow that is stopped at the end."""
    begun: list[Shadow] = []

    def start(shadow: Shadow) -> Shadow:
        begun.append(shadow)
        shadow.champion(MODEL)
        shadow.start()
        return shadow

    yield start
    for shadow in begun:
        shadow.stop()


class Gate(FakeClassifier):
    """A challenger that answers when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.open = threading.Event()

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        self.entered.set()
        assert self.open.wait(60)
        return super().predict(texts)


def offer(shadow: Shadow, count: int, text: str = "a loss", live: Prediction | None = None, begin: int = 0) -> None:
    shadow.offer(
        [f"wire:{begin + number}" for number in range(count)], [text] * count, [live or answer(0.9, 0.1, 0.0)] * count
    )


def test_answers_are_compared_and_the_divergence_is_told(told: Told, started: Callable[[Shadow], Shadow]) -> None:
    shadow = started(told.shadow(FakeClassifier))
    offer(shadow, 70, "a loss")
    offer(shadow, 50, "a profit")
    until(lambda: told.outcomes.total() == 120, "not all texts were compared")
    assert told.outcomes == {"agreed": 70, "differed": 50}
    assert told.models == [(FakeClassifier().model, True)]
    until(lambda: told.divergence is not None, "no divergence was told")
    assert 0.2 < (told.divergence or 0) < 0.6


def test_a_busy_challenger_makes_nobody_wait_and_what_it_misses_is_counted(
    told: Told, started: Callable[[Shadow], Shadow]
) -> None:
    challenger = Gate()
    shadow = started(told.shadow(lambda: challenger))
    offer(shadow, 1)
    assert challenger.entered.wait(60)
    for number in range(5):
        offer(shadow, 500, begin=500 * number)  # returns though the challenger does not
    assert told.outcomes == {"skipped": 2_500 - 1_024}
    challenger.open.set()
    until(lambda: told.outcomes["agreed"] == 1_025, "what waited was not scored")


def test_messages_outside_of_the_share_are_not_scored(told: Told, started: Callable[[Shadow], Shadow]) -> None:
    shadow = started(told.shadow(FakeClassifier, share=0.25))
    offer(shadow, 400)
    expected = sum(is_chosen(f"wire:{number}", 0.25) for number in range(400))
    until(lambda: told.outcomes["agreed"] == expected, "the share was not scored")
    shadow.stop()
    assert told.outcomes.total() == expected


class Broken(FakeClassifier):
    """A challenger that fails."""

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        raise RuntimeError("no memory left")


def test_a_challenger_that_keeps_failing_is_given_up_loudly(
    told: Told, started: Callable[[Shadow], Shadow], caplog: pytest.LogCaptureFixture
) -> None:
    shadow = started(told.shadow(Broken))
    with caplog.at_level(logging.WARNING):
        for number in range(5):
            offer(shadow, 3, begin=3 * number)
            until(lambda: told.outcomes["failed"] == 3 * (number + 1), "a failure was not counted")  # noqa: B023
        until(lambda: shadow.is_over, "it goes on")
    assert "has failed 5 times in a row" in caplog.text
    assert told.models[-1][1] is False
    offer(shadow, 10)
    assert told.outcomes == {"failed": 15}


def test_one_failure_is_no_end(told: Told, started: Callable[[Shadow], Shadow]) -> None:
    class Stumbling(FakeClassifier):
        def predict(self, texts: Sequence[str]) -> list[Prediction]:
            if "stumble" in texts[0]:
                raise RuntimeError("once")
            return super().predict(texts)

    shadow = started(told.shadow(Stumbling))
    for number in range(8):
        offer(shadow, 1, "stumble", begin=2 * number)
        until(lambda: told.outcomes["failed"] == number + 1, "the failure was not counted")  # noqa: B023
        offer(shadow, 1, begin=2 * number + 1)
        until(lambda: told.outcomes["agreed"] == number + 1, "it did not go on")  # noqa: B023
    assert not shadow.is_over


def test_a_challenger_that_cannot_be_loaded_is_told_and_nothing_more(
    told: Told, started: Callable[[Shadow], Shadow], caplog: pytest.LogCaptureFixture
) -> None:
    def load() -> Scorer:
        raise ValueError("damaged weights")

    shadow = started(told.shadow(load))
    until(lambda: shadow.is_over, "it goes on")
    offer(shadow, 10)
    assert not told.outcomes
    assert "the challenger cannot be used" in caplog.text
    assert "damaged weights" in caplog.text


def test_after_a_swap_the_comparison_begins_anew(told: Told, started: Callable[[Shadow], Shadow]) -> None:
    shadow = started(told.shadow(FakeClassifier))
    offer(shadow, 120)
    until(lambda: told.divergence is not None, "no divergence was told")
    shadow.champion(OTHER)
    assert told.divergence is None


def test_a_challenger_that_was_promoted_challenges_nobody(told: Told, started: Callable[[Shadow], Shadow]) -> None:
    shadow = started(told.shadow(FakeClassifier))
    offer(shadow, 1)
    until(lambda: told.outcomes["agreed"] == 1, "it did not begin")
    shadow.champion(FakeClassifier().model)
    offer(shadow, 50)
    shadow.stop()
    assert told.outcomes.total() == 1


def test_stopping_drops_what_waits(told: Told, started: Callable[[Shadow], Shadow]) -> None:
    challenger = Gate()
    shadow = started(told.shadow(lambda: challenger))
    offer(shadow, 1)
    assert challenger.entered.wait(60)
    offer(shadow, 200)
    challenger.open.set()
    shadow.stop()
    assert told.outcomes["agreed"] <= 33
