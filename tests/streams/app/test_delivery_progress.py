"""What is committed of a partition, as laws: nothing that is not done is passed over, and what is done is known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.app.delivery_progress import Beyond, Progress


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[int], set[int]]:
    """Offsets in order, with gaps as compaction leaves them, and those of them that are done."""
    steps = draw(st.lists(st.integers(1, 50), min_size=1, max_size=60))
    offsets, at = [], draw(st.integers(0, 10_000))
    for step in steps:
        at += step
        offsets.append(at)
    return offsets, set(draw(st.lists(st.sampled_from(offsets), unique=True)))


@given(histories())
def test_the_next_process_does_again_exactly_what_was_not_done(history: tuple[list[int], set[int]]) -> None:
    offsets, done = history
    progress = Progress()
    for offset in offsets:
        progress.take(offset)
    for offset in done:
        progress.settle(offset)
    position, metadata = progress.commit
    beyond = Beyond.read(position, metadata)
    again = [offset for offset in offsets if offset >= position and not beyond.is_done(offset)]
    assert again == [offset for offset in offsets if offset not in done]
    assert not beyond.is_done(offsets[-1] + 1)


def test_when_all_is_done_there_is_nothing_beyond() -> None:
    progress = Progress()
    for offset in range(5):
        progress.take(offset)
        progress.settle(offset)
    assert progress.commit == (5, "")
    assert not Beyond.read(5, "").is_done(5)


@given(histories())
def test_of_a_partition_that_begins_anew_nothing_before_the_commit_counts_as_done(
    history: tuple[list[int], set[int]],
) -> None:
    offsets, done = history
    progress = Progress()
    for offset in offsets:
        assert not progress.goes_back_at(offset)
        progress.take(offset)
    for offset in done:
        progress.settle(offset)
    position, metadata = progress.commit
    beyond = Beyond.read(position, metadata)
    assert beyond.position == position
    assert not any(beyond.is_done(offset) for offset in range(position))
    assert all(progress.goes_back_at(offset) for offset in offsets)


def test_what_does_not_fit_is_done_again_rather_than_left_out() -> None:
    progress = Progress()
    for offset in range(20_000):
        progress.take(offset)
        if offset % 2:
            progress.settle(offset)
    position, metadata = progress.commit
    assert len(metadata.encode()) <= 4_096
    beyond = Beyond.read(position, metadata)
    assert beyond.is_done(1)
    assert not any(beyond.is_done(offset) for offset in range(0, 20_000, 2))
    assert not beyond.is_done(19_999)


@given(st.one_of(st.text(), st.from_regex(r"1;[0-9a-fz,;-]*", fullmatch=True)))
def test_a_text_that_is_none_of_ours_breaks_nothing(metadata: str) -> None:
    Beyond.read(100, metadata).is_done(100)


@pytest.mark.parametrize("metadata", ["", "2;5;0", "1", "1;", "1;5", "1;x;0", "written by another tool"])
def test_a_text_that_says_nothing_means_that_nothing_is_done(metadata: str) -> None:
    assert not Beyond.read(100, metadata).is_done(101)
