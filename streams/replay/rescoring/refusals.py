"""What a rescoring could not use: rows that are no messages, and messages that were refused on the way. Pure."""

from __future__ import annotations

import msgspec

from streams.errors import InputError
from streams.records import DeadLetter
from streams.replay.sources.source import SourceFacts


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """A row that could not be read, or a message that was refused: a line of `dead-letters.jsonl`."""

    where: str
    reason: str
    detail: str


class Place:
    """Says where a message of a source stands."""

    def __init__(self, facts: SourceFacts, topic: str) -> None:
        self._rows = facts.kind == "files"
        names = [str(part.get("name", "")) for part in facts.parts]
        self._file = f"{names[0]}: " if len(names) == 1 and names[0] else ""
        self._topic = next((str(part["topic"]) for part in facts.parts if "topic" in part), topic)

    def refused(self, letter: DeadLetter) -> Refused:
        """Return a dead letter as a line says it."""
        if self._rows:
            where = f"{self._file}row {letter.offset}"
        else:
            where = f"{self._topic}[{letter.partition}]@{letter.offset}"
        return Refused(where=where, reason=letter.reason, detail=letter.detail)


class NothingScored(InputError):  # noqa: N818 - named for what it tells, as its base is
    """Not one message of a source was about a known company, so no replay can come of it as it was asked for."""
