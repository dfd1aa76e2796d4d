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


decode_message: VersionedDecoder[Message] = VersionedDecoder(Message, name="message", newest=SCHEMA)
"""Bytes of `squall.messages` to a Message; raises RecordError. Bounds are checked by `streams.ingest.decode`."""
