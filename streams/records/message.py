"""Message: one news item or social post, as the publisher sent it."""

from __future__ import annotations

import msgspec

from streams.records.codec import UtcTime, VersionedDecoder

SCHEMA = 1


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One news item or social post on `squall.messages`, keyed by `source`.

    Unknown fields are ignored, so that a publisher may send more than Squall reads. `published_at` may carry any
    offset on the wire; `streams.ingest.decode` converts it to UTC.
    """

    id: str
    """The publisher's identifier; the same id from the same source is the same message."""
    source: str
    """Who publishes: a feed, a wire, a network."""
    published_at: UtcTime
    text: str
    title: str | None = None
    author: str | None = None
    url: str | None = None
    lang: str | None = None
    """BCP 47 language, if the publisher knows it."""
    symbols: tuple[str, ...] = ()
    """Companies that the publisher already linked, as symbols of the entity table."""
    schema: int = SCHEMA


FEED_MARK_KEY = b"squall.feed-mark"
"""Key of a FeedMark, which travels among the messages; no source may have this name."""


class FeedMark(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="feed-mark"):
    """A publisher's promise on one partition of `squall.messages`: nothing earlier will come from it here.

    Whoever publishes history sends one to every partition now and then, because a silent partition of a historical
    feed cannot be told from one whose messages have not been read yet. A live feed needs none.
    """

    feed: str
    """Which run of which publisher speaks, as several may publish at once."""
    event_time: UtcTime | None
    """No message of this feed before this time will follow on this partition; None before the first one is known."""
    done: bool = False
    """The feed has ended."""
    schema: int = SCHEMA


decode_feed_mark: VersionedDecoder[FeedMark] = VersionedDecoder(FeedMark, name="feed mark", newest=SCHEMA)
"""Bytes of a record keyed `FEED_MARK_KEY` to a FeedMark; raises RecordError."""

decode_message: VersionedDecoder[Message] = VersionedDecoder(Message, name="message", newest=SCHEMA)
"""Bytes of `squall.messages` to a Message; raises RecordError. Bounds are checked by `streams.ingest.decode`."""
