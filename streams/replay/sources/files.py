"""What message files and mention files have in common: what they are, how many rows, and what is said of errors."""

from __future__ import annotations

import csv
import gzip
import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec

from streams.errors import InputError
from streams.ingest.readers import GZIP, estimated_rows, is_gzip, is_json_lines
from streams.ingest.rows import check_columns
from streams.replay.sources.options import FIELDS, FileOptions, Window, column_option
from streams.replay.sources.source import BadRecord, OnBad, SourceFacts

_CHUNK_BYTES = 1 << 20
_UNPACKED_BYTES = 1 << 16
"""Unpacked at once: the finer, the closer the line that is told of a corrupt file."""
_LOOKED_AT_BYTES = 1 << 18
"""This much of a file is read to estimate its rows."""


@dataclass(slots=True)
class Tally:
    """What a reading came to, for the error where it came to nothing."""

    rows: int = 0
    bad: int = 0
    kept: int = 0
    first_bad: str | None = None
    first: datetime | None = None
    """Least event time of all good rows."""
    last: datetime | None = None
    """Greatest event time of all good rows."""
    stopped: bool = False
    """Later rows were not read: none of them can be in the range."""

    def good(self, at: datetime) -> None:
        """Take the event time of a good row into account, wanted or not."""
        self.rows += 1
        if self.last is None or at > self.last:
            self.last = at
        if self.first is None or at < self.first:
            self.first = at

    def refused(self, bad: BadRecord, on_bad: OnBad) -> None:
        """Take a bad row into account, and tell it."""
        self.rows += 1
        self.bad += 1
        if self.first_bad is None:
            self.first_bad = f"{bad.where}: {bad.detail}"
        on_bad(bad)

    def refuse_nothing(self, names: str, window: Window) -> None:
        """Raise InputError if no row was kept: an empty result would look like a quiet market."""
        if self.kept:
            return
        if not self.rows:
            raise InputError(f"{names}: there are no rows")
        if self.bad == self.rows:
            raise InputError(f"{names}: none of the rows can be used ({self.rows:,}); the first: {self.first_bad}")
        there = f"begin at {self.first:%Y-%m-%dT%H:%M:%SZ}"
        if not self.stopped:
            there = f"go from {self.first:%Y-%m-%dT%H:%M:%SZ} to {self.last:%Y-%m-%dT%H:%M:%SZ}"
        raise InputError(f"{names}: an empty range: no row is in it ({window}); the rows {there}")


def told_before(bad: BadRecord) -> None:
    """Tell a bad row to nobody: the run that this one goes on from was told."""


def describe_files(
    text: str, paths: Sequence[Path], options: FileOptions, window: Window, further: Mapping[str, Any]
) -> SourceFacts:
    """Read all files once for their hashes, and say what they are.

    Compressed ones are unpacked to their end: what is corrupt in the middle may unpack to rows that look good, and only
    the checksum at the end tells. Nothing of such a file is used.

    Args:
        text: as the user named them.
        paths: the files.
        options: how they are read.
        window: which part of them.
        further: what else decides their records.

    Raises:
        InputError: a file cannot be read or is corrupt, two hold the same bytes, or `options` names an unknown field.
    """
    for field in options.columns:
        if field not in FIELDS:
            raise InputError(f"{field!r} is no field that a column can be named for; there is {', '.join(FIELDS)}")
    parts = []
    by_hash: dict[str, Path] = {}
    for path in paths:
        size, digest = _hashed(path)
        if is_gzip(path):
            _unpack(path)
        if size and digest in by_hash:
            raise InputError(f"{by_hash[digest]} and {path} hold the same bytes: name one of them")
        by_hash[digest] = path
        parts.append({"name": str(path), "bytes": size, "sha256": digest})
    decides = {
        # The name is the source of rows that name none; the folder it lies in decides nothing.
        "files": [(path.name, part["sha256"]) for path, part in zip(paths, parts, strict=True)],
        "columns": dict(sorted(options.columns.items())),
        "default_source": options.default_source,
        "assume_utc": options.assume_utc,
        "limits": options.limits,
        "sort": options.sort,
        "window": [window.since, window.until, window.known_at],
        "further": dict(further),
    }
    return SourceFacts(kind="files", text=text, parts=tuple(parts), identity=identity_of(decides))


def identity_of(decides: Mapping[str, Any]) -> str:
    """Hash what decides a source's records, 16 hexadecimal digits."""
    return hashlib.sha256(msgspec.json.encode(decides, order="sorted")).hexdigest()[:16]


def estimated_total(paths: Sequence[Path]) -> int | None:
    """About how many rows files have together; None where that is not known without reading them."""
    sizes = [_about_rows(path) for path in paths]
    return None if None in sizes else sum(size or 0 for size in sizes)


def source_name(path: Path, options: FileOptions) -> str:
    """The source of rows that name none, as `squall publish` has it."""
    return options.default_source or path.name.removesuffix(".gz").rpartition(".")[0] or path.name


def check_first(
    path: Path,
    line: int,
    values: Mapping[str, object],
    columns: Mapping[str, str],
    needed: Sequence[tuple[str, ...]],
    synonyms: Mapping[str, tuple[str, ...]],
) -> None:
    """Refuse a file of JSON lines whose first object lacks a field, before each of its lines is refused for it."""
    try:
        check_columns(list(values), columns, needed, synonyms, column_option)
    except InputError as error:
        raise InputError(f"{path}:{line}: {error}") from error


def _hashed(path: Path) -> tuple[int, str]:
    digest = hashlib.sha256()
    size = 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
                size += len(chunk)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    return size, digest.hexdigest()


def _unpack(path: Path) -> None:
    """Unpack a file and throw it away. Raises InputError with about the line where it is corrupt."""
    lines = 0
    try:
        with gzip.open(path) as file:
            while chunk := file.read(_UNPACKED_BYTES):
                lines += chunk.count(b"\n")
    except (zlib.error, EOFError) as error:
        where = f"at about line {lines + 1:,}"
        raise InputError(
            f"{path}: the gzip data is corrupt or breaks off {where} ({error}): fetch the file again"
        ) from error
    except gzip.BadGzipFile as error:
        where = f", at or before line {lines:,}" if lines else ""
        raise InputError(f"{path}: the gzip data is corrupt{where} ({error}): fetch the file again") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def _about_rows(path: Path) -> int | None:
    """Rows of a file's beginning, taken for the whole: a text may go over many lines."""
    if path.suffix.lower() in (".parquet", ".pq"):
        return estimated_rows(path)
    try:
        with path.open("rb") as file:
            head = file.read(_LOOKED_AT_BYTES)
        data = head
        if head.startswith(GZIP):
            data = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(head)
        share = path.stat().st_size / max(len(head), 1)
    except (zlib.error, OSError):
        return None  # reading it will say what is wrong
    if is_json_lines(path):
        return round((data.count(b"\n") + (share == 1 and not data.endswith(b"\n"))) * share)
    try:
        rows = sum(1 for _ in csv.reader(StringIO(data.decode(errors="replace"), newline="")))
    except csv.Error:
        return None
    return round(max(rows - 1, 0) * share)
