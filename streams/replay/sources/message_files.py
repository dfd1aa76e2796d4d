"""Raw messages from files, as the scoring stage takes them from Kafka: one partition, the row's number as offset.

A message arrived when it was published, unless its row says when it did (`received_at`): a replay's clock is the
data's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from streams.config import Settings
from streams.errors import InputError
from streams.ingest.decode import Limits
from streams.ingest.readers import Row, is_json_lines, read_rows
from streams.ingest.rows import NEEDED, SYNONYMS, check_columns, message_from_row, parse_time
from streams.records import encode
from streams.replay.sources.files import (
    Tally,
    check_first,
    describe_files,
    estimated_total,
    source_name,
    told_before,
)
from streams.replay.sources.mention_rows import MENTION_SYNONYMS
from streams.replay.sources.options import FileOptions, Window, column_option
from streams.replay.sources.order import EPOCH, MICROSECOND, Keyed, TimeOrder, sort_folder, sorted_by_time
from streams.replay.sources.source import BadRecord, OnBad
from streams.replay.sources.spec import FileSpec
from streams.scoring import RawRecord

_SCORED_TYPES = ("mention", "progress")
_SIZES = 4
"""Bytes that say how long the key is, in a sorted payload."""


class _Item(NamedTuple):
    path: Path
    line: int
    at: datetime | None
    """Event time; None for a bad row."""
    record: RawRecord | str
    """The record, or what is wrong with the row."""


class MessageFiles:
    """Files of raw messages as a `MessageSource`.

    Args:
        spec: the files.
        settings: the configuration: allowed lateness, and bounds of a message.
        options: how they are read.
        window: which part of them.

    Raises:
        InputError: a file cannot be read.
    """

    def __init__(self, spec: FileSpec, settings: Settings, *, options: FileOptions, window: Window) -> None:
        ingest = settings.ingest
        self._limits = options.limits or Limits(max_bytes=ingest.max_bytes, oldest=ingest.oldest)
        self._paths = spec.paths
        self._options = options
        self._window = window
        self._lateness = timedelta(seconds=settings.monitor.allowed_lateness_s)
        self._columns = {name: column for name, column in options.columns.items() if name in SYNONYMS}
        self._arrival = _arrival_names(options.columns)
        self._names = ", ".join(map(str, spec.paths))
        further = {"kind": "messages", "lateness_s": settings.monitor.allowed_lateness_s, "limits": self._limits}
        self.facts = describe_files(spec.text, spec.paths, options, window, further)
        self.partitions: Sequence[int] = (0,)
        self.total = estimated_total(spec.paths)

    def records(self, *, skip: int = 0, on_bad: OnBad) -> Iterator[RawRecord]:
        """Yield the records after the first `skip`; see `streams.replay.sources.source.MessageSource`.

        A bad row is told before the first record after it is yielded, and again only to a reading that skips none of
        the records after it. When rows are sorted, all bad ones are told before the first record.

        Raises:
            InputError: a file breaks off, rows come too late, or none is left.
        """
        tally = Tally()
        if self._options.sort:
            rows = self._sorted(tally, on_bad if skip < 1 else told_before)
        else:
            rows = self._in_order(tally, on_bad, skip)
        for count, record in enumerate(rows, 1):
            if count > skip:
                yield record
        tally.refuse_nothing(self._names, self._window)

    def _in_order(self, tally: Tally, on_bad: OnBad, skip: int) -> Iterator[RawRecord]:
        order = TimeOrder(self._lateness)
        window, until = self._window, self._window.until
        for path, line, at, record in self._items():
            if at is None or isinstance(record, str):
                self._refused(path, line, record, tally, on_bad if tally.kept >= skip else told_before)
                continue
            tally.good(at)
            order.check(at, str(path), line)
            if until is not None and order.floor is not None and order.floor > until:
                tally.stopped = True
                return
            if window.holds(at) and window.knows(record.received_at):
                tally.kept += 1
                yield record

    def _sorted(self, tally: Tally, on_bad: OnBad) -> Iterator[RawRecord]:
        folder = sort_folder(self._options, self.facts.identity)
        keyed = self._keyed(tally, on_bad)
        for _, number, payload in sorted_by_time(keyed, folder, memory_bytes=self._options.sort_memory_bytes):
            yield _unpacked(number, payload)

    def _keyed(self, tally: Tally, on_bad: OnBad) -> Iterator[Keyed]:
        for path, line, at, record in self._items():
            if at is None or isinstance(record, str):
                self._refused(path, line, record, tally, on_bad)
                continue
            tally.good(at)
            if self._window.holds(at) and self._window.knows(record.received_at):
                tally.kept += 1
                yield (at - EPOCH) // MICROSECOND, record.offset, _packed(record)

    @staticmethod
    def _refused(path: Path, line: int, record: object, tally: Tally, on_bad: OnBad) -> None:
        tally.refused(BadRecord(f"{path}:{line}", "bad_row", str(record)), on_bad)

    def _items(self) -> Iterator[_Item]:
        number = 0
        for path in self._paths:
            for row in self._rows(path):
                number += 1
                yield self._item(path, row, number)

    def _rows(self, path: Path) -> Iterator[Row]:
        def on_header(header: list[str]) -> None:
            check_columns(header, self._options.columns, NEEDED, MENTION_SYNONYMS, column_option)

        unchecked = is_json_lines(path)
        for row in read_rows(path, with_columns=True, on_header=on_header):
            if unchecked and row.error is None:
                unchecked = False
                self._check_first(path, row)
            yield row

    def _check_first(self, path: Path, row: Row) -> None:
        if row.values.get("type") in _SCORED_TYPES:
            raise InputError(
                f"{path}:{row.line}: these are scored mentions, not messages: replay them with --as-scored"
            )
        check_first(path, row.line, row.values, self._options.columns, NEEDED, MENTION_SYNONYMS)

    def _item(self, path: Path, row: Row, number: int) -> _Item:
        try:
            message = message_from_row(
                row,
                default_source=source_name(path, self._options),
                columns=self._columns,
                assume_utc=self._options.assume_utc,
                limits=self._limits,
                option=column_option,
            )
            arrived = self._arrived(row.values) or message.published_at
        except InputError as error:
            return _Item(path, row.line, None, str(error).partition(": ")[2])
        except ValueError as error:
            return _Item(path, row.line, None, str(error))
        record = RawRecord(
            partition=0, offset=number, key=message.source.encode(), value=encode(message), received_at=arrived
        )
        return _Item(path, row.line, message.published_at, record)

    def _arrived(self, values: Mapping[str, object]) -> datetime | None:
        for name, value in values.items():
            if name.lower() in self._arrival and value is not None and value != "":
                return parse_time(value, column=name, assume_utc=self._options.assume_utc)
        return None


def _arrival_names(columns: Mapping[str, str]) -> tuple[str, ...]:
    named = columns.get("received_at")
    return (named.lower(),) if named is not None else MENTION_SYNONYMS["received_at"]


def _packed(record: RawRecord) -> bytes:
    key = record.key or b""
    arrived = (record.received_at - EPOCH) // MICROSECOND
    head = arrived.to_bytes(8, "big", signed=True) + len(key).to_bytes(_SIZES, "big")
    return head + key + (record.value or b"")


def _unpacked(number: int, payload: bytes) -> RawRecord:
    size = int.from_bytes(payload[8 : 8 + _SIZES], "big")
    start = 8 + _SIZES
    arrived = EPOCH + timedelta(microseconds=int.from_bytes(payload[:8], "big", signed=True))
    return RawRecord(
        partition=0,
        offset=number,
        key=payload[start : start + size],
        value=payload[start + size :],
        received_at=arrived,
    )
