from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.labels import SENTIMENTS, TOPIC_IDS, TOPICS
from models.prediction import build_predictions, round_probabilities, softmax

logit_rows = st.lists(
    st.lists(st.floats(-60, 60), min_size=5, max_size=5), min_size=1, max_size=20
)  # fmt: skip


@given(logit_rows)
def test_rounded_probabilities_have_four_decimals_and_sum_to_one(rows: list[list[float]]) -> None:
    rounded = round_probabilities(softmax(np.asarray(rows)))
    units = rounded * 10_000
    assert np.allclose(units, np.rint(units), atol=1e-9)
    assert (np.rint(units).sum(axis=1) == 10_000).all()
    assert (rounded >= 0).all()


@given(logit_rows)
def test_rounding_keeps_the_order_and_moves_nothing_by_a_whole_unit(rows: list[list[float]]) -> None:
    exact = softmax(np.asarray(rows))
    rounded = round_probabilities(exact)
    assert (np.abs(rounded - exact) < 1.0001e-4).all()
    for before, after in zip(exact, rounded, strict=True):
        above = before[:, np.newaxis] > before[np.newaxis, :]
        assert (after[:, np.newaxis] >= after[np.newaxis, :])[above].all()


def test_equal_remainders_go_to_the_earlier_class() -> None:
    assert round_probabilities(np.full((1, 3), 1 / 3)).tolist() == [[0.3334, 0.3333, 0.3333]]


@given(logit_rows)
def test_a_row_rounds_alike_alone_and_among_others(rows: list[list[float]]) -> None:
    together = round_probabilities(softmax(np.asarray(rows)))
    for index, row in enumerate(rows):
        assert (round_probabilities(softmax(np.asarray([row])))[0] == together[index]).all()


def test_a_prediction_names_its_most_probable_classes() -> None:
    topic = np.full((1, len(TOPICS)), 0.5 / 19)
    topic[0, 5] = 0.5
    (row,) = build_predictions(np.asarray([[0.7, 0.2, 0.1]]), topic, [12], [True])
    assert (row.negative, row.neutral, row.positive, row.label) == (0.7, 0.2, 0.1, "negative")
    assert (row.topic, row.topic_probability, row.topics[5]) == ("earnings", 0.5, 0.5)
    assert (row.truncated, row.tokens) == (True, 12)


def test_ids_are_unique_and_in_a_fixed_order() -> None:
    assert SENTIMENTS == ("negative", "neutral", "positive")
    assert len(set(TOPIC_IDS)) == 20
    assert TOPIC_IDS.index("earnings") == 5  # stands in trained weights: never to be moved
    assert TOPIC_IDS.index("price-move") == 19


def test_unsure_sentiments_are_abstained_by_the_probability_that_is_shown() -> None:
    sentiment = np.asarray([[0.59996, 0.2, 0.20004], [0.59994, 0.2, 0.20006], [0.1, 0.1, 0.8]])
    topic = np.full((3, 20), 0.05)
    rows = build_predictions(sentiment, topic, [3, 4, 5], [False] * 3, windows=[1, 2, 1], abstain_below=0.6)
    assert [row.abstained for row in rows] == [False, True, False]
    assert [row.windows for row in rows] == [1, 2, 1]
    assert not any(row.abstained for row in build_predictions(sentiment, topic, [3, 4, 5], [False] * 3))
