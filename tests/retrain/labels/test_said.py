from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from retrain.labels.judgement import id_of_text
from retrain.labels.said import Said, join, likeliest, read_answer, read_verdict
from retrain.labels.verdicts import MEANINGS
from streams.records import VerdictKind
from streams.whole_text import whole_text
from tests.streams.invented_alert import ALERT, STORIES
from tests.streams.monitor.invented import mention

AT = datetime(2026, 3, 17, 12, tzinfo=UTC)
NEGATIVE = mention(1, AT, 0.9, title="Quenby Freight", text="loses its largest customer")
POSITIVE = mention(2, AT, 0.1, text="Quenby Freight wins an order")


def said(**more: Any) -> Said:
    return Said(where="labels.csv:2", by="ana", learned_at=AT, **more)


def joined(one: Said) -> list[Any]:
    mentions = {one.message_id: one for one in (NEGATIVE, POSITIVE)}
    return list(join([one], mentions=mentions, alerts={ALERT.id: ALERT}).judgements)


def test_a_verdict_on_a_message_gets_the_text_that_the_classifier_read() -> None:
    (found,) = joined(said(verdict="neutral", message_id=NEGATIVE.message_id))
    assert found.text == "Quenby Freight. loses its largest customer" == whole_text(NEGATIVE)
    assert (found.answer, found.predicted, found.model) == ("neutral", "negative", "fake@1")
    assert (found.source, found.topic) == (NEGATIVE.source, NEGATIVE.topic)


@pytest.mark.parametrize(
    ("verdict", "answer"),
    [
        ("negative", "negative"),
        ("correct", "negative"),
        ("not_negative", "not_negative"),
        ("wrong_entity", None),
        ("duplicate", None),
        ("stale", None),
    ],
)
def test_every_verdict_on_a_message_is_kept_and_gives_the_answer_of_the_table(
    verdict: VerdictKind, answer: str | None
) -> None:
    (found,) = joined(said(verdict=verdict, message_id=NEGATIVE.message_id))
    assert (found.kind, found.answer) == (verdict, answer)


def test_a_true_alarm_makes_its_negative_evidence_negative_and_nothing_else() -> None:
    found = joined(said(verdict="true_alarm", alert_id=ALERT.id))
    assert [one.message_id for one in found] == [story.message_id for story in STORIES if story.negative >= 0.5]
    assert {one.answer for one in found} == {"negative"}
    assert {one.alert_id for one in found} == {ALERT.id}


def test_a_verdict_on_an_alert_that_names_a_message_too_is_one_on_the_alert() -> None:
    found = joined(said(verdict="true_alarm", alert_id=ALERT.id, message_id=NEGATIVE.message_id))
    assert [one.message_id for one in found] == [story.message_id for story in STORIES]


def test_a_false_alarm_gives_no_label_and_is_not_taken_for_one_of_an_unknown_alert() -> None:
    result = join([said(verdict="false_alarm", alert_id=ALERT.id)], mentions={}, alerts={ALERT.id: ALERT})
    assert result.judgements == ()
    assert result.unknown == ()


def test_what_is_said_of_messages_and_alerts_that_nobody_knows_is_told() -> None:
    unknown = [said(verdict="neutral", message_id="wire:99"), said(verdict="true_alarm", alert_id="ffff")]
    result = join(unknown, mentions={}, alerts={})
    assert result.unknown == tuple(unknown)
    assert result.judgements == ()


def test_a_text_of_its_own_needs_no_message() -> None:
    (found,) = joined(said(answer="neutral", text="Tarnwick Energy opens an office"))
    assert found.message_id == id_of_text("tarnwick energy opens an office!")
    assert found.predicted is None


def test_every_verdict_that_can_be_given_has_a_meaning_and_is_read_as_people_write_it() -> None:
    assert set(MEANINGS) == set(get_args(VerdictKind))
    assert read_verdict(" Wrong-Entity ") == "wrong_entity"
    with pytest.raises(ValueError, match="did you mean 'stale'"):
        read_verdict("stael")


def test_answers_are_read_as_training_files_write_them() -> None:
    assert read_answer("Bullish", "sentiment") == "positive"
    assert read_answer("not negative", "sentiment") == "not_negative"
    assert read_answer("M&A | Investments", "topic") == "deals"
    with pytest.raises(ValueError, match="unknown topic label 'not_negative'"):
        read_answer("not_negative", "topic")


def test_of_equal_probabilities_the_first_class_is_the_likeliest() -> None:
    assert likeliest(mention(3, AT, 0.5)) == "negative"
