"""The ring of the latest values and its histogram."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.watch.window import HistogramWindow


@given(st.lists(st.integers(0, 6), max_size=200), st.integers(1, 40))
def test_the_ring_holds_what_counting_the_latest_values_anew_would(values: list[int], size: int) -> None:
    window = HistogramWindow(7, size)
    for value in values:
        window.add(value)
    latest = Counter(values[-size:])
    assert window.counts == tuple(latest[bin_] for bin_ in range(7))
    assert len(window) == sum(window.counts) == min(len(values), size)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_the_order_inside_the_window_changes_nothing(values: list[int], random: object) -> None:
    one, other = HistogramWindow(7, len(values)), HistogramWindow(7, len(values))
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    for value, moved in zip(values, shuffled, strict=True):
        one.add(value)
        other.add(moved)
    assert one.counts == other.counts


@pytest.mark.parametrize("bin_", [-1, 3])
def test_a_bin_that_is_not_there_is_refused_and_nothing_changes(bin_: int) -> None:
    window = HistogramWindow(3, 2)
    window.add(1)
    with pytest.raises(IndexError, match="no bin"):
        window.add(bin_)
    assert window.counts == (0, 1, 0)


@pytest.mark.parametrize(("bins", "size"), [(0, 5), (3, 0), (1 << 17, 5)])
def test_a_window_without_room_is_refused(bins: int, size: int) -> None:
    with pytest.raises(ValueError, match="a window needs"):
        HistogramWindow(bins, size)
