"""Scored history from files: the records of one partition that ends, and what is said of files that are not right."""

from __future__ import annotations

import gzip
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pyarrow
import pytest
from pyarrow import parquet

from streams.errors import InputError
from streams.records import Mention, Origin, Progress
from streams.replay.sources.options import Window
from streams.replay.sources.source import BadRecord, Numbered
from tests.streams.replay.sources.scored_rows import (
    AT,
    CONFIG,
    MINUTE,
    complaint,
    iso,
    lines,
    mentions,
    opened,
    read,
    row,
    table,
)


@pytest.mark.parametrize("name", ["m.jsonl", "m.jsonl.gz"])
def test_a_file_is_a_feed_that_begins_has_its_rows_and_ends(tmp_path: Path, name: str) -> None:
    source = opened(lines(tmp_path / name, [row(1), row(2)]))
    assert source.partitions == (0,)
    assert source.total == 2
    records, bad = read(source)
    assert bad == []
    assert records[0] == Numbered(0, Progress(partition=0, partitions=1, event_time=None, idle=False))
    end = AT + 2 * MINUTE + timedelta(seconds=CONFIG.monitor.allowed_lateness_s) + MINUTE
    assert records[3:] == [Numbered(3, Progress(partition=0, partitions=1, event_time=end, idle=False))]
    assert [item.offset for item in records] == [0, 1, 2, 3]
    first = records[1].record
    assert isinstance(first, Mention)
    assert first.message_id == "wire:n1"
    assert first.entity == "BRMFD"
    assert (first.negative, first.neutral, first.positive) == (0.25, 0.5, 0.25)
    assert first.published_at == first.received_at == first.scored_at == AT + MINUTE
    assert first.author == "author-1"
    assert first.origin == Origin(partition=0, offset=1)
    assert first.story is msgspec.UNSET


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_tables_give_the_mentions_that_lines_give(tmp_path: Path, kind: str) -> None:
    rows = [row(1), row(2)]
    wanted, _ = read(opened(lines(tmp_path / "m.jsonl", rows), trust=True))
    if kind == "csv":
        path = table(tmp_path / "t.csv", rows)
    else:
        path = tmp_path / "t.parquet"
        timed = [{**item, "published_at": datetime.fromisoformat(item["published_at"])} for item in rows]
        parquet.write_table(pyarrow.Table.from_pylist(timed), path)
    assert read(opened(path, trust=True)) == (wanted, [])


def test_rows_are_numbered_over_all_files_bad_ones_too(tmp_path: Path) -> None:
    one = lines(tmp_path / "a.jsonl", [row(1), b"{", row(2)])
    two = lines(tmp_path / "b.jsonl", [b"", row(3)])
    records, bad = read(opened(one, two))
    assert [item.offset for item in records] == [0, 1, 3, 4, 5]
    assert [(item.where, item.reason) for item in bad] == [(f"{one}:2", "not_json")]


@pytest.mark.parametrize("sort", [False, True])
def test_a_reading_goes_on_after_any_record_and_tells_no_bad_row_twice(tmp_path: Path, sort: bool) -> None:
    path = lines(tmp_path / "m.jsonl", [b"[]", row(1), row(2, negative=7), row(3), b"{", row(4)])
    whole, told = read(opened(path, sort=sort))
    assert len(told) == 3
    for place, item in enumerate(whole):
        before: list[BadRecord] = []
        going = opened(path, sort=sort).records(0, on_bad=before.append)
        for _ in range(place + 1):
            next(going)
        rest, after = read(opened(path, sort=sort), after=item.offset)
        assert rest == whole[place + 1 :]
        assert before + after == told


def test_unsorted_rows_are_an_error_and_sorted_on_request(tmp_path: Path) -> None:
    rows = [row(5), row(1), row(3), row(3, id="again"), row(2)]
    path = lines(tmp_path / "m.jsonl", rows)
    said = complaint(path)
    assert f"{path}:2: the rows are not in the order of time" in said
    assert "2026-03-02T14:01:00Z, after one from 2026-03-02T14:05:00Z" in said
    assert "--sort" in said
    for memory_bytes in (1, 1_000_000):
        records, _ = read(opened(path, sort=True, scratch=tmp_path, sort_memory_bytes=memory_bytes))
        assert [item.message_id for item in mentions(records)] == [
            "wire:n1",
            "wire:n2",
            "wire:n3",
            "wire:again",
            "wire:n5",
        ]
        assert [item.offset for item in records] == [0, 1, 2, 3, 4, 5, 6]
        assert [item.origin.offset for item in mentions(records)] == [2, 5, 3, 4, 1]
        assert records[-1].record == Progress(partition=0, partitions=1, event_time=AT + 8 * MINUTE, idle=False)


def test_rows_from_outside_the_window_are_left_out_and_the_others_keep_their_numbers(tmp_path: Path) -> None:
    path = lines(tmp_path / "m.jsonl", [row(number) for number in range(1, 9)])
    window = Window(since=AT + 3 * MINUTE, until=AT + 5 * MINUTE)
    records, _ = read(opened(path, window=window))
    assert [item.offset for item in records] == [0, 3, 4, 5, 6]
    assert records[-1].record == Progress(partition=0, partitions=1, event_time=AT + 8 * MINUTE, idle=False)
    assert read(opened(path, window=window, sort=True, scratch=tmp_path))[0][1].record == records[1].record


