"""Bytes of `squall.messages` to a valid Message in UTC, or a RecordError that says why not.

Everything here is cheap and happens in the order of its cost: size before parsing, shape before meaning.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

from streams.errors import RecordError
from streams.records import FEED_MARK_KEY, Message, decode_message

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL_IN_TEXT = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")
"""Control characters other than white space, which a text may have."""

_BLANK_LETTERS = "\u115f\u1160\u2800\u3164\uffa0"
"""Letters and symbols to Unicode that show nothing: Hangul fillers and the empty Braille pattern."""

_MAX_LANG_CHARS = 35
"""RFC 5646, section 4.4.1: room for every language tag that occurs."""

LATEST = datetime(2200, 1, 1, tzinfo=UTC)
"""A file's row from after this is refused: no message has that time, but "no end" is often written as the year 9999,
and behind it the calendar itself would end."""


@dataclass(frozen=True)
class Limits:
    """Bounds of a message.

    A long text is kept: the size of the record bounds it, and the classifier marks what it did not read.

    Args:
        max_bytes: a larger record is refused unread.
        max_id_chars: longest `id` and longest `source`.
        oldest: a message published before this is refused.
        max_future_s: a message from further in the future than this, seconds after its arrival, is refused.
        future_skew_s: one from the nearer future is set to its arrival plus this many seconds, and marked.

    Raises:
        ValueError: a bound that refuses everything, or `oldest` without an offset.
    """

    max_bytes: int = 262_144
    max_id_chars: int = 256
    oldest: datetime = datetime(2000, 1, 1, tzinfo=UTC)
    max_future_s: float = 86_400.0
    future_skew_s: float = 60.0

    def __post_init__(self) -> None:
        if self.max_bytes < 1 or self.max_id_chars < 1:
            msg = "max_bytes and max_id_chars must be at least 1"
            raise ValueError(msg)
        if self.max_future_s < 0 or self.future_skew_s < 0:
            msg = "max_future_s and future_skew_s must not be negative"
            raise ValueError(msg)
        if self.oldest.tzinfo is None:
            msg = "oldest needs an offset, such as tzinfo=datetime.UTC"
            raise ValueError(msg)


class Decoded(NamedTuple):
    """A valid message, its `published_at` in UTC, and whether that had to be moved out of the future."""

    message: Message
    clamped: bool


class Decoder:
    """Decodes and validates messages; it holds bounds and no state.

    Args:
        limits: the bounds of a message.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._max_future = timedelta(seconds=self.limits.max_future_s)
        self._skew = timedelta(seconds=self.limits.future_skew_s)

    def decode(self, value: bytes | None, *, received_at: datetime) -> Decoded:
        """Decode the value of one Kafka record.

        A title stands in for an empty text. Control characters are taken out of all texts, since they end up in
        terminals; in `id` and `source`, which identify the message, they are refused.

        Args:
            value: the record's value; None for a tombstone.
            received_at: when Kafka received it, with an offset.

        Raises:
            RecordError: with a reason of `streams.records.dead_letter.Reason`.
        """
        if value is not None and len(value) > self.limits.max_bytes:
            raise RecordError(
                "too_large", f"{len(value)} bytes, at most {self.limits.max_bytes} are read (ingest.max_bytes)"
            )
        raw = decode_message(value)
        check_name("bad_id", "id", raw.id, self.limits.max_id_chars)
        check_name("bad_source", "source", raw.source, self.limits.max_id_chars)
        if raw.source.encode(errors="replace") == FEED_MARK_KEY:
            raise RecordError("bad_source", f"{raw.source!r} is the key of feed marks and can be no source")
        published_at, clamped = self.event_time(raw.published_at, received_at)
        text, title = _text_and_title(raw)
        message = msgspec.structs.replace(
            raw,
            published_at=published_at,
            text=text,
            title=title,
            author=clean_word(raw.author),
            url=clean_word(raw.url),
            lang=clean_word(raw.lang, max_chars=_MAX_LANG_CHARS),
            symbols=tuple(symbol for symbol in map(clean_word, raw.symbols) if symbol),
        )
        return Decoded(message, clamped)

    def event_time(self, published_at: datetime, received_at: datetime) -> tuple[datetime, bool]:
        """Check a source's time, and return it in UTC, with whether it had to be moved out of the future.

        Raises:
            RecordError: reason `too_old` or `in_the_future`.
        """
        # Compared before they are converted: the first and the last day of the calendar have no UTC everywhere.
        if published_at < self.limits.oldest:
            raise RecordError(
                "too_old",
                f"published {published_at.isoformat()}, before {self.limits.oldest.isoformat()} (ingest.oldest)",
            )
        if published_at > received_at + self._max_future:
            detail = (
                f"published {published_at.isoformat()}, more than {self.limits.max_future_s:g} s after its "
                f"arrival {received_at.isoformat()} (ingest.max_future_s)"
            )
            raise RecordError("in_the_future", detail)
        latest = received_at + self._skew
        if published_at > latest:
            return latest.astimezone(UTC), True
        return published_at.astimezone(UTC), False


def message_id(source: str, id: str) -> str:  # noqa: A002  # the record's own word
    """Join a source and a publisher's id to one that is unique over all sources: `source:id`.

    A colon within the source is written `%3A`, so that (`a:b`, `c`) and (`a`, `b:c`) stay two messages.
    """
    if ":" in source or "%" in source:
        source = source.replace("%", "%25").replace(":", "%3A")
    return f"{source}:{id}"


def is_blank(text: str) -> bool:
    """Whether nothing of the text can be seen: white space, control, format and filler characters only."""
    for char in text:
        # The first visible character decides, so this ends at once for nearly every text.
        if char in _BLANK_LETTERS:
            continue
        if char.isalnum() or unicodedata.category(char)[0] not in "ZCM":
            return False
    return True


def _text_and_title(raw: Message) -> tuple[str, str | None]:
    text = clean_text(raw.text)
    title = None if raw.title is None else clean_text(raw.title)
    if title is not None and is_blank(title):
        title = None
    if is_blank(text):
        if title is None:
            raise RecordError("empty_text", "neither text nor title holds a visible character")
        text = title
    return text, title


def check_name(reason: str, field: str, value: str, max_chars: int) -> None:
    """Check an `id` or a `source`: neither empty nor overlong, and without control characters.

    Raises:
        RecordError: with the given reason.
    """
    if len(value) > max_chars:
        raise RecordError(reason, f"{field} has {len(value)} characters, at most {max_chars} are allowed")
    if is_blank(value):
        raise RecordError(reason, f"{field} is empty")
    found = _CONTROL.search(value)
    if found:
        raise RecordError(reason, f"{field} has the control character U+{ord(found[0]):04X}")


def clean_text(text: str) -> str:
    """Take control characters away from a text, which may end up in a terminal; white space stays."""
    return _CONTROL_IN_TEXT.sub("", text)


def clean_word(value: str | None, *, max_chars: int | None = None) -> str | None:
    """Take control characters and outer white space away; None for what is then empty or overlong."""
    if value is None:
        return None
    value = _CONTROL.sub("", value).strip()
    if not value or (max_chars is not None and len(value) > max_chars):
        return None
    return value
