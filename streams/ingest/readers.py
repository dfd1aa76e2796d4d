"""Rows of a user's file, one at a time: CSV, TSV, JSON lines, Parquet, text lines; all but Parquet also in gzip.

A bad row does not end the reading: it comes as a Row with an `error`, so that the caller decides whether to go on.
What concerns the whole file (missing, of unknown type, corrupt) raises InputError.
"""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedReader, TextIOWrapper
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import msgspec
import pyarrow
from pyarrow import parquet

from streams.errors import InputError

if TYPE_CHECKING:
    import _csv

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_JSON_LINES = (".jsonl", ".ndjson")
_PARQUET = (".parquet", ".pq")
_TEXT = (".txt",)
_WITH_COLUMNS = "CSV (.csv, .tsv), JSON lines (.jsonl, .ndjson) and Parquet (.parquet, .pq)"
_KNOWN = "CSV (.csv, .tsv), JSON lines (.jsonl, .ndjson), Parquet (.parquet, .pq) and text lines (.txt)"

_MAX_FIELD_CHARS = 1_048_576
"""Room for the longest record that Kafka takes by default; the csv module's own limit is an eighth of it."""

_PARQUET_BATCH_ROWS = 2_048
_NOT_UTF8 = re.compile("[\udc80-\udcff]")
"""What `surrogateescape` makes of bytes that are not UTF-8."""

OnHeader = Callable[[list[str]], None]
"""Told the columns of a file; raises InputError where they do not do."""

GZIP = b"\x1f\x8b"
"""How gzip data begins (RFC 1952), and no text in UTF-8 does."""

_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file.

    Args:
        line: the line it begins on, from 1; in Parquet the number of the row, from 1.
        values: by column name; a JSON line keeps its types, CSV and text lines hold strings.
        error: what is wrong with the row, in which case `values` may be empty; None for a good one.
    """

    line: int
    values: dict[str, object] = field(default_factory=dict)
    error: str | None = None


def read_rows(
    path: Path, *, text_lines: bool = False, with_columns: bool = False, on_header: OnHeader | None = None
) -> Iterator[Row]:
    """Read a file row by row, with bounded memory.

    Args:
        path: the file; its ending says what it is, apart from a further `.gz`. A text file that is compressed is
            unpacked, whether it is named so or not.
        text_lines: take it as text lines (one `text` per line) whatever its ending.
        with_columns: refuse text lines, for a message needs more than a text.
        on_header: told the columns before the first row; not called for JSON lines, where each line has its own.

    Raises:
        InputError: the file is missing, not readable, of unknown type, without a header, or corrupt; in part at
            the first `next`, for a file that breaks off in the middle where it does.
    """
    kind = ".txt" if text_lines else _kind(path, with_columns)
    _require_file(path)
    if kind in _PARQUET:
        yield from _parquet_rows(path, on_header)
        return
    with _opened(path) as file:
        if kind in _DELIMITERS:
            yield from _csv_rows(path, file, _DELIMITERS[kind], on_header)
        elif kind in _JSON_LINES:
            yield from _json_rows(file)
        else:
            _tell_header(on_header, ["text"], f"{path}: text lines")
            yield from _text_rows(file)


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a text file as bytes, unpacked, each with its number from 1; those of white space are left out.

    Raises:
        InputError: the file is missing, not readable, or corrupt, at the first `next` or where it breaks off.
    """
    _require_file(path)
    with _opened(path) as file:
        yield from _numbered(file)


def is_gzip(path: Path) -> bool:
    """Whether a file is compressed: by its first bytes, as names are wrong now and then.

    Raises:
        InputError: it cannot be read, or is named .gz and is something else.
    """
    with _telling(path), path.open("rb") as file:
        return _is_packed(path, file)


def has_columns(path: Path) -> bool:
    """Whether the name is that of a file with columns, which `read_rows` reads."""
    try:
        _kind(path, with_columns=True)
    except InputError:
        return False
    return True


def is_json_lines(path: Path) -> bool:
    """Whether the name is that of a file of JSON lines."""
    return has_columns(path) and _kind(path, with_columns=True) in _JSON_LINES


def estimated_rows(path: Path) -> int | None:
    """About how many rows a file has, for a progress bar; None where that is not known without unpacking it."""
    try:
        if path.suffix.lower() in _PARQUET:
            with parquet.ParquetFile(path) as file:
                return int(file.metadata.num_rows)
        with path.open("rb") as lines:
            if lines.peek(len(GZIP)).startswith(GZIP):
                return None
            return sum(chunk.count(b"\n") for chunk in iter(lambda: lines.read(1 << 20), b""))
    except (pyarrow.ArrowException, OSError):
        return None  # reading it will say what is wrong


def _require_file(path: Path) -> None:
    if not path.exists():
        raise InputError(f"{path}: no such file")
    if path.is_dir():
        raise InputError(f"{path}: is a folder, name the files in it")


