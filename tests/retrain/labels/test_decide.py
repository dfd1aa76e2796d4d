from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrain.labels.decide import agreement, decide, krippendorff_alpha
from retrain.labels.judgement import Judgement
from tests.retrain.labels.conftest import NOON, Judge

ANSWERS = ("negative", "neutral", "positive", "not_negative", None)


def _judgement(message: int, by: int, answer: str | None) -> Judgement:
    return Judgement(
        message_id=f"m{message}",
        text=f"text {message}",
        task="sentiment",
        answer=answer,
        kind="label",
        by=f"p{by}",
        learned_at=NOON,
    )


judgements = st.dictionaries(
    st.tuples(st.integers(0, 5), st.integers(0, 4)), st.sampled_from(ANSWERS), max_size=20
).map(lambda found: [_judgement(message, by, answer) for (message, by), answer in found.items()])


def test_what_most_people_say_is_the_label(judge: Judge) -> None:
    said = [judge("negative"), judge("negative", by="ben"), judge("neutral", by="cem")]
    (found,) = decide(said, "sentiment").decided
    assert (found.answer, found.votes, found.against) == ("negative", 2, 1)


def test_a_tie_is_left_out_and_told(judge: Judge) -> None:
    decision = decide([judge("negative"), judge("neutral", by="ben")], "sentiment")
    assert not decision.decided
    assert [one.by for one in decision.conflicts["desk:1"]] == ["ana", "ben"]


def test_not_negative_alone_settles_nothing(judge: Judge) -> None:
    decision = decide([judge("not_negative")], "sentiment")
    assert decision.open == ("desk:1",)


def test_not_negative_backs_whoever_says_neutral_and_outweighs_one_who_says_negative(judge: Judge) -> None:
    backed = decide([judge("not_negative"), judge("neutral", by="ben"), judge("negative", by="cem")], "sentiment")
    assert [(one.answer, one.votes, one.against) for one in backed.decided] == [("neutral", 2, 1)]
    against = decide([judge("not_negative"), judge("negative", by="ben")], "sentiment")
    assert not against.decided
    assert "desk:1" in against.conflicts


def test_the_latest_of_those_who_gave_the_label_lends_its_text_and_time(judge: Judge) -> None:
    said = [
        judge("neutral", later_min=5),
        judge("neutral", by="ben", later_min=9),
        judge("negative", by="cem", later_min=60),
    ]
    (found,) = decide(said, "sentiment").decided
    assert found.judgement.by == "ben"


@settings(deadline=None)
@given(judgements, st.randoms(use_true_random=False))
def test_the_order_of_judgements_changes_no_label(said: list[Judgement], rolls: random.Random) -> None:
    shuffled = said.copy()
    rolls.shuffle(shuffled)
    one, other = decide(said, "sentiment"), decide(shuffled, "sentiment")
    assert one.decided == other.decided
    assert one.conflicts.keys() == other.conflicts.keys()
    assert one.open == other.open


@settings(deadline=None)
@given(judgements)
def test_every_message_is_settled_tied_or_open_and_a_label_has_more_votes_than_any_other_answer(
    said: list[Judgement],
) -> None:
    decision = decide(said, "sentiment")
    settled = {one.judgement.message_id for one in decision.decided}
    assert settled | decision.conflicts.keys() | set(decision.open) == {one.message_id for one in said}
    assert not settled & decision.conflicts.keys()
    assert not settled & set(decision.open)
    for one in decision.decided:
        own = [word for word in said if word.message_id == one.judgement.message_id and word.answer is not None]
        assert one.votes + one.against == len(own)
        others = {word.answer for word in own} - {one.answer, "not_negative"}
        assert all(one.votes > sum(word.answer == other for word in own) for other in others)


def test_alpha_is_that_of_krippendorff_s_own_example() -> None:
    # "Computing Krippendorff's alpha-reliability" (2011), part B: nominal data, two observers, twelve units
    first = ["a", "a", "b", "b", "d", "c", "c", "c", "e", "d", "d", "a"]
    second = ["b", "a", "b", "b", "b", "c", "c", "c", "e", "d", "d", "d"]
    assert krippendorff_alpha(list(zip(first, second, strict=True))) == pytest.approx(0.692, abs=0.0005)


def test_alpha_says_nothing_where_nobody_judged_the_same_or_all_say_one_thing() -> None:
    assert krippendorff_alpha([["a"], ["b"]]) is None
    assert krippendorff_alpha([["a", "a"], ["a", "a"]]) is None


def test_agreement_is_counted_by_pair_and_not_negative_is_no_class(judge: Judge) -> None:
    said = [
        judge("negative", message="m1"),
        judge("negative", message="m1", by="ben"),
        judge("neutral", message="m2"),
        judge("positive", message="m2", by="ben"),
        judge("not_negative", message="m3"),
        judge("neutral", message="m3", by="ben"),
    ]
    found = agreement(said, "sentiment")
    assert found.messages == 2
    assert found.pairs == {("ana", "ben"): (2, 1)}


def test_what_follows_from_an_alert_or_from_the_model_s_answer_is_nobody_s_agreement(judge: Judge) -> None:
    said = [
        judge("negative", message="m1"),
        judge("negative", message="m1", by="ben", kind="true_alarm"),
        judge("neutral", message="m2", kind="correct"),
        judge("neutral", message="m2", by="ben"),
        judge("neutral", message="m3", kind="neutral"),
        judge("positive", message="m3", by="ben"),
    ]
    found = agreement(said, "sentiment")
    assert found.messages == 1
    assert found.pairs == {("ana", "ben"): (1, 0)}
