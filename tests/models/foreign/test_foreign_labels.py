from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import LabelsError
from models.foreign.labels import LabelMapping, map_sentiments, map_topics, read_label_names
from models.labels import SENTIMENTS, TOPIC_IDS, TOPICS

WHERE = "model/config.json"


@pytest.mark.parametrize(
    ("names", "ours"),
    [
        (("negative", "neutral", "positive"), (0, 1, 2)),
        (("Positive", "NEGATIVE", "Neutral"), (2, 0, 1)),
        (("bearish", "bullish", "neutral"), (0, 2, 1)),
        (("neu", "pos", "neg"), (1, 2, 0)),
        (("利好", "中性", "利空"), (2, 1, 0)),
    ],
)
def test_labels_that_say_what_they_mean_are_understood(names: tuple[str, ...], ours: tuple[int, ...]) -> None:
    assert map_sentiments(names, None, WHERE).ours == ours


@pytest.mark.parametrize(
    "names",
    [
        ("LABEL_0", "LABEL_1", "LABEL_2"),
        ("negative", "neutral", "LABEL_2"),
        ("negative", "neutral", "positive", "mixed"),
        ("1 star", "2 stars", "3 stars"),
        ("bear", "bearish", "neutral", "positive"),
        ("0", "1", "2"),
        ("not negative", "negative", "neutral"),
    ],
)
def test_labels_that_leave_a_doubt_are_refused_by_name(names: tuple[str, ...]) -> None:
    with pytest.raises(LabelsError) as caught:
        map_sentiments(names, None, WHERE)
    said = str(caught.value)
    assert said.startswith(f"{WHERE}: the labels do not say what they mean: {', '.join(names)};")
    assert "labels: {negative: <label>," in said


@pytest.mark.parametrize("names", [("negative", "positive"), ("bearish", "neutral")])
def test_a_sentiment_that_the_model_does_not_know_is_for_the_user_to_give_up(names: tuple[str, ...]) -> None:
    with pytest.raises(LabelsError, match="would always be 0"):
        map_sentiments(names, None, WHERE)


def test_what_is_told_counts_and_may_sum_labels() -> None:
    stars = ("1 star", "2 stars", "3 stars", "4 stars", "5 stars")
    told = {"negative": ["1 star", "2 stars"], "neutral": "3 stars", "positive": ["4 stars", "5 stars"]}
    mapping = map_sentiments(stars, told, WHERE)
    assert mapping.ours == (0, 0, 1, 2, 2)
    folded = mapping.fold(np.array([[0.1, 0.2, 0.3, 0.15, 0.25]]))
    assert folded[0] == pytest.approx([0.3, 0.3, 0.4])


@pytest.mark.parametrize("nothing", [None, "none", []])
def test_a_missing_neutral_can_be_told(nothing: Any) -> None:
    mapping = map_sentiments(("NEG", "POS"), {"negative": "NEG", "neutral": nothing, "positive": "POS"}, WHERE)
    assert mapping.ours == (0, 2)


def test_labels_that_are_numbers_can_be_told_as_numbers() -> None:
    assert map_sentiments(("0", "1", "2"), {"negative": 2, "neutral": 1, "positive": 0}, WHERE).ours == (2, 1, 0)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"negative": "A", "positive": "B"}, "needs the keys negative, neutral, positive, found negative, positive"),
        ({"negative": "A", "neutral": "B", "positive": "C", "mixed": "C"}, "needs the keys"),
        ({"negative": "A", "neutral": "B", "positive": "X"}, "names 'X' for positive, and the model has A, B, C"),
        ({"negative": "A", "neutral": "A", "positive": "B"}, "names A twice, for negative and for neutral"),
        ({"negative": "A", "neutral": "none", "positive": "B"}, "does not say what C means"),
        ({"negative": "none", "neutral": ["A", "B"], "positive": "C"}, "a label for negative is needed"),
        ({"negative": "a", "neutral": "B", "positive": "C"}, "names 'a'"),
        ({"negative": {"A": 1}, "neutral": "B", "positive": "C"}, "the model has A, B, C"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else None,
)
def test_a_mapping_that_does_not_add_up_is_refused(told: dict[str, Any], words: str) -> None:
    with pytest.raises(LabelsError) as caught:
        map_sentiments(("A", "B", "C"), told, WHERE)
    assert words in str(caught.value)


