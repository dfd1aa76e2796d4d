"""Scored history from files: lines and rows to the records of one partition of the mentions' log.

Offset 0 says that there is a feed, the rows follow under their numbers (from 1, over all files), and after the last one
the feed is said to be far enough ahead that every bin closes: a file that has ended has ended.

A file that was written from `squall.mentions` holds Progress records of its own. They are then the clock, as they were
live: what came late there comes late here. In all other files the rows must come in the order of time. Seeds keep
their places too, but where rows are sorted they have none and are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path

import msgspec

from streams.config import Settings
from streams.errors import InputError
from streams.ingest.decode import Limits
from streams.ingest.readers import is_json_lines, read_lines, read_rows
from streams.ingest.rows import check_columns
from streams.monitor.bins import BIN_MS
from streams.records import AheadProgress, LogEntry, Mention, Origin, Progress, Seed
from streams.replay.core import time_alone
from streams.replay.sources.files import (
    Tally,
    check_first,
    describe_files,
    estimated_total,
    source_name,
    told_before,
)
from streams.replay.sources.mention_rows import MENTION_SYNONYMS, BadRow, MentionRows, is_log_record
from streams.replay.sources.options import FileOptions, Window, column_option
from streams.replay.sources.order import EPOCH, MICROSECOND, Keyed, TimeOrder, sort_folder, sorted_by_time
from streams.replay.sources.source import BadRecord, Numbered, OnBad
from streams.replay.sources.spec import FileSpec

_BIN = timedelta(milliseconds=BIN_MS)

_PEEKED = 100
"""Rows among which the first good one is looked for, to know whether the files bring their own clock."""

_encode = msgspec.msgpack.Encoder().encode
_decode_mention = msgspec.msgpack.Decoder(Mention).decode


_Item = tuple[Path, int, int, LogEntry | BadRow]
"""File, line, number of the row from 1 over all files, record. A plain tuple: it is made for each of millions."""


@dataclass(slots=True)
class _Clock:
    """What the closing records say."""

    partitions: int = 1
    high: datetime | None = None
    own: bool = False
    """The files bring their own Progress."""
    tally: Tally = field(default_factory=Tally)

    def met(self, partition: int) -> None:
        if partition >= self.partitions:
            self.partitions = partition + 1

    def reached(self, at: datetime) -> None:
        if self.high is None or at > self.high:
            self.high = at


class MentionFiles:
    """Files of scored mentions as a `MentionSource` of one partition.

    Args:
        spec: the files.
        settings: the configuration: allowed lateness, and bounds of a message.
        options: how they are read.
        window: which part of them.
        trust_stories: take the stories that the rows name.

    Raises:
        InputError: a file cannot be read.
    """

    def __init__(
        self,
        spec: FileSpec,
        settings: Settings,
        *,
        options: FileOptions,
        window: Window,
        trust_stories: bool = False,
    ) -> None:
        ingest = settings.ingest
        limits = options.limits or Limits(max_bytes=ingest.max_bytes, oldest=ingest.oldest)
        self._paths = spec.paths
        self._options = options
        self._window = window
        self._lateness = timedelta(seconds=settings.monitor.allowed_lateness_s)
        self._rows = MentionRows(
            limits=limits,
            text_chars=ingest.mention_text_chars,
            columns=options.columns,
            assume_utc=options.assume_utc,
            trust_stories=trust_stories,
        )
        self._names = ", ".join(map(str, spec.paths))
        further = {
            "kind": "mentions",
            "trust_stories": trust_stories,
            "lateness_s": settings.monitor.allowed_lateness_s,
            "text_chars": ingest.mention_text_chars,
            "limits": limits,
        }
        self.facts = describe_files(spec.text, spec.paths, options, window, further)
        self.partitions: Sequence[int] = (0,)
        self.total = estimated_total(spec.paths)

    def records(self, partition: int, *, after: int = -1, on_bad: OnBad) -> Iterator[Numbered]:
        """Yield the records with offsets above `after`; see `streams.replay.sources.source.MentionSource`.

        A bad row is told before the first record after it is yielded, and again only to a reading that goes on at or
        before it. When rows are sorted, all bad ones are told before the first row.

        Raises:
            InputError: a file breaks off, rows come too late, or none is left.
        """
        if partition != 0:
            msg = f"files have one partition, 0; there is no partition {partition}"
            raise ValueError(msg)
        clock = _Clock()
        head, items = _peeked(self._items())
        begin = Progress(partition=0, partitions=1, event_time=None, idle=False)
        if isinstance(head, Progress) and not self._options.sort:
            clock.own = True
            clock.partitions = max(1, head.partitions)
            begin = msgspec.structs.replace(head, event_time=None, idle=False)
        if after < 0:
            yield Numbered(0, begin)
        if self._options.sort:
            rows = self._sorted(items, clock, on_bad if after < 1 else told_before)
        else:
            rows = self._in_order(items, clock, on_bad, after)
        offset = 0
        for numbered in rows:
            offset = numbered[0]
            if offset > after:
                yield numbered
        clock.tally.refuse_nothing(self._names, self._window)
        for number in range(clock.partitions):
            offset += 1
            if offset > after:
                end = Progress(
                    partition=number,
                    partitions=clock.partitions,
                    event_time=None if clock.high is None else clock.high + self._lateness + _BIN,
                    idle=False,
                )
                yield Numbered(offset, end)

    def _in_order(self, items: Iterator[_Item], clock: _Clock, on_bad: OnBad, after: int) -> Iterator[Numbered]:
        """Yield what is wanted under the rows' numbers, and say how far the clock has come."""
        order = TimeOrder(self._lateness)
        tally, window, until = clock.tally, self._window, self._window.until
        everything = window == Window()
        for path, line, number, record in items:
            if isinstance(record, Mention):
                at = record.published_at
                tally.good(at)
                if clock.own:
                    clock.met(record.origin.partition)
                    kept = record if everything else self._of_log(record)
                    if kept is None:
                        continue
                    if kept is record:
                        tally.kept += 1
                    clock.reached(at)
                    yield Numbered(number, kept)
                    continue
                if at is not order.high:
                    order.check(at, str(path), line)
                if until is not None and order.floor is not None and order.floor > until:
                    tally.stopped = True
                    return
                if everything or (window.holds(at) and window.knows(record.received_at)):
                    tally.kept += 1
                    clock.reached(at)
                    yield Numbered(number, _of_one_partition(record, number))
            elif isinstance(record, Progress | AheadProgress):
                yield Numbered(number, self._progress(record, clock, path, line))
            elif isinstance(record, Seed):
                if window.knows(record.learned_at):
                    yield Numbered(number, record)
            else:
                bad = BadRecord(f"{path}:{line}", record.reason, record.detail)
                tally.refused(bad, on_bad if number > after else told_before)

    def _of_log(self, record: Mention) -> Mention | Progress | None:
        """A mention of a log as it is wanted; one from outside the window still moves the clock, as it did live."""
        if not self._window.knows(record.received_at):
            return None
        if self._window.holds(record.published_at):
            return record
        return time_alone(record)

    def _progress(self, record: Progress | AheadProgress, clock: _Clock, path: Path, line: int) -> LogEntry:
        if not clock.own:
            raise InputError(
                f"{path}:{line}: a progress record, as written from squall.mentions, in a feed that did not begin with "
                "one: replay such files on their own, or with --sort, which does without them"
            )
        if isinstance(record, AheadProgress):
            return record
        clock.partitions = max(clock.partitions, record.partitions)
        if record.event_time is not None:
            clock.reached(record.event_time)
        return record

    def _sorted(self, items: Iterator[_Item], clock: _Clock, on_bad: OnBad) -> Iterator[Numbered]:
        """Yield the wanted mentions by time, numbered as they then stand; the files' own Progress is left out."""
        keyed = self._keyed(items, clock, on_bad)
        folder = sort_folder(self._options, self.facts.identity)
        rows = sorted_by_time(keyed, folder, memory_bytes=self._options.sort_memory_bytes)
        for number, (_, _, payload) in enumerate(rows, 1):
            mention = _decode_mention(payload)
            clock.reached(mention.published_at)
            yield Numbered(number, mention)

    def _keyed(self, items: Iterator[_Item], clock: _Clock, on_bad: OnBad) -> Iterator[Keyed]:
        tally, window = clock.tally, self._window
        for path, line, number, record in items:
            if isinstance(record, Mention):
                at = record.published_at
                tally.good(at)
                if window.holds(at) and window.knows(record.received_at):
                    tally.kept += 1
                    yield (at - EPOCH) // MICROSECOND, number, _encode(_of_one_partition(record, number))
            elif isinstance(record, BadRow):
                tally.refused(BadRecord(f"{path}:{line}", record.reason, record.detail), on_bad)

    def _items(self) -> Iterator[_Item]:
        number = 0
        for path in self._paths:
            for item in self._lines(path, number) if is_json_lines(path) else self._table(path, number):
                number = item[2]
                yield item

    def _lines(self, path: Path, number: int) -> Iterator[_Item]:
        rows, name = self._rows, source_name(path, self._options)
        checked = False
        for line, data in read_lines(path):
            number += 1
            record: LogEntry | BadRow | None = rows.quick(data, number)
            if not checked:
                checked = is_log_record(data) or self._check_line(path, line, data)
            if record is None:
                try:
                    record = rows.from_line(data, number, default_source=name)
                except BadRow as error:
                    record = error
            yield path, line, number, record

    def _check_line(self, path: Path, line: int, data: bytes) -> bool:
        """Refuse a file whose first object lacks what every line needs; False if the line is no object."""
        values = self._rows.values_of(data)
        if values is not None:
            check_first(path, line, values, self._options.columns, self._rows.needed, MENTION_SYNONYMS)
        return values is not None

    def _table(self, path: Path, number: int) -> Iterator[_Item]:
        def on_header(header: list[str]) -> None:
            check_columns(header, self._options.columns, self._rows.needed, MENTION_SYNONYMS, column_option)

        name = source_name(path, self._options)
        for row in read_rows(path, with_columns=True, on_header=on_header):
            number += 1
            record: Mention | BadRow
            try:
                record = self._rows.from_row(row, number, default_source=name)
            except BadRow as error:
                record = error
            yield path, row.line, number, record


def _peeked(items: Iterator[_Item]) -> tuple[Mention | Progress | None, Iterator[_Item]]:
    """The first mention or step of the clock among the first rows, and all rows. Seeds may come before all else."""
    head: list[_Item] = []
    bad = 0
    for item in items:
        head.append(item)
        record = item[3]
        if isinstance(record, BadRow):
            bad += 1
            if bad == _PEEKED:
                break
        elif isinstance(record, Mention | Progress):
            return record, chain(head, items)
    return None, chain(head, items)


def _of_one_partition(mention: Mention, number: int) -> Mention:
    """The mention as of this feed, which has one partition: a second one would hold every bin open."""
    if mention.origin.partition == 0:
        return mention
    return msgspec.structs.replace(mention, origin=Origin(partition=0, offset=number))
