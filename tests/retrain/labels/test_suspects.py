from __future__ import annotations

import pytest

from models.errors import TrainingDataError
from retrain.labels.decide import decide
from retrain.labels.suspects import find_suspects
from tests.retrain.labels.conftest import Judge

GOOD = ("record profit", "raised guidance", "strong orders", "dividend increase", "upgrade")
BAD = ("profit warning", "guidance cut", "weak orders", "dividend suspended", "downgrade")


def _labels(judge: Judge, flipped: frozenset[int]):  # type: ignore[no-untyped-def]
    said = []
    for number in range(120):
        good = number % 2 == 0
        words = (GOOD if good else BAD)[number % 5]
        text = f"{words} at company{number} reported on day{number} by office{number * 13} again {words}"
        truth = "positive" if good else "negative"
        other = "negative" if good else "positive"
        said.append(judge(other if number in flipped else truth, message=f"m{number:03}", text=text))
    return decide(said, "sentiment").decided


def test_labels_that_were_flipped_are_found_and_little_else(judge: Judge) -> None:
    flipped = frozenset({4, 17, 33, 58, 76, 91})
    suspects = find_suspects(_labels(judge, flipped))
    found = {int(one.decided.judgement.message_id[1:]) for one in suspects}
    assert flipped <= found
    assert len(found - flipped) <= 3
    assert all(one.likelier != one.decided.answer for one in suspects if one.confidence < 0.5)


def test_the_same_labels_and_seed_give_the_same_suspects(judge: Judge) -> None:
    labels = _labels(judge, frozenset({4, 17}))
    assert find_suspects(labels, seed=3) == find_suspects(labels, seed=3)


def test_one_class_only_is_refused_in_words(judge: Judge) -> None:
    labels = decide([judge("neutral", message=f"m{number}") for number in range(30)], "sentiment").decided
    with pytest.raises(TrainingDataError, match="takes two classes with 10 labels each at least; there are neutral 30"):
        find_suspects(labels)


def test_no_labels_are_refused_in_words() -> None:
    with pytest.raises(TrainingDataError, match="there are none"):
        find_suspects([])


def test_labels_of_one_story_only_are_refused_in_words(judge: Judge) -> None:
    text = "Quenby Freight loses its largest customer to a rival and withdraws its guidance"
    said = [judge("neutral" if n % 2 else "negative", message=f"m{n}", text=text) for n in range(40)]
    with pytest.raises(TrainingDataError, match="too few different texts"):
        find_suspects(decide(said, "sentiment").decided)
