from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.foremost import Foremost, drawn

things = st.dictionaries(st.text(max_size=3), st.floats(0, 1), max_size=40)


@given(things, st.integers(1, 10), st.randoms(use_true_random=False))
def test_the_foremost_are_kept_whatever_the_order_and_however_often_they_come(
    ranks: dict[str, float], most: int, rolls: random.Random
) -> None:
    keys = [*ranks, *ranks]
    rolls.shuffle(keys)
    kept: Foremost[str] = Foremost(most)
    for key in keys:
        kept.add(key, ranks[key], key)
        assert len(kept) <= most
    assert set(kept) == set(sorted(ranks, key=lambda key: (ranks[key], key))[-most:])


def test_a_sample_is_fair_to_early_and_late_ones() -> None:
    kept: Foremost[int] = Foremost(1_000)
    for number in range(20_000):
        kept.add(str(number), drawn(str(number)), number)
    assert len(kept) == 1_000
    assert 420 < sum(number < 10_000 for number in kept) < 580
    assert list(kept) == sorted(kept)


def test_none_to_be_kept_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 must be kept, got 0"):
        Foremost(0)
