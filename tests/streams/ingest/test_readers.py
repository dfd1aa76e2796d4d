"""Files are read row by row; a bad row is told with its line, a bad file with what to do."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from streams.errors import InputError
from streams.ingest.readers import Row, estimated_rows, has_columns, is_gzip, is_json_lines, read_lines, read_rows


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def texts(rows: Iterator[Row]) -> list[tuple[int, object]]:
    return [(row.line, row.error or row.values["text"]) for row in rows]


@pytest.mark.parametrize("name", ["a.csv", "a.CSV", "a.csv.gz"])
def test_csv_rows_carry_the_line_they_begin_on(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, name, '\ufeffid,text\r\n1,"Acme\r\n""falls"""\r\n\r\n2,Borealis\r\n')
    assert list(read_rows(path)) == [
        Row(2, {"id": "1", "text": 'Acme\r\n"falls"'}),
        Row(5, {"id": "2", "text": "Borealis"}),
    ]


def test_a_csv_row_with_too_many_or_too_few_fields_is_told_and_the_next_one_read(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "id,text\n1\n2,b,c\n3,good\n")
    assert texts(read_rows(path)) == [
        (2, "1 fields, the header has 2"),
        (3, "3 fields, the header has 2"),
        (4, "good"),
    ]


def test_a_csv_row_that_is_not_utf8_is_told_and_the_next_one_read(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", b"id,text\n1,caf\xe9\n2,good\n")
    assert texts(read_rows(path)) == [(2, "not UTF-8"), (3, "good")]


def test_a_quote_out_of_place_is_told_and_the_next_row_read(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", 'id,text\n1,"a"b\n2,good\n')
    rows = texts(read_rows(path))
    assert rows[0][0] == 2
    assert "expected after" in str(rows[0][1])
    assert rows[1] == (3, "good")


def test_a_quote_that_is_never_closed_is_told_where_it_opens(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", 'id,text\n1,good\n2,"open\n3,x\n')
    assert texts(read_rows(path))[1] == (3, "a quote is opened and never closed, up to the end of the file at line 4")


def test_a_long_field_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", f"text\n{'x' * 300_000}\n")
    assert len(str(texts(read_rows(path))[0][1])) == 300_000


def test_tabs_separate_a_tsv(tmp_path: Path) -> None:
    assert list(read_rows(written(tmp_path, "a.tsv", "id\ttext\n1\ta,b\n"))) == [Row(2, {"id": "1", "text": "a,b"})]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "a.csv: the file is empty"),
        ("\n1,2\n", "a.csv:1: the first line is empty"),
        ("id,text,id\n", "a.csv:1: column 'id' stands twice"),
        (b"caf\xe9\n", "a.csv:1: the header is not UTF-8"),
        ('"id"x,text\n', "a.csv:1: not a CSV header"),
        ("\ufeffid,text\n".encode("utf-16-le"), "is UTF-16, save it as UTF-8"),
    ],
)
def test_a_csv_without_a_good_header_is_refused(tmp_path: Path, content: str | bytes, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        list(read_rows(written(tmp_path, "a.csv", content)))


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.jsonl.gz"])
def test_json_lines_keep_their_types_and_bad_ones_are_told(tmp_path: Path, name: str) -> None:
    good = b'\xef\xbb\xbf{"id": 1, "text": "a", "symbols": ["ACME"]}\n\n'
    content = good + b'{"text": \n[1]\n"x"\n{"text": "\xe9"}\n{"text": "z"}'
    rows = list(read_rows(written(tmp_path, name, content)))
    assert rows[0] == Row(1, {"id": 1, "text": "a", "symbols": ["ACME"]})
    assert [(row.line, bool(row.error)) for row in rows[1:]] == [(3, True), (4, True), (5, True), (6, True), (7, False)]
    assert [row.error for row in rows[2:5]] == [
        "a JSON object is needed, this is an array",
        "a JSON object is needed, this is a string",
        "not UTF-8",
    ]


def test_text_lines_are_texts_and_any_file_can_be_read_as_such(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbfAcme, falls\r\n\n\xe9\nBorealis\n"
    expected = [(1, "Acme, falls"), (3, "not UTF-8"), (4, "Borealis")]
    assert texts(read_rows(written(tmp_path, "a.txt", content))) == expected
    assert texts(read_rows(written(tmp_path, "a.csv", content), text_lines=True)) == expected
    assert texts(read_rows(written(tmp_path, "a.log.gz", content), text_lines=True)) == expected


def test_parquet_rows_keep_their_types_over_several_batches(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    at = [1_772_460_000_000_000_001 + i for i in range(5_000)]
    table = pyarrow.table(
        {
            "id": pyarrow.array(range(5_000)),
            "text": [f"Acme {i}" for i in range(5_000)],
            "at": pyarrow.array(at, pyarrow.timestamp("ns", tz="Asia/Shanghai")),
        }
    )
    parquet.write_table(table, path, row_group_size=1_000)
    rows = list(read_rows(path))
    assert [row.line for row in rows] == list(range(1, 5_001))
    assert rows[4_999].values["text"] == "Acme 4999"
    moment = rows[0].values["at"]
    assert isinstance(moment, datetime)
    assert moment == datetime(2026, 3, 2, 14, 0, tzinfo=UTC)
    assert estimated_rows(path) == 5_000


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("a.xlsx", "x", "unknown type of file; Squall reads CSV"),
        ("noending", "x", "unknown type of file"),
        (".gz", "x", "unknown type of file"),
        ("a.json", "{}", "write one JSON object per line and name it .jsonl"),
        ("a.parquet.gz", "x", "unpack the .gz"),
        ("a.parquet", "no parquet", "not a readable Parquet file"),
    ],
)
def test_a_file_of_another_type_is_refused_with_what_to_do(
    tmp_path: Path, name: str, content: str, complaint: str
) -> None:
    with pytest.raises(InputError, match=complaint) as caught:
        list(read_rows(written(tmp_path, name, content)))
    assert name in str(caught.value)


def test_the_columns_are_told_before_the_first_row(tmp_path: Path) -> None:
    told: list[list[str]] = []
    (tmp_path / "a.csv").write_text("a,b\n")
    (tmp_path / "b.txt").write_text("x\n")
    parquet.write_table(pyarrow.table({"c": [1]}), tmp_path / "c.parquet")
    for name in ("a.csv", "b.txt", "c.parquet"):
        list(read_rows(tmp_path / name, on_header=told.append))
    assert told == [["a", "b"], ["text"], ["c"]]


def test_a_header_that_does_not_do_is_refused_with_a_hint_at_semicolons(tmp_path: Path) -> None:
    def refuse(header: list[str]) -> None:
        raise InputError("no column")

    (tmp_path / "a.csv").write_text("id;text\n1;x\n")
    (tmp_path / "b.csv").write_text("id,text\n1,x\n")
    with pytest.raises(InputError, match=r"a\.csv:1: no column\. It looks separated by semicolons"):
        list(read_rows(tmp_path / "a.csv", on_header=refuse))
    with pytest.raises(InputError, match=r"b\.csv:1: no column$"):
        list(read_rows(tmp_path / "b.csv", on_header=refuse))


def test_where_columns_are_needed_text_lines_are_not_offered(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x\n")
    with pytest.raises(InputError, match="no file with columns") as caught:
        list(read_rows(tmp_path / "a.txt", with_columns=True))
    assert "(.txt)" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.csv: no such file"):
        list(read_rows(tmp_path / "gone.csv"))
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        list(read_rows(tmp_path / "folder.csv"))


@pytest.mark.parametrize(
    ("name", "content"), [("a.jsonl", '{"text": "a"}\n{"text": "b"}\n'), ("a.csv", "text\na\nb\n"), ("a.txt", "a\nb\n")]
)
def test_a_compressed_file_is_unpacked_although_its_name_does_not_say_so(
    tmp_path: Path, name: str, content: str
) -> None:
    path = written(tmp_path, name, gzip.compress(content.encode()))
    assert [text for _, text in texts(read_rows(path))] == ["a", "b"]
    assert [line for _, line in read_lines(path)] == content.encode().splitlines(keepends=True)
    assert is_gzip(path)
    assert estimated_rows(path) is None


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.csv.GZ"])
def test_a_text_file_that_is_named_gz_is_refused_in_one_sentence(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b'{"text": "a"}\n{"text": "b"}\n')
    for read in (lambda: list(read_rows(path)), lambda: list(read_lines(path)), lambda: is_gzip(path)):
        with pytest.raises(InputError) as caught:
            read()
        told = "is no gzip data, although it is named .gz: take that off its name if it is text, or fetch it again"
        assert str(caught.value) == f"{path}: {told}"
    path.write_bytes(b"")
    assert not list(read_lines(path))


def test_a_file_that_is_compressed_twice_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "a.jsonl.gz", gzip.compress(b'{"text": "a"}\n'))
    with pytest.raises(InputError, match=r"a\.jsonl\.gz: is compressed twice, unpack it once"):
        list(read_rows(path))


def test_a_gzip_that_breaks_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    whole = gzip.compress(("text\n" + "".join(f"Acme {i * i}\n" for i in range(20_000))).encode())
    path.write_bytes(whole[: len(whole) // 2])
    rows = read_rows(path)
    assert next(rows).values == {"text": "Acme 0"}
    with pytest.raises(InputError, match="corrupt or breaks off"):
        list(rows)


def test_rows_are_counted_for_the_progress_bar_where_that_is_cheap(tmp_path: Path) -> None:
    assert estimated_rows(written(tmp_path, "a.csv", "text\na\nb\n")) == 3
    assert estimated_rows(written(tmp_path, "a.csv.gz", "text\na\nb\n")) is None
    assert estimated_rows(tmp_path / "gone.csv") is None


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson.gz"])
def test_lines_come_with_their_numbers_and_without_mark_and_blank_lines(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, name, b'\xef\xbb\xbf{"a":1}\n\n \t\n{"a":2}')
    assert list(read_lines(path)) == [(1, b'{"a":1}\n'), (4, b'{"a":2}')]


def test_a_file_tells_by_its_name_whether_it_has_columns() -> None:
    assert [
        name for name in ("a.csv.gz", "a.pq", "a.NDJSON", "a.txt", "a.json", "a", "a.pq.gz") if has_columns(Path(name))
    ] == [
        "a.csv.gz",
        "a.pq",
        "a.NDJSON",
    ]
    assert [name for name in ("a.csv", "a.jsonl.gz", "a.txt") if is_json_lines(Path(name))] == ["a.jsonl.gz"]
