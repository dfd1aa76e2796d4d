"""What an entity's own history explains: half-life, prior, winsorising, and Wilson's interval."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.monitor.baseline import interval, is_warm, share, update, winsorised
from streams.monitor.bins import DAY_MS
from streams.monitor.options import BaselineOptions
from streams.monitor.state import BaselineState

OPTIONS = BaselineOptions(half_life_days=5, prior_share=0.25, prior_votes=40, warm_votes=100)
DAY_ONE = 20_000 * DAY_MS


def learned(*days: tuple[float, float, float]) -> BaselineState:
    """A baseline after (day, votes, negative) each."""
    state = BaselineState()
    for day, votes, negative in days:
        update(state, OPTIONS, votes=votes, negative=negative, at_ms=DAY_ONE + round(day * DAY_MS))
    return state


def test_without_history_it_is_the_prior() -> None:
    assert share(BaselineState(), OPTIONS) == 0.25
    assert not is_warm(BaselineState(), OPTIONS)


def test_the_prior_weighs_as_much_as_its_votes() -> None:
    assert share(learned((0, 40, 30)), OPTIONS) == pytest.approx((10 + 30) / 80)


def test_after_a_half_life_votes_weigh_half() -> None:
    state = learned((0, 200, 20), (5, 0, 0))
    assert state.votes == pytest.approx(100)
    assert state.negative == pytest.approx(10)
    state = learned((0, 200, 20), (2.5, 0, 0), (10, 0, 0))
    assert state.votes == pytest.approx(50)


def test_fading_does_not_depend_on_how_often_it_is_looked_at() -> None:
    often = learned((0, 200, 20), *((day / 10, 0.0, 0.0) for day in range(1, 101)))
    once = learned((0, 200, 20), (10, 0, 0))
    assert often.votes == pytest.approx(once.votes)
    assert often.negative == pytest.approx(once.negative)


def test_it_is_warm_while_enough_votes_of_its_own_have_not_faded() -> None:
    assert is_warm(learned((0, 100, 20)), OPTIONS)
    assert not is_warm(learned((0, 99.9, 20)), OPTIONS)
    assert not is_warm(learned((0, 100, 20), (0.1, 0, 0)), OPTIONS)


def test_one_bin_moves_it_only_so_far_up_and_as_far_as_it_likes_down() -> None:
    usual = share(BaselineState(), OPTIONS)
    assert winsorised(BaselineState(), OPTIONS, votes=100, negative=100) == pytest.approx(100 * (usual + 0.3))
    assert winsorised(BaselineState(), OPTIONS, votes=100, negative=50) == 50
    assert winsorised(BaselineState(), OPTIONS, votes=100, negative=0) == 0
    assert winsorised(BaselineState(), OPTIONS, votes=0, negative=0) == 0


def test_a_single_vote_is_never_cut_as_it_tells_nothing_of_the_mean() -> None:
    assert winsorised(BaselineState(), OPTIONS, votes=1, negative=1.0) == 1.0


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0, 1)), max_size=40))
def test_the_share_stays_a_share(bins: list[tuple[int, float]]) -> None:
    state = BaselineState()
    for number, (votes, mean) in enumerate(bins):
        negative = winsorised(state, OPTIONS, votes=votes, negative=votes * mean)
        assert 0 <= negative <= votes * mean
        update(state, OPTIONS, votes=votes, negative=negative, at_ms=DAY_ONE + number * 3_600_000)
        assert 0 < share(state, OPTIONS) < 1


@pytest.mark.parametrize(
    ("positives", "votes", "z", "low", "high"),
    [
        # Wilson's formula at 95 %, worked out by hand: 81 of 263; 15 of 148; 0 of 20; 1 of 29
        # (Newcombe 1998, Statistics in Medicine 17:857, table I, method 3)
        (81, 263, 1.959964, 0.2553, 0.3662),
        (15, 148, 1.959964, 0.0624, 0.1605),
        (0, 20, 1.959964, 0.0000, 0.1611),
        (1, 29, 1.959964, 0.0061, 0.1718),
    ],
)
def test_the_interval_is_wilsons(positives: int, votes: int, z: float, low: float, high: float) -> None:
    found = interval(positives / votes, votes, z=z)
    assert found == pytest.approx((low, high), abs=5e-5)


def test_without_votes_nothing_is_known() -> None:
    assert interval(0.0, 0) == (0.0, 1.0)


@given(st.floats(0, 1), st.floats(0.01, 1e9))
def test_the_interval_holds_the_share_and_is_one(share_: float, votes: float) -> None:
    low, high = interval(share_, votes)
    assert 0 <= low <= share_ + 1e-9
    assert share_ - 1e-9 <= high <= 1
