"""Prototypes, curves, and what leaving one out says of them; on vectors made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.own_topics.estimate import Estimate, leave_one_out, wilson
from models.own_topics.prototypes import Space, Vectors, fit_topic, prototype, without

HIDDEN = 24


def noise(seed: int, rows: int, towards: float = 0.0) -> Vectors:
    """Vectors of length 1 in every direction, drawn towards the first axis."""
    vectors = np.random.default_rng(seed).normal(size=(rows, HIDDEN))
    vectors[:, 0] += towards * np.sqrt(HIDDEN)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


NONE = np.empty((0, HIDDEN))


@given(seed=st.integers(0, 50), at=st.integers(0, 5), kind=st.sampled_from(["examples", "counter", "others"]))
def test_a_sentence_is_judged_by_a_topic_that_never_saw_it(seed: int, at: int, kind: str) -> None:
    sets = {"examples": noise(seed, 6, 0.6), "counter": noise(seed + 1, 6), "others": noise(seed + 2, 12)}
    before = leave_one_out(*sets.values(), 0.5)
    topic = fit_topic(*(without(rows, at) if name == kind else rows for name, rows in sets.items()))
    # Whatever stands in the sentence's place, the topic that judges it is the same one.
    for replacement in (sets[kind][at], noise(seed + 3, 1)[0], -sets[kind][at]):
        changed = {name: rows.copy() for name, rows in sets.items()}
        changed[kind][at] = replacement
        judged = leave_one_out(*changed.values(), 0.5)
        shown = {"examples": judged.examples, "counter": judged.counter_examples, "others": judged.others}[kind]
        assert shown[at] == pytest.approx(float(topic(replacement[np.newaxis])[0]), abs=1e-9)
    assert len(before.examples) == 6


def test_a_topic_that_is_one_is_called_usable() -> None:
    estimate = leave_one_out(noise(1, 10, 1.5), NONE, noise(2, 80), 0.5)
    assert estimate.recall >= 0.9
    assert estimate.precision is not None
    assert estimate.precision >= 0.9
    assert estimate.usable
    assert estimate.warning is None


@pytest.mark.parametrize("seed", range(5))
def test_sentences_that_have_nothing_in_common_are_called_hopeless(seed: int) -> None:
    examples, others = noise(seed, 8), noise(seed + 100, 80)
    in_sample = prototype(examples, NONE) @ examples.T
    assert in_sample.mean() > 0.25, "each is like a prototype that it is part of"
    assert not leave_one_out(examples, NONE, others, 0.5).usable


def test_one_example_unlike_the_others_is_missed_although_it_is_part_of_the_prototype() -> None:
    examples = np.concatenate([noise(1, 7, 2.0), -noise(2, 1, 2.0)])
    estimate = leave_one_out(examples, NONE, noise(3, 60), 0.5)
    assert estimate.examples[-1] < 0.05
    assert min(estimate.examples[:-1]) > 0.5


def test_counter_examples_push_away_what_is_like_them() -> None:
    examples, others = noise(1, 8, 1.0), noise(2, 60)
    second_axis = np.eye(HIDDEN)[[1]]
    near = second_axis + 0.8 * np.eye(HIDDEN)[[0]]
    near /= np.linalg.norm(near)
    alone = fit_topic(examples, NONE, others)
    pushed = fit_topic(examples, np.repeat(second_axis, 3, axis=0) + 0.05 * noise(4, 3), others)
    assert float(pushed(near)[0]) < float(alone(near)[0]) - 0.1


@given(seed=st.integers(0, 30), rows=st.integers(1, 9))
def test_a_rows_answer_does_not_depend_on_its_company(seed: int, rows: int) -> None:
    pooled = np.random.default_rng(seed).normal(size=(rows, HIDDEN)).astype(np.float32)
    space = Space.of(np.random.default_rng(1).normal(size=(40, HIDDEN)).astype(np.float32))
    together = space(pooled)
    for at in range(rows):
        assert (space(pooled[at : at + 1])[0] == together[at]).all()
    assert np.linalg.norm(together, axis=1) == pytest.approx(np.ones(rows))


@given(positive=st.lists(st.floats(-1, 1), min_size=2, max_size=6), negative=st.lists(st.floats(-1, 1), min_size=1))
def test_a_curve_is_finite_whatever_the_likenesses(positive: list[float], negative: list[float]) -> None:
    def vectors(cosines: list[float]) -> Vectors:
        rows = np.zeros((len(cosines), 3))
        rows[:, 0] = cosines
        rows[:, 1] = np.sqrt(1 - np.square(cosines))
        return rows

    topic = fit_topic(vectors(positive), np.empty((0, 3)), vectors(negative))
    assert np.isfinite([topic.slope, topic.offset]).all()
    assert ((topic(vectors(positive)) > 0) & (topic(vectors(positive)) < 1)).all()


def test_a_background_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least two"):
        Space.of(np.zeros((1, 4), dtype=np.float32))
    with pytest.raises(ValueError, match="all the same"):
        Space.of(np.ones((9, 4), dtype=np.float32))
    with pytest.raises(ValueError, match="two examples"):
        fit_topic(noise(1, 1), NONE, noise(2, 5))
    with pytest.raises(ValueError, match="at least three"):
        leave_one_out(noise(1, 2), NONE, noise(2, 5), 0.5)


def test_counts_shares_and_verdict_follow_from_the_probabilities() -> None:
    estimate = Estimate((0.9, 0.8, 0.4, 0.3), (0.6,), (0.1, 0.35, 0.0), 0.5)
    assert (estimate.found, estimate.false, estimate.negatives) == (2, 1, 4)
    assert (estimate.recall, estimate.precision) == (0.5, 2 / 3)
    assert estimate.usable
    assert estimate.better_threshold == 0.3
    assert "only 4 examples" in str(estimate.warning)
    nothing = Estimate((0.1, 0.2, 0.3), (), (0.1,), 0.5)
    assert nothing.precision is None
    assert not nothing.usable


def test_wilson_intervals_are_those_of_the_books() -> None:
    assert wilson(3, 3) == pytest.approx((0.4385, 1.0), abs=1e-4)
    assert wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    with pytest.raises(ValueError, match="no cases"):
        wilson(0, 0)
