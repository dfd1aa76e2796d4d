"""Scored history from files: the records of one partition that ends, and what is said of files that are not right."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from streams.config import Settings
from streams.errors import InputError
from streams.ingest.decode import Limits
from streams.records import Mention, Origin, Progress, Seed, SeededBaseline, encode
from streams.replay.sources.mention_rows import BadRow, MentionRows
from streams.replay.sources.open_source import open_mentions
from streams.replay.sources.options import FileOptions, Window
from streams.replay.sources.source import BadRecord, MentionSource, Numbered

AT = datetime(2026, 3, 2, 14, tzinfo=UTC)
CONFIG = Settings()
MINUTE = timedelta(minutes=1)


def iso(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def row(number: int, at: datetime | None = None, **fields: Any) -> dict[str, Any]:
    """A row with the fields of a scenario."""
    return {
        "id": f"n{number}",
        "entity": "BRMFD",
        "source": "wire",
        "author": f"author-{number}",
        "story": f"story-{number // 2}",
        "published_at": iso(at or AT + number * MINUTE),
        "negative": 0.25,
        "neutral": 0.5,
        "positive": 0.25,
        "text": f"Brindlemoor Foods opens plant number {number}",
        **fields,
    }


def lines(path: Path, rows: Iterable[Any]) -> Path:
    data = b"".join(
        (item if isinstance(item, bytes) else json.dumps(item).encode() if isinstance(item, dict) else encode(item))
        + b"\n"
        for item in rows
    )
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def table(path: Path, rows: list[dict[str, Any]]) -> Path:
    names = list(rows[0])
    path.write_text("\n".join([",".join(names), *(",".join(str(item[name]) for name in names) for item in rows)]))
    return path


def opened(*paths: Path, window: Window | None = None, trust: bool = False, **options: Any) -> MentionSource:
    return open_mentions(
        [str(path) for path in paths], CONFIG, options=FileOptions(**options), window=window, trust_stories=trust
    )


def read(source: MentionSource, *, after: int = -1) -> tuple[list[Numbered], list[BadRecord]]:
    bad: list[BadRecord] = []
    return list(source.records(0, after=after, on_bad=bad.append)), bad


def mentions(records: list[Numbered]) -> list[Mention]:
    return [item.record for item in records if isinstance(item.record, Mention)]


def complaint(*paths: Path, window: Window | None = None, trust: bool = False, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        read(opened(*paths, window=window, trust=trust, **options))
    return str(caught.value)


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


def test_a_given_story_is_taken_on_request_only(tmp_path: Path) -> None:
    path = lines(tmp_path / "m.jsonl", [row(1), row(2, story=""), row(3, story=17)])
    given, _ = read(opened(path, trust=True))
    assert [item.story for item in mentions(given)] == ["story-0", msgspec.UNSET, "17"]
    found, _ = read(opened(path))
    assert {item.story for item in mentions(found)} == {msgspec.UNSET}
    assert opened(path).facts.identity != opened(path, trust=True).facts.identity


def test_stories_to_be_trusted_must_be_there(tmp_path: Path) -> None:
    bare = {key: value for key, value in row(1).items() if key != "story"}
    assert "no column for the story" in complaint(lines(tmp_path / "m.jsonl", [bare]), trust=True)


@pytest.mark.parametrize("value", [-0.1, 1.5, 85, "high", None, True])
def test_what_is_no_probability_is_a_bad_row(tmp_path: Path, value: Any) -> None:
    path = lines(tmp_path / "m.jsonl", [row(1), row(2, negative=value)])
    records, bad = read(opened(path))
    assert len(mentions(records)) == 1
    assert [item.where for item in bad] == [f"{path}:2"]
    assert "negative" in bad[0].detail


@pytest.mark.parametrize("value", ["nan", "NaN", "inf", "1.01", ""])
def test_what_is_no_probability_in_a_table_is_a_bad_row(tmp_path: Path, value: str) -> None:
    path = table(tmp_path / "m.csv", [row(1), row(2, negative=value)])
    records, bad = read(opened(path))
    assert len(mentions(records)) == 1
    assert [item.where for item in bad] == [f"{path}:3"]
    assert "negative" in bad[0].detail


def test_nan_in_parquet_is_a_bad_row(tmp_path: Path) -> None:
    parquet.write_table(pyarrow.Table.from_pylist([row(1), row(2, negative=float("nan"))]), tmp_path / "m.parquet")
    records, bad = read(opened(tmp_path / "m.parquet"))
    assert len(mentions(records)) == 1
    assert "a probability from 0 to 1 is needed, not nan" in bad[0].detail


def test_what_is_not_given_of_the_sentiments_is_what_the_others_leave(tmp_path: Path) -> None:
    bare = {key: value for key, value in row(1).items() if key not in ("neutral", "positive")}
    path = lines(
        tmp_path / "m.jsonl", [bare, {**bare, "id": "n2", "positive": 0.5}, {**bare, "id": "n3", "neutral": 0.5}]
    )
    records, _ = read(opened(path))
    assert [(item.neutral, item.positive) for item in mentions(records)] == [(0.75, 0.0), (0.25, 0.5), (0.5, 0.25)]


def test_mixed_time_zones_come_out_in_utc_and_a_time_without_one_is_refused_unless_told(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "m.jsonl",
        [
            row(1, published_at="2026-03-02T22:00:00+08:00"),
            row(2, published_at="2026-03-02T09:01:00-05:00"),
            row(3, published_at="2026-03-02T14:02:00"),
            row(4, published_at=1_772_460_180),
        ],
    )
    records, bad = read(opened(path))
    assert [item.published_at for item in mentions(records)] == [AT, AT + MINUTE, AT + 3 * MINUTE]
    assert all(item.published_at.tzinfo is UTC for item in mentions(records))
    assert "has no offset such as Z or +08:00; with --assume-utc" in bad[0].detail
    assumed, none = read(opened(path, assume_utc=True))
    assert [item.published_at for item in mentions(assumed)][2] == AT + 2 * MINUTE
    assert none == []


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_a_time_behind_which_the_calendar_ends_is_a_bad_row(tmp_path: Path, name: str) -> None:
    rows = [row(1), row(2, published_at="9999-12-31T23:59:59Z")]
    path = (lines if name.endswith("jsonl") else table)(tmp_path / name, rows)
    bad: list[BadRecord] = []
    records = list(opened(path).records(0, on_bad=bad.append))
    assert len([item for item in records if isinstance(item.record, Mention)]) == 1
    assert [item.detail for item in bad] == ["published 9999-12-31T23:59:59+00:00, after 2200-01-01T00:00:00+00:00"]


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


def log(*records: Mention | Progress) -> list[Mention | Progress]:
    begin = [Progress(partition=number, partitions=2, event_time=None, idle=False) for number in range(2)]
    return [*begin, *records]


def scored(number: int, *, partition: int = 1, at: datetime | None = None) -> Mention:
    rows = MentionRows(limits=Limits(), text_chars=2_000)
    found = rows.quick(json.dumps(row(number, at)).encode(), number)
    assert isinstance(found, Mention)
    return msgspec.structs.replace(found, origin=Origin(partition=partition, offset=number), topic="deals")


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


def test_control_characters_do_not_reach_the_monitor(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "m.jsonl", [row(1, text="Brindlemoor\x1b[2J Foods\nfalls", author="\x07Ines ", title="\x1b]0;x")]
    )
    (found,) = mentions(read(opened(path))[0])
    assert (found.text, found.author, found.title) == ("Brindlemoor[2J Foods\nfalls", "Ines", "]0;x")


def test_a_long_text_is_cut_as_the_scorer_cuts_it(tmp_path: Path) -> None:
    (found,) = mentions(read(opened(lines(tmp_path / "m.jsonl", [row(1, text="x" * 5_000)])))[0])
    assert len(found.text) == CONFIG.ingest.mention_text_chars


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


_words = st.text(st.sampled_from("aZ9 $%:\x07\n\x9fé果\ufeff"), max_size=6)
_maybe = st.one_of(st.none(), _words)
_times = st.sampled_from(
    ["2026-03-02T14:00:00Z", "2026-03-02T14:00:00.25+08:00", "2026-03-02T14:00:00", "1999-01-01T00:00:00Z", "soon"]
)
_numbers = st.one_of(st.floats(-0.2, 1.2), st.integers(-1, 2), st.none())


@given(
    st.fixed_dictionaries(
        {
            "id": _words,
            "entity": _words,
            "source": _words,
            "published_at": _times,
            "negative": _numbers,
            "text": _words,
        },
        optional={
            "neutral": _numbers,
            "positive": _numbers,
            "author": _maybe,
            "story": _maybe,
            "topic": _maybe,
            "title": _maybe,
            "url": _maybe,
            "lang": _maybe,
            "received_at": st.one_of(st.none(), _times),
            "user": _words,
        },
    )
)
def test_the_short_way_takes_nothing_that_the_long_way_would_take_otherwise(values: dict[str, Any]) -> None:
    rows = MentionRows(limits=Limits(), text_chars=2_000, trust_stories=True)
    line = json.dumps(values).encode()
    quick = rows.quick(line, 7)
    if quick is None:
        return
    try:
        assert quick == rows.from_line(line, 7, default_source="file")
    except BadRow as error:
        pytest.fail(f"the short way takes what is bad: {error}")


def test_nearly_all_lines_go_the_short_way() -> None:
    rows = MentionRows(limits=Limits(), text_chars=2_000, trust_stories=True)
    for item in (row(1), row(2, text="two\nlines — 果仁"), row(3, published_at="2026-03-02T14:00:00+08:00")):
        assert rows.quick(json.dumps(item).encode(), 1) == rows.from_line(
            json.dumps(item).encode(), 1, default_source="file"
        )


SEED = Seed(
    entity="BRMFD",
    learned_until=AT,
    learned_at=AT + timedelta(hours=1),
    baselines={"Surge": SeededBaseline(rule_version="0" * 12, votes=120.0, negative=12.0, at=AT)},
    identity="0" * 16,
)
HEARD = Progress(partition=0, partitions=1, event_time=None, idle=False)


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


def mention_of(number: int) -> Mention:
    """A row as a record."""
    made = MentionRows(limits=Limits(), text_chars=4000).quick(json.dumps(row(number)).encode(), number)
    assert isinstance(made, Mention)
    return made
