"""An entity's memory of the last day: message ids, votes per author, stories, open votes; saved in hourly chunks.

Kept apart from `EntityState` and cut by the hour because it is large and changes little: saving it after a batch
writes the hours that changed and no others.

A chunk is never written over while it is in force: a changed hour goes to the hour's other slot, and it is the
entity's own record, written after the chunks, that says which slots are in force (`EntityState.chunks`). Whatever is
cut off between two keys, the entity is restored wholly as before or wholly as after.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import xxhash

from streams.monitor.bins import HOUR_MS
from streams.monitor.fingerprint import Fingerprint
from streams.monitor.memory import (
    HASH_MASK,
    HOUR_SCHEMA,
    HourChunk,
    decode_hour,
    encode_hour,
    pack_authors,
    pack_hashes,
    unpack_authors,
    unpack_hashes,
)
from streams.monitor.state import Vote
from streams.monitor.stories import Assignment, StoryIndex


@dataclass(slots=True)
class _Hour:
    """Ids, and votes used per author, of one hour of event time; both as hashes of 40 bits (`HASH_BYTES`).

    Mappings of numbers are no concern of the garbage collector's; a set would be, however small.
    """

    ids: dict[int, None] = field(default_factory=dict)
    authors: dict[int, int] = field(default_factory=dict)


class Place(NamedTuple):
    """Where a chunk is saved: an hour since the epoch, and one of its two slots."""

    hour: int
    slot: int


class Saving(NamedTuple):
    """What to write before the entity's own record, and what to delete after it."""

    written: list[tuple[Place, bytes]]
    deleted: list[Place]


