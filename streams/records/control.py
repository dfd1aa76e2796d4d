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


class RulesInUse(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="rules"):
    """The alert rules that every monitor is to apply; the latest ones count.

    Unlike a model they are brought along: a rule file is data, read as strictly as one on disk.
    """

    name: str
    """Of the file that they were read from, without its folder; for people."""
    text: str
    """The file, YAML."""
    version: str
    """Of the rule set, as `squall rules check` shows it."""
    at: UtcTime
    """When it was decided."""
    by: str
    """Who decided: a name or an account, never an e-mail address."""
    note: str | None = None
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        require_utc(self.at)


Control = ModelInUse | RulesInUse

CONTROL_KEYS: dict[type, bytes] = {ModelInUse: b"model", RulesInUse: b"rules"}
"""Key of each kind of record: compaction keeps the latest."""

decode_control: VersionedDecoder[Control] = VersionedDecoder(ModelInUse | RulesInUse, name="control", newest=SCHEMA)
"""Bytes of `squall.control` to a record; raises RecordError."""
