"""An entity's memory of the last day: message ids, votes per author, stories; saved in hourly chunks.

Kept apart from `EntityState` and cut by the hour because it is large and changes little: saving it after a batch
writes the hours that changed and no others.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import xxhash

from streams.monitor.bins import HOUR_MS
from streams.monitor.stories import Assignment, StoryIndex

SCHEMA = 1


@dataclass(slots=True)
class _Hour:
    """Ids, and votes used per author, of one hour of event time; both as hashes."""

    ids: set[int] = field(default_factory=set)
    authors: dict[int, int] = field(default_factory=dict)


class _Chunk(msgspec.Struct, array_like=True):
    """An hour as it is saved."""

    schema: int
    ids: list[int]
    authors: list[tuple[int, int]]
    stories: bytes


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Chunk)


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
        self._dirty: set[int] = set()
        self._gone: set[int] = set()
        self._oldest_hour = 0

    def first_seen(self, message_id: str, at_ms: int) -> bool:
        """Remember a message id; False if it was known."""
        ids = self._hour(at_ms).ids
        digest = xxhash.xxh3_64_intdigest(message_id.encode())
        if digest in ids:
            return False
        ids.add(digest)
        self._dirty.add(at_ms // HOUR_MS)
        return True

    def is_known(self, message_id: str, at_ms: int) -> bool:
        """Whether a message id has been seen, without remembering it."""
        hour = self._hours.get(at_ms // HOUR_MS)
        return hour is not None and xxhash.xxh3_64_intdigest(message_id.encode()) in hour.ids

    def story(self, text: str, *, message_id: str, at_ms: int) -> Assignment:
        """Find a message's story; mentions must come in the order (time, id)."""
        return self._stories.assign(text, message_id=message_id, at_s=at_ms / 1000)

    def may_vote(self, author: str | None, at_ms: int) -> bool:
        """Take one of an author's votes of this hour; False if none is left. No author, no cap."""
        if author is None:
            return True
        authors = self._hour(at_ms).authors
        digest = xxhash.xxh3_64_intdigest(author.encode())
        used = authors.get(digest, 0)
        if used >= self._author_votes:
            return False
        authors[digest] = used + 1
        self._dirty.add(at_ms // HOUR_MS)
        return True

    def expire(self, now_ms: int) -> None:
        """Forget the hours that lie wholly before the horizon. An hour more is kept, for what is still in open bins."""
        oldest = (now_ms - self._horizon_ms) // HOUR_MS - 1
        if oldest <= self._oldest_hour:
            return
        self._oldest_hour = oldest
        self._stories.expire(oldest * HOUR_MS / 1000)
        for hour in [hour for hour in self._hours if hour < oldest]:
            del self._hours[hour]
            self._dirty.discard(hour)
            self._gone.add(hour)

    def changes(self) -> dict[int, bytes | None]:
        """Return the chunks to save since the last call, by hour; None for one to delete."""
        story_hours = self._stories.dirty_hours()
        for hour in story_hours:
            if hour >= self._oldest_hour:
                self._hour(hour * HOUR_MS)
        told = set(self._stories.hours())
        saved: dict[int, bytes | None] = dict.fromkeys(self._gone)
        for hour in sorted((self._dirty | story_hours) & self._hours.keys()):
            kept = self._hours[hour]
            stories = self._stories.chunk(hour) if hour in told else b""
            chunk = _Chunk(SCHEMA, sorted(kept.ids), sorted(kept.authors.items()), stories)
            saved[hour] = _encoder.encode(chunk)
        self._stories.clean()
        self._dirty.clear()
        self._gone.clear()
        return saved

    def restore(self, hour: int, data: bytes) -> None:
        """Take in one saved chunk.

        Raises:
            ValueError: the chunk is of a schema that this version does not read.
        """
        try:
            chunk = _decoder.decode(data)
        except msgspec.DecodeError as error:
            msg = f"hour {hour}: not a saved chunk: {error}"
            raise ValueError(msg) from error
        if chunk.schema != SCHEMA:
            msg = f"hour {hour}: chunk of schema {chunk.schema}, this version reads {SCHEMA}"
            raise ValueError(msg)
        if chunk.stories:
            self._stories.load_chunk(hour, chunk.stories)
        self._hours[hour] = _Hour(ids=set(chunk.ids), authors=dict(chunk.authors))

    def _hour(self, at_ms: int) -> _Hour:
        return self._hours.setdefault(at_ms // HOUR_MS, _Hour())
