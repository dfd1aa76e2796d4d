"""The order of time: what is too late is an error, and sorting gives the same with little memory as with much."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.errors import InputError
from streams.replay.sources.options import FileOptions
from streams.replay.sources.order import TimeOrder, sort_folder, sorted_by_time

AT = datetime(2026, 3, 2, 14, tzinfo=UTC)


def test_a_row_within_the_allowed_lateness_is_let_pass_and_one_behind_it_is_told_with_both_times() -> None:
    order = TimeOrder(timedelta(seconds=120))
    order.check(AT, "a.csv", 2)
    order.check(AT - timedelta(seconds=120), "a.csv", 3)
    with pytest.raises(InputError) as caught:
        order.check(AT - timedelta(seconds=121), "a.csv", 4)
    assert str(caught.value) == (
        "a.csv:4: the rows are not in the order of time: this one is from 2026-03-02T13:57:59Z, after one from "
        "2026-03-02T14:00:00Z, which is more than the allowed lateness of 120 s (monitor.allowed_lateness_s). "
        "With --sort they are sorted first"
    )


@settings(max_examples=50, deadline=None)
@given(
    times=st.lists(st.integers(-5, 5)),
    payload=st.binary(max_size=20),
    memory_bytes=st.sampled_from([1, 400, 1_000_000]),
)
def test_sorting_is_by_time_and_then_by_number_whatever_the_memory(
    tmp_path_factory: pytest.TempPathFactory, times: list[int], payload: bytes, memory_bytes: int
) -> None:
    folder = tmp_path_factory.mktemp("sort") / "runs"
    items = [(at, number, payload + bytes([number % 256])) for number, at in enumerate(times)]
    assert list(sorted_by_time(items, folder, memory_bytes=memory_bytes)) == sorted(items)
    assert not folder.exists()


def test_more_runs_than_can_be_open_are_merged_in_between(tmp_path: Path) -> None:
    items = [(-number, number, b"x") for number in range(700)]
    assert list(sorted_by_time(items, tmp_path / "runs", memory_bytes=1)) == items[::-1]


def test_what_a_killed_sort_has_left_is_not_read_and_what_is_given_up_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    (folder / "000000").write_bytes(b"of another time")
    rows = sorted_by_time([(2, 1, b"b"), (1, 2, b"a")], folder, memory_bytes=1)
    assert next(rows) == (1, 2, b"a")
    rows.close()
    assert not folder.exists()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match="sorting needs room on disk there"):
        list(sorted_by_time([(1, 1, b"")], tmp_path / "file" / "runs", memory_bytes=1))


def test_sorting_has_a_place_of_its_own_in_the_scratch_folder(tmp_path: Path) -> None:
    assert sort_folder(FileOptions(scratch=tmp_path), "abc") == tmp_path / "sort-abc"
    elsewhere = sort_folder(FileOptions(), "abc")
    assert elsewhere.is_dir()
    elsewhere.rmdir()
