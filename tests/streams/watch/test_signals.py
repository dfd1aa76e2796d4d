"""What is measured of a text, and in which bin it falls."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.labels import TOPIC_IDS
from streams.watch.signals import TOPIC_BINS, WORD_SLOTS, place, quantile_edges, topic_place, word_hashes, word_slots


def test_links_numbers_and_signs_are_no_words_and_case_does_not_matter() -> None:
    assert word_slots(word_hashes("$ACME falls 5% https://t.co/AbCdEf #Loss")) == word_slots(
        word_hashes("acme FALLS loss")
    )
    assert len(word_slots(word_hashes("acme falls loss"))) == 3
    assert word_slots(word_hashes("42 % ... www.example.com")) == []


def test_a_word_has_the_same_slot_everywhere_and_always() -> None:
    # Written into references: a change of the hash would make every word of every reference unknown.
    assert word_slots(word_hashes("Shares fall")) == [223918, 201168]


@given(st.text())
def test_any_text_is_measured_in_bounded_time(text: str) -> None:
    slots = word_slots(word_hashes(text * 50))
    assert len(slots) <= 2_000
    assert all(0 <= slot < WORD_SLOTS for slot in slots)


def test_a_lone_surrogate_is_no_trouble() -> None:
    assert len(word_slots(word_hashes("shares \ud800fall"))) >= 2


@given(st.lists(st.floats(0, 1), min_size=1, max_size=300))
def test_no_bin_but_the_outermost_is_empty_for_the_values_that_the_edges_are_of(values: list[float]) -> None:
    edges = quantile_edges(values)
    counts = Counter(place(edges, value) for value in values)
    assert sorted(counts) == list(range(1, len(edges)))
    assert list(edges) == sorted(set(edges))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=300), st.floats(1e-9, 10))
def test_what_has_never_been_there_falls_into_the_outermost_bins(values: list[float], beyond: float) -> None:
    edges = quantile_edges(values)
    assert place(edges, min(values) - beyond) == 0
    assert place(edges, max(values) + beyond) == len(edges)


def test_deciles_of_different_values_hold_a_tenth_each() -> None:
    values = [number / 1_000 for number in range(1_000)]
    edges = quantile_edges(values)
    assert {*Counter(place(edges, value) for value in values).values()} == {100}


def test_values_that_are_all_the_same_make_one_bin_between_two_empty_ones() -> None:
    edges = quantile_edges([0.3] * 50)
    assert [place(edges, value) for value in (0.2, 0.3, 0.4)] == [0, 1, 2]


def test_the_few_that_differ_from_the_many_have_a_bin() -> None:
    edges = quantile_edges([0.0] * 95 + [0.1, 0.2, 0.3, 0.4, 0.5])
    assert [place(edges, value) for value in (0.0, 0.1, 0.5, 0.6)] == [1, 2, 2, 3]


def test_there_is_no_decile_of_nothing() -> None:
    with pytest.raises(ValueError, match="no values"):
        quantile_edges([])


def test_each_topic_has_a_bin_and_an_answer_without_one_has_the_last() -> None:
    assert [topic_place(name) for name in TOPIC_IDS] == list(range(len(TOPIC_IDS)))
    assert topic_place("unknown") == topic_place("no-such-topic") == TOPIC_BINS - 1
