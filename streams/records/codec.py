"""Bytes to records and back: one encoder, versioned decoders, UTC enforced on both ways.

A record carries `schema`, the version of its shape. A decoder reads every version up to its own and refuses newer
ones by name instead of guessing.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Generic, TypeVar, cast

import msgspec

from streams.errors import RecordError

UtcTime = Annotated[datetime, msgspec.Meta(tz=True)]
"""A time with an explicit offset; records hold it in UTC (`require_utc`)."""

T = TypeVar("T")

_encoder = msgspec.json.Encoder(order="deterministic")


class _Header(msgspec.Struct):
    """The part of a record that every version has."""

    schema: Annotated[int, msgspec.Meta(ge=1)] = 1


_header_decoder = msgspec.json.Decoder(_Header)


def encode(record: msgspec.Struct) -> bytes:
    """Write a record as JSON, fields as declared and dictionaries by key: equal records are equal bytes."""
    return _encoder.encode(record)


def require_utc(*times: datetime | None) -> None:
    """Raise ValueError unless every given time is in UTC; for `__post_init__` of records."""
    for time in times:
        # The usual object for UTC needs no look at its offset.
        if time is not None and time.tzinfo is not UTC and time.utcoffset() != timedelta(0):
            msg = f"{time.isoformat()} is not in UTC: convert it with .astimezone(datetime.UTC) first"
            raise ValueError(msg)


class VersionedDecoder(Generic[T]):
    """Decodes one kind of record from JSON bytes.

    Args:
        kind: the record's type (a Struct or a tagged union of them).
        name: the record's name in error messages.
        newest: the newest schema version this code reads.
    """

    def __init__(self, kind: Any, *, name: str, newest: int) -> None:
        self._decoder = msgspec.json.Decoder(kind)
        self._name = name
        self._newest = newest

    def __call__(self, data: bytes | None) -> T:
        """Decode one record.

        Raises:
            RecordError: reason `tombstone`, `not_utf8`, `not_json`, `wrong_type` or `newer_schema`.
        """
        if data is None:
            raise RecordError("tombstone", f"the value is null, expected a {self._name}")
        try:
            record: Any = self._decoder.decode(data)
            if 1 <= record.schema <= self._newest:
                return cast(T, record)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._refusal(data, error) from error
        raise self._refusal(data, None)

    def _refusal(self, data: bytes, error: Exception | None) -> RecordError:
        """Say why a record is not taken: a newer version first, for of that it is no wonder that it does not fit."""
        try:
            schema = _header_decoder.decode(data).schema
            if schema > self._newest:
                detail = f"schema {schema} is newer than the newest this version reads ({self._newest}): upgrade"
                return RecordError("newer_schema", detail)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as in_header:
            error = in_header
        if isinstance(error, RecursionError):
            return RecordError("not_json", "nested too deeply")
        if isinstance(error, msgspec.ValidationError):
            return RecordError("wrong_type", str(error))
        try:
            data.decode()
        except UnicodeDecodeError as not_utf8:  # says more than "malformed", where that is the cause
            return RecordError("not_utf8", f"byte {not_utf8.start} is not UTF-8 ({not_utf8.reason})")
        return RecordError("not_json", str(error))
