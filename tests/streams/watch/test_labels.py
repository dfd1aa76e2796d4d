"""Verdicts joined with answers: agreement, and calibration on fresh labels."""

from __future__ import annotations

from itertools import islice, product
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.labels import SENTIMENTS
from models.prediction import Prediction
from models.reliability import calibration_error
from streams.records import Verdict, VerdictKind
from streams.watch.labels import LabelWatch
from tests.streams.watch.answers import AT, MODEL, OTHER, answer

NEGATIVE, NEUTRAL, POSITIVE = answer(0.8, 0.15, 0.05), answer(0.1, 0.7, 0.2), answer(0.05, 0.35, 0.6)


def labels(remembered: int = 1_000, window_labels: int = 500, min_labels: int = 1) -> LabelWatch:
    return LabelWatch(remembered=remembered, window_labels=window_labels, min_labels=min_labels)


def verdict(
    message_id: str | None,
    kind: VerdictKind,
    *,
    alert_id: str | None = None,
    by: str = "desk",
    entity: str | None = None,
) -> Verdict:
    return Verdict(message_id=message_id, alert_id=alert_id, verdict=kind, by=by, learned_at=AT, entity=entity)


@pytest.mark.parametrize(
    ("found", "kind", "outcome", "in_window"),
    [
        (NEGATIVE, "negative", "agreed", 1),
        (NEGATIVE, "positive", "differed", 1),
        (NEUTRAL, "neutral", "agreed", 1),
        (POSITIVE, "correct", "agreed", 1),
        (NEGATIVE, "not_negative", "differed", 1),
        # It is not negative, as the answer says; that it is neutral nobody has said.
        (NEUTRAL, "not_negative", "agreed", 0),
        (NEGATIVE, "wrong_entity", "apart", 0),
        (NEGATIVE, "duplicate", "apart", 0),
        (NEGATIVE, "stale", "apart", 0),
    ],
)
def test_what_a_verdict_says_of_an_answer(found: Prediction, kind: VerdictKind, outcome: str, in_window: int) -> None:
    watch = labels()
    watch.answered("wire:1", found, MODEL)
    assert watch.judged(verdict("wire:1", kind)) == outcome
    assert watch.calibration(MODEL).labels == in_window


def test_each_kind_of_verdict_is_told_apart() -> None:
    outcomes = {}
    for kind in get_args(VerdictKind):
        watch = labels()
        watch.answered("wire:1", NEGATIVE, MODEL)
        outcomes[kind] = watch.judged(verdict("wire:1", kind))
    assert None not in outcomes.values()
    assert "unknown" not in outcomes.values()


def test_a_verdict_on_a_message_that_nobody_here_scored_is_unknown() -> None:
    watch = labels()
    assert watch.judged(verdict("wire:1", "negative")) == "unknown"
    assert watch.calibration(MODEL).labels == 0


def test_a_verdict_on_an_alert_is_apart() -> None:
    assert labels().judged(verdict(None, "false_alarm", alert_id="a1")) == "apart"


def test_a_verdict_that_comes_twice_counts_once() -> None:
    watch = labels()
    watch.answered("wire:1", NEGATIVE, MODEL)
    assert [watch.judged(verdict("wire:1", "negative")) for _ in range(3)] == ["agreed", None, None]
    assert [watch.judged(verdict("wire:2", "negative")) for _ in range(2)] == ["unknown", None]
    assert watch.calibration(MODEL).labels == 1


def test_another_verdict_on_the_same_message_replaces_the_first() -> None:
    watch = labels()
    watch.answered("wire:1", NEGATIVE, MODEL)
    watch.judged(verdict("wire:1", "negative"))
    assert watch.calibration(MODEL).error == pytest.approx(0.2)
    assert watch.judged(verdict("wire:1", "positive")) == "differed"
    assert watch.calibration(MODEL) == type(watch.calibration(MODEL))(labels=1, error=pytest.approx(0.8))
    assert watch.judged(verdict("wire:1", "wrong_entity")) == "apart"
    assert watch.calibration(MODEL).labels == 0


def test_a_verdict_that_is_taken_back_counts_no_more() -> None:
    watch = labels()
    watch.answered("wire:1", NEGATIVE, MODEL)
    watch.judged(verdict("wire:1", "negative"))
    watch.withdrawn("wire:1", entity=None, by="desk")
    watch.withdrawn("wire:2", entity=None, by="desk")
    assert watch.calibration(MODEL).labels == 0
    assert watch.judged(verdict("wire:1", "negative")) == "agreed"
    watch.forgotten("wire:1")
    watch.forgotten("wire:2")
    assert watch.calibration(MODEL).labels == 0


@pytest.mark.parametrize(("entity", "by"), [(None, "ben"), ("ACME", "ana"), ("ACME", "ben")])
def test_who_takes_a_word_back_takes_back_no_other(entity: str | None, by: str) -> None:
    watch = labels()
    watch.answered("wire:1", NEGATIVE, MODEL)
    watch.judged(verdict("wire:1", "positive", by="ana"))
    watch.withdrawn("wire:1", entity=entity, by=by)
    assert watch.calibration(MODEL).labels == 1
    assert watch.judged(verdict("wire:1", "positive", by="ana")) is None, "it was never forgotten"


