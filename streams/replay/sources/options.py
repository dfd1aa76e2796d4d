"""What a user says about a source beside its name: which span of time, and how files are to be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from streams.ingest.decode import Limits

FIELDS = (
    "id",
    "source",
    "published_at",
    "text",
    "title",
    "author",
    "url",
    "lang",
    "symbols",
    "entity",
    "negative",
    "neutral",
    "positive",
    "topic",
    "story",
    "relevance",
    "received_at",
)
"""Fields that `FileOptions.columns` may name; those from `entity` to `relevance` are of scored mentions alone."""


def column_option(field: str) -> str:
    """Return what a user adds to a command that reads history, to name the column of a field."""
    return f"--column {field}=NAME"


@dataclass(frozen=True, slots=True)
class Window:
    """The span of a source that is wanted.

    Attributes:
        since: first event time; the start of the warm-up, where there is one. None: from the beginning.
        until: last event time, inclusive. None: to the end.
        known_at: what arrived after this is left out: it was not known then. None: everything.

    Raises:
        ValueError: a time without an offset.
    """

    since: datetime | None = None
    until: datetime | None = None
    known_at: datetime | None = None

    def __post_init__(self) -> None:
        for moment in (self.since, self.until, self.known_at):
            if moment is not None and moment.tzinfo is None:
                msg = f"{moment.isoformat()} has no offset such as Z"
                raise ValueError(msg)

    def holds(self, event_time: datetime) -> bool:
        """Whether an event time lies within."""
        return (self.since is None or event_time >= self.since) and (self.until is None or event_time <= self.until)

    def knows(self, arrived_at: datetime) -> bool:
        """Whether what arrived then was known."""
        return self.known_at is None or arrived_at <= self.known_at

    def __str__(self) -> str:
        since = f"from {_time(self.since)} " if self.since else ""
        until = f"until {_time(self.until)} " if self.until else ""
        known = f"known at {_time(self.known_at)} " if self.known_at else ""
        return (since + until + known).rstrip() or "all of it"


@dataclass(frozen=True, slots=True)
class FileOptions:
    """How files are read, as for `squall publish`.

    Attributes:
        columns: field of `FIELDS` -> column, for columns that are not known by a usual name.
        default_source: source of rows that name none; None: the name of their file.
        assume_utc: take a time without an offset as UTC; otherwise it is a bad row.
        limits: bounds of a message; None: those of the settings.
        sort: put the rows in the order of time first, on disk; otherwise a row that comes too late is an error.
        scratch: folder for sorting; None: the system's.
        sort_memory_bytes: what sorting may hold in memory, about.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    default_source: str | None = None
    assume_utc: bool = False
    limits: Limits | None = None
    sort: bool = False
    scratch: Path | None = None
    sort_memory_bytes: int = 64 * 1024 * 1024


def _time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
