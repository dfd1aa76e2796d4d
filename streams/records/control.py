"""Control: what the operators decide for all workers, on the compacted `squall.control`, keyed by its kind."""

from __future__ import annotations

import msgspec

from streams.records.codec import UtcTime, VersionedDecoder, require_utc

SCHEMA = 1


class ModelInUse(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="model"):
    """The model that every scorer is to answer with; the latest one counts.

    It names the model and brings no path: each worker looks for it among its own model folders, so that a record on
    Kafka cannot make it read anything else.
    """

    name: str
    version: str
    at: UtcTime
    """When it was decided."""
    by: str
    """Who decided: a name or an account, never an e-mail address."""
    note: str | None = None
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        require_utc(self.at)


Control = ModelInUse

MODEL_KEY = b"model"
"""Key of the records on the model in use: compaction keeps the latest."""

decode_control: VersionedDecoder[Control] = VersionedDecoder(Control, name="control", newest=SCHEMA)
"""Bytes of `squall.control` to a record; raises RecordError."""
