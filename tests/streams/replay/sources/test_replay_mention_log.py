"""Files that were written from the mentions' log: their own clock, and their seeds."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from streams.ingest.decode import Limits
from streams.records import Mention, Origin, Progress, Seed, SeededBaseline, encode
from streams.replay.sources.mention_rows import MentionRows
from streams.replay.sources.options import Window
from streams.replay.sources.source import Numbered
from tests.streams.replay.sources.scored_rows import (
    AT,
    MINUTE,
    complaint,
    lines,
    mentions,
    opened,
    read,
    row,
)

SEED = Seed(
    entity="BRMFD",
    learned_until=AT,
    learned_at=AT + timedelta(hours=1),
    baselines={"Surge": SeededBaseline(rule_version="0" * 12, votes=120.0, negative=12.0, at=AT)},
    identity="0" * 16,
)
HEARD = Progress(partition=0, partitions=1, event_time=None, idle=False)


def log(*records: Mention | Progress) -> list[Mention | Progress]:
    begin = [Progress(partition=number, partitions=2, event_time=None, idle=False) for number in range(2)]
    return [*begin, *records]


def scored(number: int, *, partition: int = 1, at: datetime | None = None) -> Mention:
    rows = MentionRows(limits=Limits(), text_chars=2_000)
    found = rows.quick(json.dumps(row(number, at)).encode(), number)
    assert isinstance(found, Mention)
    return msgspec.structs.replace(found, origin=Origin(partition=partition, offset=number), topic="deals")


def mention_of(number: int) -> Mention:
    """A row as a record."""
    made = MentionRows(limits=Limits(), text_chars=4_000).quick(json.dumps(row(number)).encode(), number)
    assert isinstance(made, Mention)
    return made


def test_a_file_written_from_the_log_keeps_its_own_clock(tmp_path: Path) -> None:
    late = scored(7, at=AT - timedelta(hours=2))
    told = Progress(partition=0, partitions=2, event_time=AT + 30 * MINUTE, idle=False)
    content = log(scored(1), late, told)
    records, bad = read(opened(lines(tmp_path / "mentions.jsonl.gz", content)))
    assert bad == []
    assert [item.record for item in records[1:-2]] == content
    assert records[0].record == content[0]
    assert [item.offset for item in records] == list(range(8))
    ends = [item.record for item in records[-2:]]
    assert ends == [
        Progress(partition=number, partitions=2, event_time=AT + 33 * MINUTE, idle=False) for number in range(2)
    ]


def test_mentions_of_a_log_from_outside_the_window_still_move_its_clock(tmp_path: Path) -> None:
    path = lines(tmp_path / "m.jsonl", log(scored(1), scored(90), scored(2)))
    records, _ = read(opened(path, window=Window(until=AT + 5 * MINUTE)))
    assert [item.message_id for item in mentions(records)] == ["wire:n1", "wire:n2"]
    step = Progress(partition=1, partitions=0, event_time=AT + 90 * MINUTE, idle=False)
    assert Numbered(4, step) in records


def test_mentions_without_a_clock_of_their_own_are_of_one_partition(tmp_path: Path) -> None:
    records, _ = read(opened(lines(tmp_path / "m.jsonl", [scored(1, partition=3), scored(2, partition=2)])))
    assert [item.origin for item in mentions(records)] == [Origin(partition=0, offset=1), Origin(partition=0, offset=2)]
    assert {item.topic for item in mentions(records)} == {"deals"}


def test_a_clock_that_begins_in_the_middle_is_refused_and_sorting_does_without(tmp_path: Path) -> None:
    progress = Progress(partition=0, partitions=2, event_time=AT, idle=False)
    path = lines(tmp_path / "m.jsonl", [row(1), progress, scored(2)])
    assert f"{path}:2: a progress record" in complaint(path)
    assert len(mentions(read(opened(path, sort=True, scratch=tmp_path))[0])) == 2


def test_a_record_that_is_not_one_is_told_by_its_reason(tmp_path: Path) -> None:
    newer = encode(scored(2)).replace(b'"schema":1', b'"schema":9')
    path = lines(tmp_path / "m.jsonl", [scored(1), newer, b'{"type":"mention"}', b'{ "type": "progress" }'])
    _, bad = read(opened(path))
    assert [item.reason for item in bad] == ["newer_schema", "wrong_type", "wrong_type"]


def test_seeds_that_stand_before_all_else_in_a_log_keep_their_places_and_its_clock(tmp_path: Path) -> None:
    own = [SEED] * 150  # a warm start before the first worker
    told = Progress(partition=0, partitions=1, event_time=AT + 5 * MINUTE, idle=False)
    records, bad = read(opened(lines(tmp_path / "log.jsonl", [*own, HEARD, mention_of(1), told])))
    assert not bad
    assert [record for _, record in records[1:151]] == own
    assert records[1].offset == 1
    assert [type(record) for _, record in records[151:154]] == [Progress, Mention, Progress]
    assert records[153].record == told


def test_a_seed_among_rows_without_a_clock_keeps_its_place_and_is_left_out_of_sorted_ones(tmp_path: Path) -> None:
    path = lines(tmp_path / "rows.jsonl", [row(1), SEED, row(2)])
    records, _ = read(opened(path))
    assert [type(record) for _, record in records[1:-1]] == [Mention, Seed, Mention]
    records, bad = read(opened(path, sort=True))
    assert [type(record) for _, record in records[1:-1]] == [Mention, Mention]
    assert not bad


def test_a_seed_that_was_not_known_then_is_left_out(tmp_path: Path) -> None:
    path = lines(tmp_path / "log.jsonl", [HEARD, SEED, mention_of(1)])
    for minutes, expected in [(59, 0), (60, 1)]:
        records, _ = read(opened(path, window=Window(known_at=AT + minutes * MINUTE)))
        assert sum(isinstance(record, Seed) for _, record in records) == expected


def test_a_broken_seed_is_a_bad_row(tmp_path: Path) -> None:
    broken = encode(SEED).replace(b"12.0,", b"120.5,")
    _, (bad,) = read(opened(lines(tmp_path / "log.jsonl", [HEARD, broken, mention_of(1)])))
    assert (bad.reason, bad.where) == ("wrong_type", f"{tmp_path / 'log.jsonl'}:2")
    assert "more than the 120 votes" in bad.detail