@pytest.mark.parametrize("second", ["positive", "negative", "wrong_entity"])
def test_the_word_before_holds_again_when_the_one_that_replaced_it_is_taken_back(second: VerdictKind) -> None:
    watch = labels()
    watch.answered("wire:1", NEGATIVE, MODEL)
    watch.judged(verdict("wire:1", "negative", by="ana"))
    before = watch.calibration(MODEL)
    watch.judged(verdict("wire:1", second, by="ben", entity="ACME"))
    watch.withdrawn("wire:1", entity="ACME", by="ben")
    assert watch.calibration(MODEL) == before
    watch.withdrawn("wire:1", entity=None, by="ana")
    assert watch.calibration(MODEL).labels == 0


def test_of_many_who_judge_one_message_the_latest_are_remembered() -> None:
    watch = labels()
    watch.answered("wire:1", NEGATIVE, MODEL)
    for number in range(1_000):
        watch.judged(verdict("wire:1", "positive", by=f"reader {number}"))
    watch.judged(verdict("wire:1", "negative", by="ana"))
    watch.withdrawn("wire:1", entity=None, by="ana")
    assert watch.calibration(MODEL).error == pytest.approx(0.8)
    assert sum(len(words) for words in watch._said.values()) < 100


def test_only_the_latest_answers_are_remembered() -> None:
    watch = labels(remembered=3)
    for number in (1, 2, 1, 3, 1, 4):
        watch.answered(f"wire:{number}", NEGATIVE, MODEL)
    assert len(watch) == 3
    outcomes = [watch.judged(verdict(f"wire:{number}", "negative")) for number in (1, 2, 3, 4)]
    assert outcomes == ["unknown", "agreed", "agreed", "agreed"]


def test_a_changed_verdict_is_joined_though_its_answer_has_been_forgotten_since() -> None:
    watch = labels(remembered=1)
    watch.answered("wire:1", NEGATIVE, MODEL)
    watch.judged(verdict("wire:1", "negative"))
    watch.answered("wire:2", NEGATIVE, MODEL)
    assert watch.judged(verdict("wire:1", "neutral")) == "differed"
    assert watch.calibration(MODEL).error == pytest.approx(0.8)


def test_another_model_is_judged_by_labels_of_its_own() -> None:
    watch = labels()
    watch.answered("wire:1", NEGATIVE, MODEL)
    watch.answered("wire:2", POSITIVE, OTHER)
    watch.judged(verdict("wire:1", "negative"))
    watch.judged(verdict("wire:2", "negative"))
    assert watch.calibration(MODEL).error == pytest.approx(0.2)
    assert watch.calibration(OTHER).error == pytest.approx(0.6)


def test_no_error_is_told_of_few_labels() -> None:
    watch = labels(min_labels=10)
    for number in range(10):
        assert watch.calibration(MODEL).error is None
        watch.answered(f"wire:{number}", NEGATIVE, MODEL)
        watch.judged(verdict(f"wire:{number}", "negative"))
    assert watch.calibration(MODEL).error == pytest.approx(0.2)


sentiments = st.sampled_from(SENTIMENTS)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("answer"), st.integers(0, 12), sentiments, st.none()),
        st.tuples(st.just("verdict"), st.integers(0, 12), sentiments, st.sampled_from(("ana", "ben"))),
        st.tuples(st.just("withdraw"), st.integers(0, 12), st.none(), st.sampled_from(("ana", "ben"))),
    ),
    max_size=60,
)
BY_LABEL = {"negative": NEGATIVE, "neutral": NEUTRAL, "positive": POSITIVE}


@given(steps)
def test_the_window_is_what_joining_all_verdicts_anew_would_give(
    history: list[tuple[str, int, VerdictKind | None, str | None]],
) -> None:
    watch = labels(remembered=1_000, window_labels=5)
    answers: dict[int, str] = {}
    words: dict[int, dict[str, str]] = {number: {} for number in range(13)}
    joined: dict[int, tuple[float, bool]] = {}
    for what, number, label, by in history:
        name, before = f"wire:{number}", [*words[number].values()][-1:]
        if what == "answer":
            assert label is not None
            watch.answered(name, BY_LABEL[label], MODEL)
            answers[number] = label
            continue
        assert by is not None
        words[number].pop(by, None)
        if what == "withdraw":
            watch.withdrawn(name, entity=None, by=by)
        else:
            assert label is not None
            watch.judged(verdict(name, label, by=by))
            words[number][by] = label
        holds = [*words[number].values()][-1:]
        if holds != before:
            joined.pop(number, None)
            if holds and number in answers:
                own = answers[number]
                found = BY_LABEL[own]
                joined[number] = (max(found.negative, found.neutral, found.positive), own == holds[0])
                joined = dict(islice(joined.items(), max(0, len(joined) - 5), None))
    confidence = np.asarray([one for one, _ in joined.values()], dtype=np.float64)
    right = np.asarray([one for _, one in joined.values()], dtype=np.bool_)
    found_now = watch.calibration(MODEL)
    assert found_now.labels == len(joined)
    assert found_now.error == (pytest.approx(calibration_error(confidence, right)) if joined else None)


def test_the_order_of_verdicts_on_different_messages_changes_no_error() -> None:
    said = list(product(range(20), SENTIMENTS))[::7]
    one, other = labels(), labels()
    for watch, order in ((one, said), (other, said[::-1])):
        for number, label in order:
            watch.answered(f"wire:{number}{label}", BY_LABEL[SENTIMENTS[number % 3]], MODEL)
            watch.judged(verdict(f"wire:{number}{label}", label))  # type: ignore[arg-type]
    assert one.calibration(MODEL) == other.calibration(MODEL)
