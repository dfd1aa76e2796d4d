"""What holds for the difference of any two runs."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streams.records import Alert
from streams.replay.differences.difference import Pair, RunDifference, compare_runs
from streams.replay.differences.episodes import Episode, episodes
from tests.streams.replay.differences.invented_alerts import incident


@st.composite
def incidents(draw: st.DrawFn) -> list[Alert]:
    """One alert of any course, also ones that no monitor would raise beside another."""
    # On a coarse grid, so that equal overlaps and distances are common: it is ties that are easily broken one-sidedly.
    opened = 60 * draw(st.integers(0, 30))
    waits = draw(st.sampled_from((5, 30, 60)))
    lasts = draw(st.sampled_from((30, 60, 600)))
    fires = draw(st.integers(0, 4)) > 0
    ends = draw(st.integers(0, 4)) > 0
    seen: dict[str, Any] = {"share": draw(st.sampled_from((0.6, 0.7)))}
    return incident(
        opened,
        fired=opened + waits if fires else None,
        ended=opened + waits + lasts if ends else None,
        rule=draw(st.sampled_from(("Surge", "High", "Other"))),
        version=draw(st.sampled_from(("v1", "v2"))),
        entity=draw(st.sampled_from(("AURL", "BRND"))),
        severity=draw(st.sampled_from(("info", "critical"))),
        **seen,
    )


def _joined(lives: list[list[Alert]]) -> list[Alert]:
    by_id = {life[0].id: life for life in lives}  # an id is one alert
    return [alert for life in by_id.values() for alert in life]


RUNS = st.lists(incidents(), max_size=8).map(_joined)
NAMES = st.none() | st.sets(st.sampled_from(("Surge", "High", "Other")))


def swapped(pairs: tuple[Pair, ...]) -> list[Pair]:
    """The same pairs as seen from the other side."""
    return [Pair(pair.new, pair.old) for pair in pairs]


def sides(found: RunDifference) -> tuple[list[Episode], list[Episode]]:
    """All episodes that a difference speaks of, by run."""
    pairs = [*found.same, *found.changed, *found.shifted]
    old = [pair.old for pair in pairs] + list(found.removed)
    new = [pair.new for pair in pairs] + list(found.added)
    return sorted(old, key=lambda episode: episode.key), sorted(new, key=lambda episode: episode.key)


@given(RUNS, RUNS, NAMES, NAMES)
def test_swapping_the_runs_swaps_added_and_removed_and_nothing_else(
    one: list[Alert], other: list[Alert], first: set[str] | None, second: set[str] | None
) -> None:
    there = compare_runs(one, other, old_rules=first, new_rules=second)
    back = compare_runs(other, one, old_rules=second, new_rules=first)
    assert there.added == back.removed
    assert there.removed == back.added
    for kind in ("same", "changed", "shifted"):
        assert swapped(getattr(there, kind)) == list(getattr(back, kind))
    assert (there.old_unfired, there.new_unfired) == (back.new_unfired, back.old_unfired)


@given(RUNS, RUNS)
def test_every_episode_stands_in_one_place(one: list[Alert], other: list[Alert]) -> None:
    old, new = sides(compare_runs(one, other))
    assert old == list(episodes(one).fired)
    assert new == list(episodes(other).fired)


@given(RUNS)
def test_a_run_against_itself_is_all_the_same(run: list[Alert]) -> None:
    found = compare_runs(run, run)
    assert found.is_none
    assert [pair.old for pair in found.same] == list(episodes(run).fired)


@given(RUNS, RUNS, st.randoms(use_true_random=False))
def test_the_order_of_the_alerts_changes_nothing(one: list[Alert], other: list[Alert], dice: random.Random) -> None:
    there = compare_runs(one, other)
    dice.shuffle(one)
    dice.shuffle(other)
    assert compare_runs(one, other) == there


@given(RUNS, RUNS)
def test_only_episodes_of_one_company_are_matched(one: list[Alert], other: list[Alert]) -> None:
    found = compare_runs(one, other)
    assert all(pair.old.entity == pair.new.entity for pair in (*found.same, *found.changed, *found.shifted))