def test_what_had_not_arrived_by_then_was_not_known(tmp_path: Path) -> None:
    late = iso(AT + timedelta(hours=9))
    path = lines(tmp_path / "m.jsonl", [row(1), row(2, received_at=late), row(3)])
    records, _ = read(opened(path, window=Window(known_at=AT + timedelta(hours=1))))
    assert [item.message_id for item in mentions(records)] == ["wire:n1", "wire:n3"]


def test_an_empty_range_is_told_with_what_there_is(tmp_path: Path) -> None:
    path = lines(tmp_path / "m.jsonl", [row(1), row(2)])
    assert complaint(path, window=Window(since=AT + timedelta(days=1))) == (
        f"{path}: an empty range: no row is in it (from 2026-03-03T14:00:00Z); the rows go from 2026-03-02T14:01:00Z "
        "to 2026-03-02T14:02:00Z"
    )
    assert complaint(path, window=Window(until=AT - timedelta(days=1))).endswith(
        "no row is in it (until 2026-03-01T14:00:00Z); the rows begin at 2026-03-02T14:01:00Z"
    )
    assert complaint(lines(tmp_path / "none.jsonl", [])).endswith("none.jsonl: there are no rows")
    said = complaint(lines(tmp_path / "bad.jsonl", [row(1, negative=2), b"{"]))
    assert "none of the rows can be used (2); the first: " in said
    assert "bad.jsonl:1: negative: a probability" in said


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_missing_column_is_told_once_with_those_there_and_the_nearest(tmp_path: Path, kind: str) -> None:
    item = row(1)
    item["negativ"] = item.pop("negative")
    path = tmp_path / f"m.{kind}"
    if kind == "csv":
        table(path, [item])
    elif kind == "jsonl":
        lines(path, [item])
    else:
        parquet.write_table(pyarrow.Table.from_pylist([item]), path)
    said = complaint(path)
    assert said.startswith(f"{path}")
    assert "no column for the negative; the columns are id, entity," in said
    assert "'negativ' may be meant; name one with --column negative=NAME" in said
    assert len(mentions(read(opened(path, columns={"negative": "negativ"}))[0])) == 1


def test_a_column_that_is_named_for_an_unknown_field_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'negatve' is no field"):
        opened(lines(tmp_path / "m.jsonl", [row(1)]), columns={"negatve": "x"})


def test_a_gzip_that_breaks_off_or_is_corrupt_in_the_middle_is_told_before_a_row_is_used(tmp_path: Path) -> None:
    path = lines(tmp_path / "m.jsonl.gz", [row(number, text=f"{number * 7919 % 10007:x}") for number in range(30_000)])
    data = path.read_bytes()
    middle = len(data) // 2
    path.write_bytes(data[:middle])
    with pytest.raises(InputError) as caught:
        opened(path)
    assert str(caught.value).startswith(f"{path}: the gzip data is corrupt or breaks off at about line ")
    line = int(str(caught.value).split("about line ")[1].split(" ")[0].replace(",", ""))
    assert 12_000 < line < 18_000
    for spoilt in (bytes(200), b"\xff" * 200):
        path.write_bytes(data[:middle] + spoilt + data[middle + 200 :])
        with pytest.raises(InputError, match=f"{path.name}: the gzip data is corrupt.* line .*: fetch the file again"):
            opened(path)
    path.write_bytes(b"no gzip at all")
    with pytest.raises(InputError, match=r"m\.jsonl\.gz: is no gzip data, although it is named \.gz"):
        opened(path)


def test_a_compressed_file_that_is_not_named_so_is_read_as_what_it_is(tmp_path: Path) -> None:
    plain = lines(tmp_path / "plain.jsonl", [row(number) for number in range(50)])
    packed = tmp_path / "packed.jsonl"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    records, bad = read(opened(packed))
    assert (records, bad) == read(opened(plain))
    assert len(records) == 52
    # As with any compressed file, what is corrupt is told before a row is used.
    packed.write_bytes(packed.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"packed\.jsonl: the gzip data is corrupt or breaks off at about line"):
        opened(packed)


def test_copies_of_a_file_are_not_counted_twice(tmp_path: Path) -> None:
    one, two = lines(tmp_path / "a.jsonl", [row(1)]), lines(tmp_path / "b.jsonl", [row(1)])
    with pytest.raises(InputError, match="hold the same bytes"):
        opened(one, two)


def test_what_decides_the_records_decides_the_identity(tmp_path: Path) -> None:
    path = lines(tmp_path / "m.jsonl", [row(1)])
    facts = opened(path).facts
    assert facts == opened(path).facts
    assert facts.parts == ({"name": str(path), "bytes": path.stat().st_size, "sha256": facts.parts[0]["sha256"]},)
    (tmp_path / "moved").mkdir()
    assert opened(path.rename(tmp_path / "moved" / "m.jsonl")).facts.identity == facts.identity
    path = tmp_path / "moved" / "m.jsonl"
    others = [
        opened(path, window=Window(until=AT)).facts.identity,
        opened(path, assume_utc=True).facts.identity,
        opened(path, default_source="other").facts.identity,
        opened(lines(path, [row(1, negative=0.26)])).facts.identity,
    ]
    assert len({facts.identity, *others}) == 5
