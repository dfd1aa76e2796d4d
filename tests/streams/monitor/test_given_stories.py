"""Stories that mentions name themselves, in a replay of scored history that trusts them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.monitor import ClosedBin, PartitionMonitor
from streams.monitor.fingerprint import fingerprint, given_story
from streams.monitor.stories import StoryIndex
from streams.records import Mention
from tests.streams.monitor.invented import START, eager_rules, heard, mention


def votes_of(*mentions: Mention, saved_after: int | None = None) -> list[int]:
    """How many votes each closed bin had."""
    votes: list[int] = []

    def on_bin(closed: ClosedBin) -> None:
        votes.append(closed.votes)

    watching = PartitionMonitor(0, eager_rules(), on_bin=on_bin)
    kept: dict[str, bytes] = {}
    records = [*heard(1), *mentions, mention(999, START + timedelta(hours=2), text="")]
    for offset, record in enumerate(records):
        watching.absorb(record, offset)
        if saved_after is not None and offset == saved_after:
            changes = watching.changes()
            kept = {key: value for key, value in (*changes.entities, *changes.clock) if value is not None}
            watching = PartitionMonitor(0, eager_rules(), on_bin=on_bin)
            watching.restore(kept.items())
    return votes


def test_mentions_of_one_given_story_are_one_vote_whatever_their_texts() -> None:
    named = [mention(n, START + timedelta(minutes=n), story="s-1") for n in range(4)]
    assert votes_of(*named) == [1, 0, 0, 0]
    assert votes_of(*(mention(n, START + timedelta(minutes=n)) for n in range(4))) == [1, 1, 1, 1]


def test_mentions_of_two_given_stories_are_two_votes_although_the_texts_are_equal() -> None:
    text = "Aurelith recalls its heaters after a fire in the north works"
    named = [mention(n, START + timedelta(minutes=n), text=text, story=f"s-{n}") for n in range(4)]
    assert votes_of(*named) == [1, 1, 1, 1]
    assert votes_of(*(mention(n, START + timedelta(minutes=n), text=text) for n in range(4))) == [1, 0, 0, 0]


@pytest.mark.parametrize("saved_after", [1, 2, 3])
def test_given_stories_outlive_a_restart(saved_after: int) -> None:
    named = [mention(n, START + timedelta(minutes=n), story=f"s-{n % 2}") for n in range(6)]
    assert votes_of(*named, saved_after=saved_after) == votes_of(*named)


@given(names=st.lists(st.text(min_size=1, max_size=20), min_size=2, max_size=30, unique=True))
def test_no_given_story_is_taken_for_another_or_for_a_text(names: list[str]) -> None:
    index = StoryIndex()
    for number, name in enumerate(names):
        assert not index.assign_at(given_story(name), message_id=f"m{number}", at_ms=number).copy
    for number, name in enumerate(names):
        found = index.assign_at(given_story(name), message_id=f"again{number}", at_ms=1_000 + number)
        assert found.copy
        assert found.first_message_id == f"m{number}"
        assert fingerprint(name).tokens != given_story(name).tokens
