"""Raw messages from files, as the scoring stage takes them from Kafka."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from streams.config import Settings
from streams.errors import InputError
from streams.ingest.decode import Decoder, Limits
from streams.records import Message, Progress, encode
from streams.replay.sources.files import estimated_total
from streams.replay.sources.open_source import open_messages
from streams.replay.sources.options import FileOptions, Window
from streams.replay.sources.source import BadRecord, MessageSource
from streams.scoring import RawRecord

AT = datetime(2026, 3, 2, 14, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
CONFIG = Settings()


def row(number: int, at: datetime | None = None, **fields: Any) -> dict[str, Any]:
    moment = (at or AT + number * MINUTE).isoformat().replace("+00:00", "Z")
    return {"id": f"n{number}", "source": "wire", "published_at": moment, "text": f"Ostermere opens {number}", **fields}


def csv(path: Path, rows: list[dict[str, Any]]) -> Path:
    names = list(rows[0])
    text = "\n".join([",".join(names), *(",".join(f'"{item[name]}"' for name in names) for item in rows)])
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def lines(path: Path, rows: Iterable[dict[str, Any] | bytes]) -> Path:
    path.write_bytes(
        b"".join((item if isinstance(item, bytes) else json.dumps(item).encode()) + b"\n" for item in rows)
    )
    return path


def opened(*paths: Path, window: Window | None = None, **options: Any) -> MessageSource:
    return open_messages([str(path) for path in paths], CONFIG, options=FileOptions(**options), window=window)


def read(source: MessageSource, *, skip: int = 0) -> tuple[list[RawRecord], list[BadRecord]]:
    bad: list[BadRecord] = []
    return list(source.records(skip=skip, on_bad=bad.append)), bad


def message(record: RawRecord) -> Message:
    decoded = Decoder(Limits()).decode(record.value, received_at=record.received_at)
    assert not decoded.clamped
    return decoded.message


def ids(records: list[RawRecord]) -> list[str]:
    return [message(record).id for record in records]


def complaint(*paths: Path, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        read(opened(*paths, **options))
    return str(caught.value)


@pytest.mark.parametrize("name", ["m.csv", "m.csv.gz", "m.tsv.jsonl", "m.parquet"])
def test_rows_come_as_the_records_that_publishing_them_would_make(tmp_path: Path, name: str) -> None:
    path, rows = tmp_path / name, [row(1), row(2)]
    if name.endswith("jsonl"):
        lines(path, rows)
    elif name.endswith("parquet"):
        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    else:
        csv(path, rows)
    source = opened(path)
    assert source.partitions == (0,)
    assert source.total == 2
    records, bad = read(source)
    assert bad == []
    wanted = Message(id="n1", source="wire", published_at=AT + MINUTE, text="Ostermere opens 1")
    assert records[0] == RawRecord(partition=0, offset=1, key=b"wire", value=encode(wanted), received_at=AT + MINUTE)
    assert [record.offset for record in records] == [1, 2]


def test_a_message_arrived_when_its_row_says_and_else_when_it_was_published(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "m.jsonl",
        [row(1), row(2, arrived_at="2026-03-02T23:00:00+08:00"), row(3, received_at="soon"), row(4, received_at="")],
    )
    records, bad = read(opened(path))
    assert [record.received_at for record in records] == [AT + MINUTE, AT + 60 * MINUTE, AT + 4 * MINUTE]
    assert [item.where for item in bad] == [f"{path}:3"]
    known, _ = read(opened(path, window=Window(known_at=AT + 30 * MINUTE)))
    assert ids(known) == ["n1", "n4"]
    named = lines(tmp_path / "n.jsonl", [row(1, came="2026-03-02T15:00:00Z")])
    assert read(opened(named, columns={"received_at": "came"}))[0][0].received_at == AT + 60 * MINUTE


def test_columns_may_be_named_and_the_file_names_the_source(tmp_path: Path) -> None:
    path = lines(tmp_path / "desk.jsonl", [{"when": "2026-03-02T14:00:00Z", "note": "Ostermere closes"}])
    columns = {"text": "note", "published_at": "when"}
    (record,), _ = read(opened(path, columns=columns))
    assert message(record).source == "desk"
    (record,), _ = read(opened(path, columns=columns, default_source="feed"))
    assert message(record).source == "feed"


@pytest.mark.parametrize("sort", [False, True])
def test_a_reading_goes_on_after_any_record_and_tells_no_bad_row_twice(tmp_path: Path, sort: bool) -> None:
    path = lines(tmp_path / "m.jsonl", [row(1, text=""), row(2), b"{", row(3), row(4, published_at="never"), row(5)])
    whole, told = read(opened(path, sort=sort))
    assert [item.where.rpartition(":")[2] for item in told] == ["1", "3", "5"]
    for taken in range(1, len(whole) + 1):
        before: list[BadRecord] = []
        going = opened(path, sort=sort).records(on_bad=before.append)
        assert [next(going) for _ in range(taken)] == whole[:taken]
        rest, after = read(opened(path, sort=sort), skip=taken)
        assert rest == whole[taken:]
        assert before + after == told


def test_unsorted_rows_are_an_error_and_sorted_on_request(tmp_path: Path) -> None:
    path = csv(tmp_path / "m.csv.gz", [row(9), row(1), row(5, source="gazette"), row(3)])
    assert f"{path}:3: the rows are not in the order of time" in complaint(path)
    whole, _ = read(opened(csv(tmp_path / "sorted.csv", [row(1), row(3), row(5, source="gazette"), row(9)])))
    for memory_bytes in (1, 1_000_000):
        records, _ = read(opened(path, sort=True, scratch=tmp_path, sort_memory_bytes=memory_bytes))
        assert [record.value for record in records] == [record.value for record in whole]
        assert [(record.key, record.received_at) for record in records] == [
            (record.key, record.received_at) for record in whole
        ]
        assert [record.offset for record in records] == [2, 4, 3, 1]


def test_only_the_window_is_read_and_what_comes_well_after_it_not_at_all(tmp_path: Path) -> None:
    path = lines(tmp_path / "m.jsonl", [*(row(number) for number in range(1, 9)), b"never read"])
    records, bad = read(opened(path, window=Window(since=AT + 2 * MINUTE, until=AT + 4 * MINUTE)))
    assert ids(records) == ["n2", "n3", "n4"]
    assert bad == []
    assert "an empty range" in complaint(path, window=Window(until=AT - MINUTE))


def test_a_time_without_an_offset_is_a_bad_row_unless_it_is_assumed_to_be_utc(tmp_path: Path) -> None:
    path = lines(tmp_path / "m.jsonl", [row(1), row(2, published_at="2026-03-02 14:02:00")])
    assert "--assume-utc" in read(opened(path))[1][0].detail
    assert ids(read(opened(path, assume_utc=True))[0]) == ["n1", "n2"]


@pytest.mark.parametrize("name", ["m.csv", "m.jsonl"])
def test_a_missing_column_is_told_once_with_those_there(tmp_path: Path, name: str) -> None:
    item = {"publishd_at": "2026-03-02T14:00:00Z", "text": "Ostermere closes"}
    path = (csv if name.endswith("csv") else lines)(tmp_path / name, [item])
    assert complaint(path) == (
        f"{path}:1: no column for the time; the columns are publishd_at, text; 'publishd_at' may be meant; name one "
        "with --column published_at=NAME"
    )


def test_scored_mentions_are_no_messages(tmp_path: Path) -> None:
    record = encode(Progress(partition=0, partitions=1, event_time=AT, idle=False))
    path = lines(tmp_path / "mentions.jsonl", [record])
    assert complaint(path) == f"{path}:1: these are scored mentions, not messages: replay them with --as-scored"


def test_a_corrupt_gzip_is_told_before_a_row_is_used(tmp_path: Path) -> None:
    path = csv(tmp_path / "m.csv.gz", [row(number) for number in range(2_000)])
    path.write_bytes(path.read_bytes()[:-2_000])
    with pytest.raises(InputError, match=r"breaks off at about line [1-9][\d,]*"):
        opened(path)


def test_rows_are_about_counted_also_where_texts_go_over_lines(tmp_path: Path) -> None:
    rows = [row(number, text=f"Ostermere\n\n\nopens {number * 7919 % 10007:x}") for number in range(40_000)]
    packed = csv(tmp_path / "m.csv.gz", rows)
    plain = csv(tmp_path / "n.csv", rows)
    assert plain.stat().st_size > 1 << 18 < packed.stat().st_size
    assert estimated_total([packed]) == pytest.approx(40_000, rel=0.1)
    assert estimated_total([plain, packed]) == pytest.approx(80_000, rel=0.1)
    assert estimated_total([tmp_path / "missing.csv"]) is None
