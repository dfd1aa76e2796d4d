"""The order of time: a check that rows come in it, and an external merge sort for those that do not.

The monitor closes a bin once the feed has passed it by the allowed lateness; what comes later than that has no vote.
A file whose rows are not sorted would lose most of its votes without a word, which is why that is an error.
"""

from __future__ import annotations

import heapq
import shutil
import struct
import tempfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from pathlib import Path

from streams.errors import InputError
from streams.replay.sources.options import FileOptions

Keyed = tuple[int, int, bytes]
"""A time in microseconds since 1970, a number that breaks ties, and what is sorted."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

_HEADER = struct.Struct("<qqI")
_OVERHEAD_BYTES = 160
"""What a tuple, its numbers and its bytes object cost beside the bytes themselves, about."""
_MOST_RUNS = 256
"""Runs merged at once: each is an open file with a buffer."""
_BUFFER_BYTES = 64 * 1024


class TimeOrder:
    """Checks that no event time is more than the allowed lateness behind the highest before it.

    Args:
        lateness: how far a row may be behind.
    """

    def __init__(self, lateness: timedelta) -> None:
        self._lateness = lateness
        self.high: datetime | None = None
        """Highest event time so far."""
        self.floor: datetime | None = None
        """No row may be before it: the highest event time less the allowed lateness."""

    def check(self, at: datetime, where: str, line: int) -> None:
        """Take one row into account.

        Raises:
            InputError: it comes too late; it names file, line, both times and what to do.
        """
        if self.high is None or at > self.high:
            self.high, self.floor = at, at - self._lateness
        elif self.floor is not None and at < self.floor:
            raise InputError(
                f"{where}:{line}: the rows are not in the order of time: this one is from {_iso(at)}, after one from "
                f"{_iso(self.high)}, which is more than the allowed lateness of {self._lateness.total_seconds():g} s "
                "(monitor.allowed_lateness_s). With --sort they are sorted first"
            )


def sort_folder(options: FileOptions, identity: str) -> Path:
    """Where a source is sorted; in a scratch folder the same place each time, so that what a killed run has left is
    found and removed.
    """
    if options.scratch is not None:
        return options.scratch / f"sort-{identity}"
    return Path(tempfile.mkdtemp(prefix="squall-sort-"))


def sorted_by_time(items: Iterable[Keyed], folder: Path, *, memory_bytes: int) -> Iterator[Keyed]:
    """Sort by time and number with bounded memory: sorted runs on disk, then a merge of them.

    Args:
        items: in any order.
        folder: made for the runs, emptied before and removed after; nothing else may be in it.
        memory_bytes: what is held at once before it goes to disk, about.

    Raises:
        InputError: the disk is full or the folder cannot be written.
    """
    try:
        shutil.rmtree(folder, ignore_errors=True)  # what a killed run has left
        folder.mkdir(parents=True)
        try:
            yield from _sorted(items, folder, memory_bytes)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise InputError(f"{folder}: sorting needs room on disk there: {error.strerror or error}") from error


def _sorted(items: Iterable[Keyed], folder: Path, memory_bytes: int) -> Iterator[Keyed]:
    runs: list[Path] = []
    held: list[Keyed] = []
    size = made = 0
    for item in items:
        held.append(item)
        size += len(item[2]) + _OVERHEAD_BYTES
        if size < memory_bytes:
            continue
        held.sort(key=_key)
        runs.append(_write(folder / f"{made:06d}", held))
        made += 1
        held, size = [], 0
        if len(runs) == _MOST_RUNS:
            merged = _write(folder / f"{made:06d}", _merged(runs))
            made += 1
            for run in runs:
                run.unlink()
            runs = [merged]
    held.sort(key=_key)
    yield from heapq.merge(_merged(runs), held, key=_key) if runs else held


_key = itemgetter(0, 1)


def _merged(runs: list[Path]) -> Iterator[Keyed]:
    return heapq.merge(*map(_read, runs), key=_key)


def _write(path: Path, items: Iterable[Keyed]) -> Path:
    with path.open("wb", buffering=_BUFFER_BYTES) as file:
        for at, number, payload in items:
            file.write(_HEADER.pack(at, number, len(payload)))
            file.write(payload)
    return path


def _read(path: Path) -> Iterator[Keyed]:
    with path.open("rb", buffering=_BUFFER_BYTES) as file:
        while header := file.read(_HEADER.size):
            at, number, size = _HEADER.unpack(header)
            yield at, number, file.read(size)


def _iso(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")
