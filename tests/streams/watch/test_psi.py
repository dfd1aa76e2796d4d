"""The population stability index."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.watch.psi import MARKED, SLIGHT, by_chance, population_stability_index

counts = st.lists(st.integers(0, 5_000), min_size=1, max_size=25).filter(any)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    bins = draw(st.integers(1, 25))
    histogram = st.lists(st.integers(0, 5_000), min_size=bins, max_size=bins).filter(any)
    return draw(histogram), draw(histogram)


@given(counts, st.integers(1, 50))
def test_equal_shares_have_an_index_of_zero_however_many_values_stand_behind_them(found: list[int], times: int) -> None:
    assert population_stability_index(found, [count * times for count in found]) == pytest.approx(0.0, abs=1e-12)


@given(pairs())
def test_it_is_never_negative_and_the_same_both_ways(pair: tuple[list[int], list[int]]) -> None:
    one, other = pair
    found = population_stability_index(one, other)
    assert found >= 0
    assert math.isfinite(found)
    assert found == pytest.approx(population_stability_index(other, one))


@given(pairs(), st.randoms(use_true_random=False))
def test_the_order_of_the_bins_does_not_matter(pair: tuple[list[int], list[int]], random: np.random.Generator) -> None:
    one, other = pair
    order = list(range(len(one)))
    random.shuffle(order)  # type: ignore[arg-type]  # hypothesis gives Python's own
    shuffled = population_stability_index([one[at] for at in order], [other[at] for at in order])
    assert shuffled == pytest.approx(population_stability_index(one, other))


def test_a_textbook_case() -> None:
    # (0.3 - 0.5) ln(0.3 / 0.5) + (0.7 - 0.5) ln(0.7 / 0.5)
    assert population_stability_index([50, 50], [30, 70]) == pytest.approx(0.2 * math.log(7 / 3))


def test_an_empty_bin_counts_but_not_without_end() -> None:
    assert MARKED < population_stability_index([900, 100], [1000, 0]) < 1.0


def test_the_bounds_tell_a_nudge_from_another_population() -> None:
    assert population_stability_index([100] * 10, [110] * 5 + [90] * 5) < SLIGHT
    assert population_stability_index([100] * 10, [180] * 5 + [20] * 5) > MARKED


def test_without_drift_the_index_is_what_chance_explains() -> None:
    generator = np.random.default_rng(7)
    expected = generator.multinomial(4_000, [0.1] * 10)
    found = [population_stability_index(expected, generator.multinomial(500, [0.1] * 10)) for _ in range(400)]
    assert np.mean(found) == pytest.approx(by_chance(10, 4_000, 500), rel=0.25)


@pytest.mark.parametrize(("one", "other"), [([1, 2], [1, 2, 3]), ([0, 0], [1, 1]), ([1, 1], [0, 0]), ([], [])])
def test_what_cannot_be_compared_is_refused(one: list[int], other: list[int]) -> None:
    with pytest.raises(ValueError, match="two histograms of equally many bins"):
        population_stability_index(one, other)
