"""The memory of message ids is bounded in time and in number, and forgets nothing sooner."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.ingest.duplicates import SeenMessages

START = datetime(2026, 3, 2, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def test_a_remembered_message_is_found_again() -> None:
    seen = SeenMessages()
    assert "wire:1" not in seen
    seen.remember("wire:1", at(0))
    assert "wire:1" in seen
    assert "wire:2" not in seen


def test_asking_remembers_nothing_so_that_a_failed_batch_can_be_read_again() -> None:
    seen = SeenMessages()
    assert "a" not in seen
    assert "a" not in seen
    assert len(seen) == 0


def test_an_id_is_forgotten_when_event_time_has_passed_the_horizon() -> None:
    seen = SeenMessages(horizon=timedelta(minutes=10))
    seen.remember("a", at(0))
    seen.remember("b", at(10))
    assert "a" in seen
    seen.remember("c", at(10.1))
    assert "a" not in seen
    assert len(seen) == 2


def test_an_old_message_behind_a_younger_one_is_not_found_past_its_horizon() -> None:
    seen = SeenMessages(horizon=timedelta(minutes=10))
    seen.remember("young", at(5))
    seen.remember("old", at(0))
    seen.remember("now", at(12))
    assert "young" in seen
    assert "old" not in seen


def test_remembering_again_keeps_the_later_time() -> None:
    seen = SeenMessages(horizon=timedelta(minutes=10))
    seen.remember("a", at(8))
    seen.remember("a", at(0))
    seen.remember("b", at(15))
    assert "a" in seen


def test_what_was_remembered_first_goes_first_when_there_is_no_room() -> None:
    seen = SeenMessages(max_entries=2)
    for name in "abc":
        seen.remember(name, at(0))
    assert [name in seen for name in "abc"] == [False, True, True]


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 100)), max_size=200), st.integers(1, 20))
def test_it_holds_no_more_than_its_bound_and_finds_only_what_was_remembered(
    events: list[tuple[int, int]], bound: int
) -> None:
    seen = SeenMessages(horizon=timedelta(minutes=30), max_entries=bound)
    for name, minute in events:
        seen.remember(str(name), at(minute))
        assert len(seen) <= bound
    names = {str(name) for name, _ in events}
    assert all(str(name) in names for name in range(31) if str(name) in seen)


@pytest.mark.parametrize(("horizon", "entries"), [(timedelta(seconds=-1), 1), (timedelta(days=1), 0)])
def test_bounds_that_make_no_sense_are_refused(horizon: timedelta, entries: int) -> None:
    with pytest.raises(ValueError, match="must"):
        SeenMessages(horizon, entries)
