"""What a rescoring has done so far, on disk: one segment after the other, each complete or not there.

    segments/identity.json     what the rescoring is of; it is only ever continued on that
    segments/000001.jsonl.gz   mentions and progress records, one gzip member
    segments/000001.json       `SegmentState`: how far the rescoring is after that segment; makes it count
    mentions.jsonl.gz          in the end: the members of all segments, one after the other
    dead-letters.jsonl         in the end: what was refused, with reason, detail and where it was
    rescoring.json             in the end: identity and counters; when it is there, the rescoring is finished

Each file is written under another name, brought to the disk, and then renamed.
"""

from __future__ import annotations

import gzip
import io
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO

import msgspec

from streams.errors import RecordError, ReplayError
from streams.records import Mention, decode_mention
from streams.replay.rescoring.refusals import Refused

MENTIONS, DEAD_LETTERS, RESCORING = "mentions.jsonl.gz", "dead-letters.jsonl", "rescoring.json"
_SEGMENTS, _IDENTITY = "segments", "identity.json"
_LEVEL = 6
"""Of gzip. Part of the bytes, so it stays."""


class RescoreCounters(msgspec.Struct, kw_only=True):
    """What a rescoring came to, from its beginning, earlier processes included."""

    messages: int = 0
    """Records that the source gave, feed marks included."""
    feed_marks: int = 0
    scored: int = 0
    """Messages that became mentions."""
    mentions: int = 0
    """Pairs of a message and a company: more than `scored`, as a message may be about several."""
    unlinked: int = 0
    """Good messages that are about no company of the table."""
    repeated: int = 0
    """Messages whose id had been there within the horizon."""
    bad_rows: int = 0
    """Rows that the source could not read; they are no `messages`."""
    refused: dict[str, int] = {}
    """Bad rows and dead letters by reason."""

    def become(self, other: RescoreCounters) -> None:
        """Take over another one's figures."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(other, name))
        self.refused = dict(other.refused)

    def copy(self) -> RescoreCounters:
        """Return the figures as they are now."""
        other = RescoreCounters()
        other.become(self)
        return other


class SegmentState(msgspec.Struct, frozen=True, kw_only=True):
    """How far a rescoring is after a segment, and what it needs to go on as if it had never stopped."""

    number: int
    """From 1."""
    counters: RescoreCounters
    clock: msgspec.Raw
    """Snapshot of the feed clock."""
    now: datetime | None
    """Highest arrival time."""
    newest: datetime | None
    """Highest event time of this segment's messages that were scored or refused by the classifier."""
    unscorable: list[tuple[str, datetime]]
    """Messages of this segment that the classifier refused, with their event times: no mention tells of them."""
    refused: list[Refused]
    """Of this segment."""
    size: int
    """Bytes of the segment's file."""
    last: bool
    """The source has ended."""


class _Finished(msgspec.Struct, frozen=True, kw_only=True):
    identity: dict[str, str]
    counters: RescoreCounters
    size: int
    """Bytes of the mentions' file."""


