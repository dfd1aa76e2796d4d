from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.engines.base import Outputs
from models.windows import Span, merge_windows, most_tokens, overlap_of, plan_windows, window_weights

NUMBERS = {"tokens": st.integers(0, 3000), "capacity": st.integers(1, 300), "max_windows": st.integers(1, 9)}


@given(**NUMBERS)
def test_every_token_is_read_up_to_the_bound_and_none_beyond(tokens: int, capacity: int, max_windows: int) -> None:
    spans = plan_windows(tokens, capacity, max_windows)
    covered = {place for span in spans for place in range(span.start, span.end)}
    assert covered == set(range(min(tokens, most_tokens(capacity, max_windows))))
    assert 1 <= len(spans) <= max_windows
    assert all(span.end - span.start <= capacity for span in spans)


@given(**NUMBERS)
def test_neighbours_share_the_overlap_and_each_window_reads_something_new(
    tokens: int, capacity: int, max_windows: int
) -> None:
    for before, after in pairwise(plan_windows(tokens, capacity, max_windows)):
        assert before.end - after.start == overlap_of(capacity)
        assert before.end - before.start == capacity
        assert after.end > before.end


@given(**NUMBERS)
def test_weights_sum_to_1_and_the_head_of_a_text_counts_most(tokens: int, capacity: int, max_windows: int) -> None:
    spans = plan_windows(tokens, capacity, max_windows)
    weights = window_weights(spans)
    assert weights.sum() == pytest.approx(1.0)
    assert (weights[1:] > 0.0).all()
    assert (np.diff(weights) < 0).all()


def test_a_text_within_the_limit_is_one_window_and_one_token_more_makes_two() -> None:
    assert plan_windows(0, 8, 4) == (Span(0, 0),)
    assert plan_windows(8, 8, 4) == (Span(0, 8),)
    assert plan_windows(9, 8, 4) == (Span(0, 8), Span(7, 9))
    assert plan_windows(9, 8, 1) == (Span(0, 8),)


def test_weights_by_hand_count_each_token_once_and_the_second_window_half() -> None:
    assert window_weights(plan_windows(11, 8, 4)) == pytest.approx(np.asarray([8, 3 / 2]) / 9.5)


@pytest.mark.parametrize(("tokens", "capacity", "max_windows"), [(-1, 8, 1), (5, 0, 1), (5, 8, 0)])
def test_numbers_that_make_no_windows_are_refused(tokens: int, capacity: int, max_windows: int) -> None:
    with pytest.raises(ValueError, match=r"at least 1|negative"):
        plan_windows(tokens, capacity, max_windows)


def outputs(rows: int, seed: int = 1) -> Outputs:
    generator = np.random.default_rng(seed)
    return Outputs(
        generator.normal(size=(rows, 3)),
        generator.normal(size=(rows, 20)),
        generator.normal(size=(rows, 4)).astype(np.float32),
    )


@given(st.lists(st.integers(0, 40), min_size=1, max_size=12))
def test_texts_of_one_window_keep_every_bit_whatever_stands_beside_them(lengths: list[int]) -> None:
    spans = [plan_windows(tokens, 8, 4) for tokens in lengths]
    rows = outputs(sum(map(len, spans)))
    merged = merge_windows(rows, spans)
    start = 0
    for text, of_text in enumerate(spans):
        for before, after in (
            (rows.sentiment, merged.sentiment),
            (rows.topic, merged.topic),
            (rows.pooled, merged.pooled),
        ):
            if len(of_text) == 1:
                assert after[text].tobytes() == before[start].tobytes()
            else:
                wanted = (before[start : start + len(of_text)].T * window_weights(of_text)).sum(axis=1)
                assert after[text] == pytest.approx(wanted, rel=1e-5, abs=1e-6)
        start += len(of_text)
    assert merged.pooled.dtype == np.float32


def test_equal_windows_make_the_answer_of_one() -> None:
    one = outputs(1)
    thrice = Outputs(
        np.repeat(one.sentiment, 3, axis=0), np.repeat(one.topic, 3, axis=0), np.repeat(one.pooled, 3, axis=0)
    )
    merged = merge_windows(thrice, [plan_windows(22, 8, 4)])
    assert merged.sentiment == pytest.approx(one.sentiment)
    assert merged.topic == pytest.approx(one.topic)


def test_windows_and_rows_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match="3 rows cannot be 2 windows of 2 texts"):
        merge_windows(outputs(3), [[Span(0, 1)], [Span(0, 1)]])
    with pytest.raises(ValueError, match="cannot be"):
        merge_windows(outputs(1), [[Span(0, 1)], []])
