"""Feed marks: how a publisher of history tells how far it has come, on every partition of the messages topic."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from streams.records import FeedMark, encode

EVERY = 500
"""Messages between two marks: often enough that a worker that starts in the middle soon knows of the feed."""


class FeedMarker:
    """Makes the marks of one run.

    Args:
        feed: name of the run; without it a random one.
    """

    def __init__(self, feed: str | None = None) -> None:
        self._feed = feed or uuid.uuid4().hex
        self._reached: datetime | None = None
        self._count = 0

    @property
    def reached(self) -> datetime | None:
        """The event time that the marks tell; None before there is one."""
        return self._reached

    def begin(self) -> bytes:
        """The mark before the first message."""
        return self._mark(done=False)

    def passed(self, published_at: datetime) -> bytes | None:
        """Take one message into account; a mark is returned when one is due."""
        self._reached = published_at if self._reached is None else max(self._reached, published_at)
        self._count += 1
        return self._mark(done=False) if self._count % EVERY == 0 else None

    def waiting(self, until: datetime) -> bytes:
        """The mark of a publisher that keeps the pace of history: nothing older than `until` is to come."""
        self._reached = until if self._reached is None else max(self._reached, until)
        return self._mark(done=False)

    def end(self) -> bytes:
        """The mark after the last message."""
        return self._mark(done=True)

    def _mark(self, *, done: bool) -> bytes:
        reached = None if self._reached is None else self._reached.astimezone(UTC)
        return encode(FeedMark(feed=self._feed, event_time=reached, done=done))
