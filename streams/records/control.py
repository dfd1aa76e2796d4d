"""Control: what the operators decide for all workers, on the compacted `squall.control`, keyed by its kind."""

from __future__ import annotations

from typing import Annotated

import msgspec

from streams.matchers import Matcher, Operator, made_matcher
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


class SilenceMatcher(msgspec.Struct, frozen=True, kw_only=True):
    """One condition of a silence on one label."""

    name: str
    op: Operator
    value: str


class Silence(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="silence"):
    """For a time nobody is called for the alerts that it fits; of each id the latest record counts.

    It applies by the event time of what would be told: from `starts_at` on, and before `ends_at`.
    """

    id: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9-]{1,64}$")]
    matchers: Annotated[tuple[SilenceMatcher, ...], msgspec.Meta(min_length=1)]
    """All of them must fit."""
    starts_at: UtcTime
    ends_at: UtcTime
    """One that is over before it begins never applies: so ends one that was expired before its time."""
    by: str
    """Who asked for it: a name or an account, never an e-mail address."""
    comment: str
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        require_utc(self.starts_at, self.ends_at)

    @property
    def conditions(self) -> tuple[Matcher, ...]:
        """Its matchers as they are applied.

        Raises:
            ValueError: one holds no regular expression; the message names it.
        """
        return tuple(made_matcher(one.name, one.op, one.value) for one in self.matchers)


Control = ModelInUse | RulesInUse | Silence

CONTROL_KEYS: dict[type, bytes] = {ModelInUse: b"model", RulesInUse: b"rules"}
"""Key of each kind of record of which only the latest counts."""
_SILENCE_KEY = b"silence:"


def control_key(record: Control) -> bytes:
    """Return the key of a record: compaction keeps the latest of each."""
    return _SILENCE_KEY + record.id.encode() if isinstance(record, Silence) else CONTROL_KEYS[type(record)]


def silence_of(key: bytes) -> str | None:
    """Return the id of the silence that a key of the topic is for; None for another's key, and for what is none."""
    if not key.startswith(_SILENCE_KEY):
        return None
    return key.removeprefix(_SILENCE_KEY).decode(errors="replace")


decode_control: VersionedDecoder[Control] = VersionedDecoder(Control, name="control", newest=SCHEMA)
"""Bytes of `squall.control` to a record; raises RecordError."""
