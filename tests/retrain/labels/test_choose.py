from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrain.labels.choose import Candidate, choose, uncertainty

SUBJECTS = ("Ostermere Bank", "Quenby Freight", "Brindlemoor Foods", "Tarnwick Energy", "Halden Optics")
EVENTS = (
    "cuts its dividend",
    "wins a large order",
    "recalls a product",
    "names a new director",
    "warns of thin margins",
)


def candidate(number: int, probabilities: tuple[float, ...], text: str | None = None) -> Candidate:
    return Candidate(
        message_id=f"wire:{number:04}",
        text=text or f"{SUBJECTS[number % 5]} {EVENTS[number // 5 % 5]} in week {number} says report {number * 7919}",
        probabilities=probabilities,
        model="tiny@1",
    )


def many(count: int) -> list[Candidate]:
    rolls = np.random.default_rng(7)
    return [candidate(number, tuple(rolls.dirichlet((1, 1, 1)).round(4).tolist())) for number in range(count)]


def test_a_tie_is_all_uncertainty_and_a_sure_answer_none() -> None:
    found = uncertainty(np.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.6, 0.3, 0.1]]))
    assert found == pytest.approx([1.0, 0.0, 0.7])


def test_what_the_model_is_unsure_of_comes_first() -> None:
    sure, unsure = candidate(1, (0.98, 0.01, 0.01)), candidate(2, (0.34, 0.33, 0.33))
    assert choose([sure, unsure], 1) == [unsure]


def test_of_one_story_only_the_copy_that_the_model_is_least_sure_of_is_asked_for() -> None:
    story = "Quenby Freight loses its largest customer to a rival and withdraws its guidance for the year"
    copies = [
        candidate(1, (0.6, 0.3, 0.1), f"{story} https://news.example/1"),
        candidate(2, (0.4, 0.35, 0.25), f"@desk {story}"),
        candidate(3, (0.9, 0.05, 0.05)),
    ]
    assert [one.message_id for one in choose(copies, 3)] == ["wire:0002", "wire:0003"]


def test_different_things_are_asked_for_rather_than_one_hard_thing_many_times() -> None:
    worlds = {
        "dividend": "payout yield shareholders cash quarter board declares cut policy cover",
        "recall": "product batch glass customers shelves safety refund plant label stores",
        "lawsuit": "court judge claim filing damages lawyers appeal ruling hearing settlement",
        "merger": "bid offer premium regulator antitrust shares swap synergies suitor board",
    }
    rolls, found = random.Random(3), []
    for number in range(80):
        word = list(worlds)[number % 4]
        hardest = (0.34, 0.33, 0.33) if word == "dividend" else (0.36, 0.33, 0.31)
        found.append(candidate(number, hardest, " ".join([word, *rolls.sample(worlds[word].split(), 7)])))
    assert sorted(one.text.split()[0] for one in choose(found, 4)) == sorted(worlds)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 40), st.integers(0, 60), st.randoms(use_true_random=False))
def test_the_order_of_candidates_changes_nothing_and_no_more_are_asked_for_than_wanted(
    count: int, there: int, rolls: random.Random
) -> None:
    candidates = many(there)
    shuffled = candidates.copy()
    rolls.shuffle(shuffled)
    chosen = choose(candidates, count)
    assert choose(shuffled, count) == chosen
    assert len(chosen) <= min(count, there)
    assert len({one.message_id for one in chosen}) == len(chosen)


def test_likeness_can_be_measured_by_vectors_of_the_model() -> None:
    candidates = many(40)
    vectors = np.eye(4)[np.arange(40) % 4] + 0.001
    chosen = choose(candidates, 4, vectors=vectors)
    assert {int(one.message_id[-4:]) % 4 for one in chosen} == {0, 1, 2, 3}


def test_none_cannot_be_asked_for() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        choose(many(3), 0)