class Horizon:
    """Ids seen, votes per author and stories of one entity over the story horizon.

    Args:
        horizon_s: how long a story takes in copies, and an id is remembered, in seconds of event time.
        author_votes: how many votes an author has in one hour of event time.
    """

    def __init__(self, *, horizon_s: int, author_votes: int) -> None:
        self._horizon_ms = horizon_s * 1000
        self._author_votes = author_votes
        self._hours: dict[int, _Hour] = {}
        self._stories = StoryIndex(horizon_s=horizon_s)
        self._dirty: dict[int, None] = {}
        self._slots: dict[int, int] = {}
        self._stale: set[Place] | None = None
        self._oldest_hour = 0

    @property
    def slots(self) -> dict[int, int]:
        """The slot in force of every hour, as of the last `changes`; goes into the entity's record."""
        return dict(self._slots)

    def first_seen(self, message_id: str, at_ms: int) -> bool:
        """Remember a message id; False if it was known."""
        ids = self._hour(at_ms).ids
        digest = xxhash.xxh3_64_intdigest(message_id.encode()) & HASH_MASK
        if digest in ids:
            return False
        ids[digest] = None
        self._dirty[at_ms // HOUR_MS] = None
        return True

    @property
    def is_empty(self) -> bool:
        """Nothing is remembered, and nothing is left to be deleted."""
        return not self._hours and not self._stories.hours() and not self._stale

    def closed(self, start_ms: int) -> None:
        """Take note that a bin has closed: its votes are open no more, and what it leaves beyond the horizon goes."""
        self._dirty[start_ms // HOUR_MS] = None
        self.expire(start_ms)

    def story(self, text: str | Fingerprint, *, message_id: str, at_ms: int) -> Assignment:
        """Find the story of a text or its fingerprint; mentions must come in the order (time, id)."""
        return self._stories.assign_at(text, message_id=message_id, at_ms=at_ms)

    def may_vote(self, author: str | None, at_ms: int) -> bool:
        """Take one of an author's votes of this hour; False if none is left. No author, no cap."""
        if author is None:
            return True
        authors = self._hour(at_ms).authors
        digest = xxhash.xxh3_64_intdigest(author.encode()) & HASH_MASK
        used = authors.get(digest, 0)
        if used >= self._author_votes:
            return False
        authors[digest] = used + 1
        self._dirty[at_ms // HOUR_MS] = None
        return True

    def expire(self, now_ms: int) -> bool:
        """Forget the hours that lie wholly before the horizon, and say whether anything went.

        An hour more is kept, for what is still in open bins.
        """
        oldest = (now_ms - self._horizon_ms) // HOUR_MS - 1
        if oldest <= self._oldest_hour:
            return False
        self._oldest_hour = oldest
        stories_gone = self._stories.expire(oldest * HOUR_MS / 1000)
        gone = [hour for hour in self._hours if hour < oldest]
        for hour in gone:
            del self._hours[hour]
            self._dirty.pop(hour, None)
            slot = self._slots.pop(hour, None)
            if slot is not None:
                self._leave(Place(hour, slot))
        return bool(gone or stories_gone)

    def changes(self, open_votes: Mapping[int, Sequence[Vote]]) -> Saving:
        """Return what to save since the last call; `slots` is then what the entity's record must say.

        Args:
            open_votes: all votes of the entity that wait for their bins to close, by the bin's start.
        """
        story_hours = self._stories.dirty_hours()
        for hour in story_hours:
            if hour >= self._oldest_hour:
                self._hour(hour * HOUR_MS)
        told = set(self._stories.hours())
        waiting: dict[int, list[Vote]] = {}
        for start_ms, votes in sorted(open_votes.items()):
            waiting.setdefault(start_ms // HOUR_MS, []).extend(votes)
        written = []
        for hour in sorted((story_hours | self._dirty.keys()) & self._hours.keys()):
            kept = self._hours[hour]
            stories = self._stories.chunk(hour) if hour in told else b""
            chunk = HourChunk(
                HOUR_SCHEMA, pack_hashes(kept.ids), pack_authors(kept.authors), stories, waiting.get(hour, [])
            )
            written.append((self._other_place(hour), encode_hour(chunk)))
        deleted = sorted(self._stale or ())
        self._stories.clean()
        self._dirty.clear()
        self._stale = None
        return Saving(written, deleted)

    def _other_place(self, hour: int) -> Place:
        old = self._slots.get(hour)
        if old is not None:
            self._leave(Place(hour, old))
        place = Place(hour, 0 if old is None else 1 - old)
        self._slots[hour] = place.slot
        if self._stale is not None:
            self._stale.discard(place)
        return place

    def _leave(self, place: Place) -> None:
        """Note that what is saved at a place is to be deleted."""
        if self._stale is None:
            self._stale = set()
        self._stale.add(place)

    def restore(self, chunks: Mapping[Place, bytes], slots: Mapping[int, int]) -> tuple[list[Vote], list[str]]:
        """Take in saved chunks, into a new memory; those that are not in force are deleted at the next saving.

        Args:
            chunks: all that is saved.
            slots: which of them are in force, by the entity's record.

        Returns:
            The open votes, and a sentence for each chunk in force that is missing or cannot be read.
        """
        votes: list[Vote] = []
        lost: list[str] = []
        stale = self._stale = set(chunks)
        for hour, slot in sorted(slots.items()):
            data = chunks.get(Place(hour, slot))
            if data is None:
                lost.append(f"hour {hour}: its chunk is missing")
                continue
            try:
                votes += self._take_in(hour, data)
            except ValueError as error:
                lost.append(str(error))
            else:
                self._slots[hour] = slot
                stale.discard(Place(hour, slot))
        return votes, lost

    def _take_in(self, hour: int, data: bytes) -> list[Vote]:
        chunk = decode_hour(hour, data)
        try:
            restored = _Hour(ids=dict.fromkeys(unpack_hashes(chunk.ids)), authors=unpack_authors(chunk.authors))
        except ValueError as error:
            msg = f"hour {hour}: {error}"
            raise ValueError(msg) from error
        if chunk.stories:
            self._stories.load_chunk(hour, chunk.stories)
        self._hours[hour] = restored
        return chunk.open

    def _hour(self, at_ms: int) -> _Hour:
        number = at_ms // HOUR_MS
        hour = self._hours.get(number)
        if hour is None:
            hour = self._hours[number] = _Hour()
        return hour
