from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.engines.packing import choose_shape, fill, pack, plan_packs

ROWS = st.lists(st.lists(st.integers(1, 70), min_size=1, max_size=70), min_size=1, max_size=40)


def test_rows_lie_end_to_end() -> None:
    packed = pack([[5, 6, 7, 8], [5, 9], [5, 6, 7]])
    assert packed.ids.tolist() == [5, 6, 7, 8, 5, 9, 5, 6, 7]
    assert packed.positions.tolist() == [0, 1, 2, 3, 0, 1, 0, 1, 2]
    assert packed.offsets.tolist() == [0, 4, 6, 9]
    assert (packed.rows, packed.tokens, packed.longest) == (3, 9, 4)


@pytest.mark.parametrize("rows", [[], [[1], []]])
def test_no_rows_and_empty_rows_are_refused(rows: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="at least one token"):
        pack(rows)


@given(st.lists(st.integers(1, 50), max_size=60), st.integers(1, 120))
def test_every_row_is_in_one_pack_and_no_pack_is_larger_than_it_must_be(counts: list[int], most: int) -> None:
    packs = list(plan_packs(counts, most))
    assert [place for stretch in packs for place in range(*stretch.indices(len(counts)))] == list(range(len(counts)))
    for stretch in packs:
        inside = counts[stretch]
        assert sum(inside) <= most or len(inside) == 1


def test_a_budget_below_one_token_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        list(plan_packs([3], 0))


@given(ROWS, st.sampled_from([128, 1024, 4096]))
def test_a_filled_pack_begins_with_the_pack_and_keeps_within_its_shape(rows: list[list[int]], most: int) -> None:
    packed = pack(rows)
    shape = choose_shape(packed, most)
    if shape is None:
        assert packed.tokens + most // 16 - packed.rows > most or packed.rows > most // 16
        return
    filled = fill(packed, shape, pad_id=99)
    assert (filled.tokens, filled.rows, filled.longest) == shape
    assert filled.ids[: packed.tokens].tolist() == packed.ids.tolist()
    assert filled.offsets[: packed.rows + 1].tolist() == packed.offsets.tolist()
    lengths = [stop - start for start, stop in zip(filled.offsets[:-1], filled.offsets[1:], strict=True)]
    assert min(lengths) >= 1
    assert max(lengths) <= shape.longest
    assert filled.offsets[-1] <= shape.tokens
    assert set(filled.ids[packed.tokens :].tolist()) <= {99}


def test_a_row_that_no_shape_can_hold_has_none() -> None:
    assert choose_shape(pack([[1] * 513]), 4096) is None
    assert choose_shape(pack([[1] * 200]), 128) is None
