from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from retrain.gate.figures import Answers, accuracy_difference, by_slice, macro_f1_difference


def answers(truth: list[int], predicted: list[int]) -> Answers:
    probabilities = np.full((len(truth), 3), 0.1)
    probabilities[np.arange(len(truth)), predicted] = 0.8
    return Answers(probabilities, np.array(truth, dtype=np.int64))


classes = st.integers(0, 2)
rows = st.lists(st.tuples(classes, classes, classes), min_size=1, max_size=80)


@settings(deadline=None, max_examples=40)
@given(rows)
def test_figures_are_those_of_scikit_learn_and_a_model_is_no_better_than_itself(
    found: list[tuple[int, int, int]],
) -> None:
    truth, one, other = (list(column) for column in zip(*found, strict=True))
    compared = macro_f1_difference(answers(truth, one), answers(truth, other))
    present = sorted(set(truth))
    expected = [f1_score(truth, said, labels=present, average="macro", zero_division=0) for said in (one, other)]
    assert (compared.champion, compared.challenger) == pytest.approx(expected)
    assert compared.low <= compared.high
    same = macro_f1_difference(answers(truth, one), answers(truth, one))
    assert (same.gain, same.low, same.high) == (0.0, 0.0, 0.0)


@settings(deadline=None, max_examples=30)
@given(rows)
def test_swapping_the_models_turns_the_difference_round(found: list[tuple[int, int, int]]) -> None:
    truth, one, other = (list(column) for column in zip(*found, strict=True))
    there, back = (
        accuracy_difference(*pair)
        for pair in ((answers(truth, one), answers(truth, other)), (answers(truth, other), answers(truth, one)))
    )
    assert (back.gain, back.low, back.high) == pytest.approx((-there.gain, -there.high, -there.low))


def test_a_clear_difference_is_told_from_chance_and_a_small_one_is_not() -> None:
    dice = np.random.default_rng(1)
    truth = dice.integers(0, 3, 1_000)
    champion = np.where(dice.random(1_000) < 0.80, truth, (truth + 1) % 3)
    clear = np.where(dice.random(1_000) < 0.3, truth, champion)  # mends three in ten of its errors
    found = accuracy_difference(answers(truth.tolist(), champion.tolist()), answers(truth.tolist(), clear.tolist()))
    assert found.low > 0.03
    flipped = champion.copy()
    flipped[:4] = (flipped[:4] + 1) % 3
    unclear = accuracy_difference(answers(truth.tolist(), champion.tolist()), answers(truth.tolist(), flipped.tolist()))
    assert unclear.low < 0.0 or unclear.high > 0.0


def test_the_interval_covers_the_true_difference_about_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(100):
        dice = np.random.default_rng(seed)
        truth = dice.integers(0, 3, 400)
        one = np.where(dice.random(400) < 0.8, truth, (truth + 1) % 3)
        other = np.where(dice.random(400) < 0.85, truth, (truth + 1) % 3)
        found = accuracy_difference(answers(truth.tolist(), one.tolist()), answers(truth.tolist(), other.tolist()))
        covered += found.low <= 0.05 <= found.high
    assert 88 <= covered <= 100


def test_each_slice_is_compared_on_its_own_rows() -> None:
    truth = [0, 0, 0, 0]
    slices = [{"source": "wire"}, {"source": "wire", "lang": "de"}, {"source": "chirp"}, {}]
    found = by_slice(answers(truth, [0, 1, 0, 0]), answers(truth, [0, 0, 1, 0]), slices)
    assert {key: (one.rows, one.champion, one.challenger) for key, one in found.items()} == {
        ("lang", "de"): (1, 0.0, 1.0),
        ("source", "chirp"): (1, 1.0, 0.0),
        ("source", "wire"): (2, 0.5, 1.0),
    }


def test_models_are_not_compared_on_different_rows_or_none() -> None:
    with pytest.raises(ValueError, match="the same rows"):
        accuracy_difference(answers([0], [0]), answers([1], [0]))
    empty = Answers(np.zeros((0, 3)), np.zeros(0, dtype=np.int64))
    with pytest.raises(ValueError, match="one at least"):
        macro_f1_difference(empty, empty)