class SegmentStore:
    """The segments of one rescoring; one process at a time may use a folder.

    Args:
        folder: made if it is not there; other files in it are left alone.
        identity: all that decides the result, by a word that a person understands.

    Raises:
        ReplayError: the folder holds the rescoring of something else, or cannot be read or written.
    """

    def __init__(self, folder: Path, identity: Mapping[str, str]) -> None:
        self._folder = folder
        self._segments = folder / _SEGMENTS
        self._identity = dict(identity)
        self._states: list[SegmentState] = []
        with _telling(folder):
            self.finished = self._find_finished()
            if self.finished is None:
                self._begin()

    @property
    def mentions_path(self) -> Path:
        """The result, once it is finished."""
        return self._folder / MENTIONS

    @property
    def newest(self) -> SegmentState | None:
        """State after the last complete segment."""
        return self._states[-1] if self._states else None

    def add(self, state: SegmentState, content: bytes) -> None:
        """Write a segment, then its state. `state.size` is filled in here.

        Raises:
            ReplayError: the disk is full, or the folder cannot be written.
        """
        member = io.BytesIO()
        with gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=member, mtime=0) as file:
            file.write(content)
        data = member.getvalue()
        state = msgspec.structs.replace(state, size=len(data))
        with _telling(self._segments):
            _write(self._member(state.number), data)
            _write(self._state(state.number), msgspec.json.encode(state))
        self._keep(state)

    def remembered(self, horizon_s: float) -> Iterator[tuple[str, datetime]]:
        """Yield id and event time of the messages that were scored within a horizon of the newest, oldest first.

        What came in a segment that ended before that is forgotten by now.

        Raises:
            ReplayError: a segment cannot be read.
        """
        times = [state.newest for state in self._states if state.newest is not None]
        if not times:
            return
        oldest_s = max(times).timestamp() - horizon_s
        needed = [s.newest is not None and s.newest.timestamp() >= oldest_s for s in self._states]
        for state in self._states[needed.index(True) :]:
            before = None
            for mention in self._mentions(state.number):
                if mention.message_id != before:
                    before = mention.message_id
                    yield mention.message_id, mention.published_at
            yield from state.unscorable

    def finish(self) -> Path:
        """Put the segments together, and let go of them.

        Raises:
            ReplayError: the disk is full, a segment is damaged, or the folder cannot be written.
        """
        newest = self.newest
        if newest is None or not newest.last:
            msg = f"{self._folder}: the rescoring has not come to its end"
            raise ReplayError(msg)
        with _telling(self._folder):
            with _replacing(self._folder / DEAD_LETTERS) as file:
                for state in self._states:
                    whole = self._read(state.number)
                    file.writelines(msgspec.json.encode(refused) + b"\n" for refused in whole.refused)
            with _replacing(self.mentions_path) as file:
                for state in self._states:
                    with self._member(state.number).open("rb") as member:
                        shutil.copyfileobj(member, file)
                size = file.tell()
            self.finished = newest.counters
            record = _Finished(identity=self._identity, counters=newest.counters, size=size)
            _write(self._folder / RESCORING, msgspec.json.format(msgspec.json.encode(record)) + b"\n")
            shutil.rmtree(self._segments)
        return self.mentions_path

    def _find_finished(self) -> RescoreCounters | None:
        try:
            data = (self._folder / RESCORING).read_bytes()
        except FileNotFoundError:
            return None
        found = msgspec.json.decode(data, type=_Finished)
        self._check(found.identity)
        if not self.mentions_path.is_file() or self.mentions_path.stat().st_size != found.size:
            msg = f"{self.mentions_path} is not what was written there; remove {self._folder} and begin anew"
            raise ReplayError(msg)
        shutil.rmtree(self._segments, ignore_errors=True)  # a kill may have come just before that
        return found.counters

    def _begin(self) -> None:
        self._segments.mkdir(parents=True, exist_ok=True)
        path = self._segments / _IDENTITY
        if path.exists():
            self._check(msgspec.json.decode(path.read_bytes(), type=dict[str, str]))
        else:
            _write(path, msgspec.json.encode(self._identity))
        number = 1
        while self._state(number).exists():
            state = self._read(number)
            member = self._member(number)
            if state.number != number or not member.is_file() or member.stat().st_size != state.size:
                msg = f"{member} is not what was written there; remove {self._folder} and begin anew"
                raise ReplayError(msg)
            self._keep(state)
            number += 1

    def _keep(self, state: SegmentState) -> None:
        # Without what was refused, of which a bad input has millions: that stays on the disk until the end.
        self._states.append(msgspec.structs.replace(state, refused=[]))

    def _read(self, number: int) -> SegmentState:
        return msgspec.json.decode(self._state(number).read_bytes(), type=SegmentState)

    def _check(self, found: Mapping[str, str]) -> None:
        for word in sorted({*found, *self._identity}):
            if found.get(word) != self._identity.get(word):
                msg = (
                    f"{self._folder} holds a rescoring that differs in {word} ({found.get(word, 'not stated')} there, "
                    f"{self._identity.get(word, 'not stated')} now). Name another folder, or remove "
                    "that one (squall replay, squall rules backtest: add --fresh)"
                )
                raise ReplayError(msg)

    def _mentions(self, number: int) -> Iterator[Mention]:
        with _telling(self._member(number)), gzip.open(self._member(number), "rb") as file:
            for line in file:
                record = decode_mention(line)
                if isinstance(record, Mention):
                    yield record

    def _member(self, number: int) -> Path:
        return self._segments / f"{number:06d}.jsonl.gz"

    def _state(self, number: int) -> Path:
        return self._segments / f"{number:06d}.json"


def _write(path: Path, data: bytes) -> None:
    with _replacing(path) as file:
        file.write(data)


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that appears under its name when it is whole and on the disk."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    """Say of a disk that is full, or of a file that somebody altered, which one it is."""
    try:
        yield
    except OSError as error:
        msg = f"{error.filename or path}: {error.strerror or error}. Run the same command again to go on"
        raise ReplayError(msg) from error
    except (msgspec.MsgspecError, RecordError, EOFError) as error:
        msg = f"{path}: what an earlier run left there is damaged ({error}); remove it and begin anew"
        raise ReplayError(msg) from error