def test_a_mapping_that_says_the_opposite_of_the_label_is_refused() -> None:
    told = {"negative": "positive", "neutral": "neutral", "positive": "negative"}
    with pytest.raises(LabelsError, match="takes negative for positive"):
        map_sentiments(("negative", "neutral", "positive"), told, WHERE)


def test_topics_are_known_by_id_by_name_and_by_the_name_in_the_public_set() -> None:
    for names in ([topic.id for topic in TOPICS], [topic.name.upper() for topic in TOPICS]):
        assert map_topics(names, None, WHERE).ours == tuple(range(len(TOPICS)))
    turned = [topic.source_name for topic in reversed(TOPICS)]
    assert map_topics(turned, None, WHERE).ours == tuple(reversed(range(len(TOPICS))))


def test_foreign_topics_are_told_or_refused() -> None:
    names = ("Court", "Results", "Rest")
    mapping = map_topics(names, {"legal": "Court", "earnings": ["Results", "Rest"]}, WHERE)
    assert [TOPIC_IDS[our] for our in mapping.ours] == ["legal", "earnings", "earnings"]
    with pytest.raises(LabelsError, match="not known as topics here: Court, Rest;"):
        map_topics(("Court", "earnings", "Rest"), None, WHERE)
    with pytest.raises(LabelsError, match="no topic here: law; topics: analyst-update"):
        map_topics(names, {"law": names}, WHERE)
    with pytest.raises(LabelsError, match="does not say what Rest means"):
        map_topics(names, {"legal": "Court", "earnings": "Results"}, WHERE)


def test_the_labels_are_read_in_the_order_of_the_outputs() -> None:
    config = {"id2label": {"2": "c", "0": "a", "1": " b "}, "label2id": {"a": 0, "b": 1, "c": 2}}
    assert read_label_names(config, WHERE) == ("a", "b", "c")
    assert read_label_names({"id2label": {"0": "a", "1": "b"}, "label2id": {"LABEL_0": 0, "LABEL_1": 1}}, WHERE)
    assert read_label_names({}, WHERE) == ("LABEL_0", "LABEL_1")
    assert read_label_names({"num_labels": 3}, WHERE) == ("LABEL_0", "LABEL_1", "LABEL_2")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"id2label": {"0": "a", "2": "b"}}, "must number the labels"),
        ({"id2label": {"0": "a", "00": "b"}}, "must number the labels"),
        ({"id2label": {"0": "a"}}, "does not classify"),
        ({"id2label": {}}, "does not classify"),
        ({"id2label": {"0": "a", "1": "A"}}, "two labels have the same name"),
        ({"id2label": ["a", "b"]}, "no table"),
        ({"id2label": {"x": "a"}}, "no table"),
        ({"id2label": {"0": "a", "1": "b"}, "label2id": {"b": 0, "a": 1}}, "contradict each other"),
        ({"id2label": {"0": "a", "1": "b"}, "label2id": [0, 1]}, "contradict each other"),
        ({"id2label": {"0": "a", "1": "b"}, "label2id": {"a": None, "b": 1}}, "contradict each other"),
        ({"num_labels": "many"}, "no number of labels"),
        ({"problem_type": "multi_label_classification"}, "exclude each other"),
        ({"problem_type": "regression"}, "exclude each other"),
    ],
    ids=str,
)
def test_tables_of_labels_that_cannot_be_right_are_refused(config: dict[str, Any], words: str) -> None:
    with pytest.raises(LabelsError, match=words) as caught:
        read_label_names(config, WHERE)
    assert WHERE in str(caught.value)


@given(st.permutations(range(5)), st.lists(st.integers(0, 2), min_size=5, max_size=5))
def test_folding_loses_nothing_whatever_the_order(order: list[int], ours: list[int]) -> None:
    probabilities = np.array([[0.1, 0.15, 0.2, 0.25, 0.3]])
    names = tuple("abcde")
    straight = LabelMapping(names, tuple(ours), len(SENTIMENTS)).fold(probabilities)
    turned = LabelMapping(names, tuple(ours[at] for at in order), len(SENTIMENTS)).fold(probabilities[:, order])
    assert straight.sum() == pytest.approx(1.0)
    assert turned == pytest.approx(straight)
