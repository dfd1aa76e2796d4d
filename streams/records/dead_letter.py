"""DeadLetter: bytes that were refused, kept as they came, with headers that say why."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

import msgspec

from streams.errors import RecordError

SCHEMA = 1

Reason = Literal[
    "tombstone",
    "too_large",
    "not_utf8",
    "not_json",
    "wrong_type",
    "newer_schema",
    "empty_text",
    "bad_id",
    "bad_source",
    "too_old",
    "in_the_future",
    "unscorable",
    "no_model",
    "undelivered",
]
"""Why a record was refused; each is a label of the metric `squall_dead_letters_total`. `undelivered` is an alert that
a receiver did not take: `squall_alerts_undelivered_total` counts those by receiver."""

REASONS: frozenset[str] = frozenset(get_args(Reason))


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A refused record on `squall.dead-letters`: its value is the original bytes, all else is in headers."""

    value: bytes | None
    key: bytes | None
    reason: str
    detail: str
    topic: str
    partition: int
    offset: int
    refused_by: str
    """`squall` and the version that refused it."""
    receiver: str | None = None
    """Who did not take it, of an alert that is `undelivered`."""
    schema: int = SCHEMA

    def headers(self) -> list[tuple[str, bytes]]:
        """Kafka headers that `from_headers` reads back."""
        written = [
            ("squall-schema", str(self.schema).encode()),
            ("squall-reason", self.reason.encode()),
            ("squall-detail", self.detail.encode(errors="replace")),
            ("squall-topic", self.topic.encode()),
            ("squall-partition", str(self.partition).encode()),
            ("squall-offset", str(self.offset).encode()),
            ("squall-refused-by", self.refused_by.encode()),
        ]
        return written if self.receiver is None else [*written, ("squall-receiver", self.receiver.encode())]

    @classmethod
    def from_headers(
        cls, headers: Iterable[tuple[str, bytes]], *, key: bytes | None, value: bytes | None
    ) -> DeadLetter:
        """Read a dead letter back from a Kafka record.

        Raises:
            RecordError: reason `wrong_type`, if a header is missing or is not what `headers` writes; `newer_schema`.
        """
        found = dict(headers)
        try:
            letter = cls(
                value=value,
                key=key,
                reason=found["squall-reason"].decode(),
                detail=found["squall-detail"].decode(),
                topic=found["squall-topic"].decode(),
                partition=int(found["squall-partition"]),
                offset=int(found["squall-offset"]),
                refused_by=found["squall-refused-by"].decode(),
                receiver=found["squall-receiver"].decode() if "squall-receiver" in found else None,
                schema=int(found["squall-schema"]),
            )
        except (KeyError, ValueError, TypeError, AttributeError) as error:  # the last two: a header that is null
            raise RecordError("wrong_type", f"not the headers of a dead letter: {error!r}") from error
        if letter.schema > SCHEMA:
            raise RecordError("newer_schema", f"schema {letter.schema} is newer than {SCHEMA}: upgrade")
        return letter
