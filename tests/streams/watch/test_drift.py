"""The window held against the reference."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.prediction import Prediction
from streams.watch.drift import DriftWatch
from streams.watch.psi import MARKED, SLIGHT
from streams.watch.signals import SIGNALS
from tests.streams.watch.answers import answer, usual, usual_reference

REFERENCE = usual_reference()


def watch(window_texts: int = 1_000, min_texts: int = 100) -> DriftWatch:
    return DriftWatch(REFERENCE, window_texts=window_texts, min_texts=min_texts)


def feed(drift: DriftWatch, *texts: tuple[str, Prediction]) -> DriftWatch:
    drift.add([text for text, _ in texts], [found for _, found in texts])
    return drift


def test_the_texts_of_the_reference_show_no_drift_at_all() -> None:
    found = feed(watch(), *map(usual, range(1_000))).indices()
    assert found == {name: pytest.approx(0.0, abs=1e-12) for name in SIGNALS}


def test_a_few_texts_say_nothing() -> None:
    drift = feed(watch(), *map(usual, range(99)))
    assert (drift.texts, drift.indices()) == (99, {})
    assert set(feed(drift, usual(99)).indices()) == set(SIGNALS)


def raised(name: str, number: int) -> tuple[str, Prediction]:
    """A usual text of which one thing is unusual."""
    text, found = usual(number)
    if name == "sentiment":
        return text, answer(0.95, 0.03, 0.02, topic=found.topic)
    if name == "topic":
        return text, answer(found.negative, found.neutral, found.positive, topic="politics")
    if name == "length":
        return f"{text} {text} {text}", found
    return " ".join(f"x{word}" for word in text.split()), found


@pytest.mark.parametrize("name", SIGNALS)
def test_what_is_unusual_lifts_its_own_signal_and_no_other(name: str) -> None:
    found = feed(watch(), *(raised(name, number) for number in range(1_000))).indices()
    assert found.pop(name) > MARKED
    assert all(index < SLIGHT for index in found.values())


def test_when_the_texts_are_usual_again_the_drift_is_forgotten() -> None:
    drift = feed(watch(), *(raised("topic", number) for number in range(1_000)))
    assert drift.indices()["topic"] > MARKED
    feed(drift, *map(usual, range(1_000)))
    assert drift.indices()["topic"] == pytest.approx(0.0, abs=1e-12)
    assert drift.texts == 1_000


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.integers(1, 200), min_size=1, max_size=8))
def test_neither_the_order_nor_the_batches_inside_the_window_change_anything(seed: int, sizes: list[int]) -> None:
    texts = [raised("sentiment", number) if number % 3 else usual(number) for number in range(400)]
    together = feed(watch(), *texts).indices()
    random.Random(seed).shuffle(texts)
    drift, at = watch(), 0
    for size in sizes:
        feed(drift, *texts[at : at + size])
        at += size
    feed(drift, *texts[at:])
    assert drift.indices() == pytest.approx(together)