def _tell_header(on_header: OnHeader | None, header: list[str], where: str) -> None:
    if on_header is None:
        return
    try:
        on_header(header)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _kind(path: Path, with_columns: bool) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compressed = bool(suffixes) and suffixes[-1] == ".gz"
    kind = (suffixes[:-1] if compressed else suffixes)[-1:]
    known_text = (*_DELIMITERS, *_JSON_LINES, *(() if with_columns else _TEXT))
    if kind and kind[0] in known_text:
        return kind[0]
    if kind and kind[0] in _PARQUET:
        if compressed:
            raise InputError(f"{path}: Parquet is compressed within, unpack the .gz around it")
        return kind[0]
    if kind == [".json"]:
        raise InputError(f"{path}: write one JSON object per line and name it .jsonl")
    if with_columns:
        raise InputError(f"{path}: no file with columns; what is read is {_WITH_COLUMNS}, the text ones also as .gz")
    raise InputError(f"{path}: unknown type of file; Squall reads {_KNOWN}, the text ones also as .gz")


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """The file's bytes, unpacked; what goes wrong while they are read is told as InputError too."""
    with _telling(path), path.open("rb") as raw:
        packed = _is_packed(path, raw)
        with gzip.GzipFile(fileobj=raw) if packed else raw as file:
            head = file.peek(2)[:2]
            if head in _UTF16_MARKS:
                raise InputError(f"{path}: is UTF-16, save it as UTF-8")
            if packed and head == GZIP:
                raise InputError(f"{path}: is compressed twice, unpack it once")
            yield cast(IO[bytes], file)


def _is_packed(path: Path, file: BufferedReader) -> bool:
    head = file.peek(len(GZIP))
    if head and path.suffix.lower() == ".gz" and not head.startswith(GZIP):
        told = "is no gzip data, although it is named .gz: take that off its name if it is text, or fetch it again"
        raise InputError(f"{path}: {told}")
    return head.startswith(GZIP)


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    try:
        yield
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise InputError(f"{path}: the gzip data is corrupt or breaks off ({error}): fetch the file again") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def _csv_rows(path: Path, file: IO[bytes], delimiter: str, on_header: OnHeader | None) -> Iterator[Row]:
    csv.field_size_limit(max(csv.field_size_limit(), _MAX_FIELD_CHARS))
    # Bytes that are not UTF-8 spoil their row, not the file: they are carried through and found again below.
    with TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        header = _header(path, reader)
        try:
            _tell_header(on_header, header, f"{path}:1")
        except InputError as error:
            if len(header) == 1 and ";" in header[0]:
                raise InputError(f"{error}. It looks separated by semicolons: save it with commas") from error
            raise
        yield from _csv_body(reader, header)


def _csv_body(reader: _csv.Reader, header: list[str]) -> Iterator[Row]:
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(line, error=_csv_error(error, line, reader.line_num))
            continue
        if not fields:
            continue  # an empty line, such as many files end with
        if len(fields) != len(header):
            yield Row(line, error=f"{len(fields)} fields, the header has {len(header)}")
        elif _NOT_UTF8.search("".join(fields)):
            yield Row(line, error="not UTF-8")
        else:
            yield Row(line, dict(zip(header, fields, strict=True)))


def _header(path: Path, reader: Iterator[list[str]]) -> list[str]:
    try:
        first = next(reader, None)
    except csv.Error as error:
        raise InputError(f"{path}:1: not a CSV header: {error}") from error
    if first is None:
        raise InputError(f"{path}: the file is empty, its first line must name the columns")
    header = [name.strip() for name in first]
    if not any(header):
        raise InputError(f"{path}:1: the first line is empty, it must name the columns")
    repeated = sorted({name for name in header if header.count(name) > 1 and name})
    if repeated:
        raise InputError(f"{path}:1: column {repeated[0]!r} stands twice, rename one")
    if any(_NOT_UTF8.search(name) for name in header):
        raise InputError(f"{path}:1: the header is not UTF-8, save the file as UTF-8")
    return header


def _csv_error(error: csv.Error, first: int, last: int) -> str:
    if "unexpected end of data" in str(error):
        return f"a quote is opened and never closed, up to the end of the file at line {last}"
    return f"{error}" if first == last else f"{error} (up to line {last})"


def _numbered(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    for number, raw in enumerate(file, start=1):
        line = raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw
        if line and not line.isspace():
            yield number, line


def _json_rows(file: IO[bytes]) -> Iterator[Row]:
    decoder = msgspec.json.Decoder()
    for number, line in _numbered(file):
        try:
            values = decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            yield Row(number, error="not UTF-8" if _is_not_utf8(line) else f"not JSON: {error}")
            continue
        if isinstance(values, dict):
            yield Row(number, values)
        else:
            yield Row(number, error=f"a JSON object is needed, this is {_json_name(values)}")


def _json_name(value: object) -> str:
    names = {list: "an array", str: "a string", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")


def _is_not_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return True
    return False


def _text_rows(file: IO[bytes]) -> Iterator[Row]:
    for number, raw in enumerate(file, start=1):
        try:
            text = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            yield Row(number, error="not UTF-8")
            continue
        if text.strip():
            yield Row(number, {"text": text})


def _parquet_rows(path: Path, on_header: OnHeader | None) -> Iterator[Row]:
    line = 0
    try:
        with parquet.ParquetFile(path) as file:
            _tell_header(on_header, file.schema_arrow.names, str(path))
            for batch in file.iter_batches(batch_size=_PARQUET_BATCH_ROWS):
                for values in _in_microseconds(batch).to_pylist():
                    line += 1
                    yield Row(line, values)
    except (pyarrow.ArrowException, OSError) as error:
        where = f"{path}: " if line == 0 else f"{path}: after row {line}: "
        raise InputError(f"{where}not a readable Parquet file: {error}") from error


def _in_microseconds(batch: pyarrow.RecordBatch) -> pyarrow.RecordBatch:
    """Python's times end at microseconds; pyarrow refuses to cut finer ones unless it is told to."""
    columns = [
        column.cast(pyarrow.timestamp("us", tz=column.type.tz), safe=False)
        if pyarrow.types.is_timestamp(column.type) and column.type.unit == "ns"
        else column
        for column in batch.columns
    ]
    return pyarrow.RecordBatch.from_arrays(columns, names=batch.schema.names)
