from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from retrain.datasets.assign import Side, assign, text_key
from retrain.datasets.rows import Row

SUBJECTS = "Ostermere Quenby Brindlemoor Tarnwick Halden Corrin Vallor Penrith Sollers Aldwick".split()
EVENTS = "cuts payout|wins order|recalls product|names director|warns markets|opens plant|sells unit".split("|")
AT = datetime(2026, 3, 17, tzinfo=UTC)


def row(number: int, *, days: int | None = None, text: str | None = None) -> Row:
    rolls = random.Random(number)
    words = " ".join(rolls.choices(SUBJECTS, k=3) + rolls.choices(EVENTS, k=3) + [f"w{number * 7919}x", f"v{number}"])
    return Row(
        text=text or words,
        task="sentiment",
        label="neutral",
        origin="labels",
        learned_at=None if days is None else AT + timedelta(days=days),
    )


def places(rows: list[Row], sides: dict[str, Side], **options: object) -> dict[str, str]:
    found = assign(rows, sides, **{"holdout_share": 0.3, "seed": 1, **options})  # type: ignore[arg-type]
    sides.update(found.given)
    return {one.text: place for one, place in zip(rows, found.places, strict=True)}


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 400), min_size=1, max_size=60, unique=True), st.data())
def test_a_side_that_was_given_is_kept_whatever_comes_later(numbers: list[int], data: st.DataObject) -> None:
    sides: dict[str, Side] = {}
    cut = data.draw(st.integers(1, len(numbers)))
    first = places([row(number) for number in numbers[:cut]], sides)
    second = places([row(number) for number in numbers], sides)
    assert {text: second[text] for text in first} == first


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 400), min_size=1, max_size=60, unique=True), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_no_side(numbers: list[int], rolls: random.Random) -> None:
    rows = [row(number) for number in numbers]
    shuffled = rows.copy()
    rolls.shuffle(shuffled)
    assert places(rows, {}) == places(shuffled, {})


STORY = "Quenby Freight loses its largest customer to a rival and withdraws its guidance for the whole year"


def test_a_near_duplicate_of_a_holdout_text_is_never_trained_on() -> None:
    sides: dict[str, Side] = {text_key(STORY): "holdout"}
    copy = f"{STORY} https://news.example/2"
    reworded = STORY.replace("largest", "biggest")
    assert text_key(copy) == text_key(STORY)
    assert places([row(0, text=STORY), row(1, text=copy), row(2, text=reworded)], sides) == {
        STORY: "holdout",
        copy: "holdout",
        reworded: "left_out",
    }


def test_a_text_that_was_trained_on_and_now_turns_out_like_a_holdout_text_is_left_out() -> None:
    reworded = STORY.replace("largest", "biggest")
    sides: dict[str, Side] = {text_key(STORY): "holdout", text_key(reworded): "train"}
    assert places([row(0, text=STORY), row(1, text=reworded)], sides)[reworded] == "left_out"


def test_near_duplicates_of_a_trained_text_are_trained_on_too() -> None:
    sides: dict[str, Side] = {text_key(STORY): "train"}
    reworded = STORY.replace("largest", "biggest")
    assert places([row(0, text=STORY), row(1, text=reworded)], sides, holdout_share=1.0)[reworded] == "train"


def test_what_became_known_after_the_cut_is_not_trained_on_and_given_no_side() -> None:
    sides: dict[str, Side] = {}
    rows = [row(number, days=number - 5) for number in range(11)]
    found = places(rows, sides, holdout_share=0.0, train_until=AT)
    assert [found[one.text] for one in rows] == ["train"] * 6 + ["later"] * 5
    assert len(sides) == 6


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(-5, 5)), min_size=1, max_size=50, unique_by=lambda one: one[0])
)
def test_what_became_known_after_the_cut_moves_nothing_of_before(numbers: list[tuple[int, int]]) -> None:
    alike = [row(number % 30, days=days) for number, days in numbers]
    rows = [msgspec.structs.replace(one, text=f"{one.text} t{index}") for index, one in enumerate(alike)]
    is_known = [days <= 0 for _, days in numbers]
    known = [one for one, early in zip(rows, is_known, strict=True) if early]
    with_later = assign(rows, {}, holdout_share=0.4, seed=1, train_until=AT)
    without = assign(known, {}, holdout_share=0.4, seed=1, train_until=AT)
    of_known = [place for place, early in zip(with_later.places, is_known, strict=True) if early]
    assert tuple(of_known) == without.places
    assert with_later.given == without.given
    assert {place for place, early in zip(with_later.places, is_known, strict=True) if not early} <= {
        "later",
        "left_out",
    }


def test_a_later_one_of_a_text_that_was_trained_on_judges_nothing() -> None:
    reworded = STORY.replace("largest", "biggest")
    found = places([row(0, text=STORY, days=-1), row(1, text=reworded, days=1)], {}, holdout_share=0.0, train_until=AT)
    assert found == {STORY: "train", reworded: "left_out"}


def test_about_the_asked_share_of_new_texts_goes_to_the_holdout() -> None:
    found = places([row(number) for number in range(600)], {}, holdout_share=0.2)
    assert 0.14 < sum(place == "holdout" for place in found.values()) / len(found) < 0.26
