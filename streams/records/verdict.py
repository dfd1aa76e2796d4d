"""Verdict: what the desk says of an alert or of one message; it becomes a label."""

from __future__ import annotations

from typing import Literal

import msgspec

from streams.records.codec import UtcTime, VersionedDecoder, require_utc

SCHEMA = 1

VerdictKind = Literal[
    "true_alarm",
    "false_alarm",
    "negative",
    "neutral",
    "positive",
    "correct",
    "not_negative",
    "wrong_entity",
    "duplicate",
    "stale",
]
"""The first two judge an alert. `negative`, `neutral` and `positive` are the right answer for one message, `correct`
says that the model's answer was right, and `not_negative` what the message is not. The last three leave its sentiment
open: it is not about the company, it repeats what was known, or it is old news."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """A desk's judgement, on `squall.labels`; its key is the message (or the alert, of a whole one) and `by`."""

    message_id: str | None
    alert_id: str | None
    verdict: VerdictKind
    by: str
    """Who judged: a name or an account, never an e-mail address."""
    learned_at: UtcTime
    """When it became known: no training run and no replay of an earlier time may see it."""
    entity: str | None = None
    note: str | None = None
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        require_utc(self.learned_at)
        if self.message_id is None and self.alert_id is None:
            msg = "a verdict needs a message_id or an alert_id"
            raise ValueError(msg)


decode_verdict: VersionedDecoder[Verdict] = VersionedDecoder(Verdict, name="verdict", newest=SCHEMA)
"""Bytes of `squall.labels` to a Verdict; raises RecordError."""
