from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.batching import padded_length, plan_batches

token_counts = st.lists(st.integers(0, 300), max_size=200)


@given(token_counts, st.integers(1, 4096))
def test_every_text_is_in_exactly_one_batch(counts: list[int], budget: int) -> None:
    placed = [index for batch in plan_batches(counts, budget) for index in batch.indices]
    assert sorted(placed) == list(range(len(counts)))


@given(token_counts, st.integers(1, 4096))
def test_a_batch_keeps_the_budget_unless_a_single_text_exceeds_it(counts: list[int], budget: int) -> None:
    for batch in plan_batches(counts, budget):
        assert batch.tokens == len(batch.indices) * batch.padded_length
        assert batch.tokens <= budget or len(batch.indices) == 1


@given(token_counts, st.integers(1, 4096), st.integers(1, 4096))
def test_a_texts_padded_length_depends_on_its_own_length_alone(
    counts: list[int], budget: int, other_budget: int
) -> None:
    for batch in plan_batches(counts, budget) + plan_batches(counts[::-1], other_budget):
        assert batch.padded_length % 8 == 0
    for batch in plan_batches(counts, budget):
        assert {padded_length(counts[index]) for index in batch.indices} == {batch.padded_length}


@given(st.integers(0, 10_000))
def test_padding_adds_less_than_one_step_and_never_cuts(tokens: int) -> None:
    assert tokens <= padded_length(tokens) < tokens + 8 or padded_length(tokens) == 8


def test_long_batches_come_first_and_pieces_are_of_nearly_equal_size() -> None:
    batches = plan_batches([8] * 9 + [30, 31], max_tokens=32)
    assert [batch.padded_length for batch in batches] == [32, 32, 8, 8, 8]
    assert [len(batch.indices) for batch in batches] == [1, 1, 3, 3, 3]
    assert batches[0].indices == (9,)


def test_no_texts_make_no_batches() -> None:
    assert plan_batches([], 2048) == []


@pytest.mark.parametrize(
    ("counts", "budget", "step", "words"),
    [([1], 0, 8, "max_tokens"), ([-1], 10, 8, "negative"), ([1], 10, 0, "step")],
)
def test_impossible_numbers_are_refused(counts: list[int], budget: int, step: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        plan_batches(counts, budget, step)
