"""Topics of one's own in predictions, with the shipped model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from models import Classifier
from models.errors import OwnTopicsError
from models.own_topics import OwnTopic, assess, read_own_topics
from models.own_topics.everyday import EVERYDAY
from models.own_topics.generic import GENERIC
from models.text import prepare

EXAMPLE = Path(__file__).parents[3] / "deploy" / "examples" / "own-topics.yaml"
TEXTS = [
    "Baggage handlers strike at Aldhaven airport, union demands higher pay",
    "Hackers steal customer data of Marisol Tea",
    "Marisol Tea raises its dividend",
    "",
]


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier.load(device="cpu", own_topics=EXAMPLE)


def test_messages_that_no_example_repeats_are_told_apart(classifier: Classifier) -> None:
    strike, hack, dividend, empty = (dict(row.own_topics) for row in classifier.predict(TEXTS))
    assert strike["labour-disputes"] > 0.8 > 0.2 > strike["cyber-incidents"]
    assert hack["cyber-incidents"] > 0.8 > 0.2 > hack["labour-disputes"]
    assert max(*dividend.values(), *empty.values()) < 0.3


def test_the_rest_of_a_prediction_is_what_it_is_without_topics(classifier: Classifier) -> None:
    plain = Classifier.load(device="cpu").predict(TEXTS)
    assert [replace(row, own_topics=()) for row in classifier.predict(TEXTS)] == plain
    assert classifier.predict([]) == []


def test_a_texts_topics_do_not_depend_on_its_company(classifier: Classifier) -> None:
    together = classifier.predict(TEXTS * 9)
    for at, text in enumerate(TEXTS):
        assert classifier.predict([text])[0].own_topics == together[at].own_topics


def test_a_topic_without_a_subject_is_of_no_use_and_one_with_is(classifier: Classifier) -> None:
    nothing = OwnTopic("assorted", tuple(EVERYDAY[7::13][:8]))
    topics = (*read_own_topics(EXAMPLE), replace(nothing, examples=tuple(f"{text} today" for text in nothing.examples)))
    found = assess(topics, lambda texts: classifier.outputs(texts).pooled)
    assert [assessment.estimate.usable for assessment in found] == [True, True, False]
    hopeless = found[-1]
    assert len(hopeless.missed) == len(hopeless.estimate.examples) - hopeless.estimate.found
    assert [text for text, _ in hopeless.missed] == sorted(
        (text for text, _ in hopeless.missed), key=dict(hopeless.missed).__getitem__
    )


def test_a_wrong_file_is_told_before_the_model_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text("topics: 3")
    with pytest.raises(OwnTopicsError, match=r"t\.yaml:1:9"):
        Classifier.load(own_topics=tmp_path / "t.yaml")


def test_our_own_messages_are_all_different() -> None:
    ours = [prepare(text).casefold() for text in (*GENERIC, *EVERYDAY)]
    assert len(set(ours)) == len(ours)
