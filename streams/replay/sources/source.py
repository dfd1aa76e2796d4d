"""What a replay reads from: raw messages to be scored again, or mentions as they were scored.

A source is asked for its records partition by partition, in the order of their offsets, and can go on after any of
them: that is what makes a long replay resumable. It says what it is (`describe`) and what identifies its content
(`identity`), so that a run is only ever continued on the input that it began with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from streams.records import LogEntry
from streams.scoring import RawRecord


class BadRecord(NamedTuple):
    """A row or record that cannot be used; the reading goes on after it."""

    where: str
    """File and line, or topic, partition and offset."""
    reason: str
    """A word for counting, as in the dead letters."""
    detail: str
    """What is wrong with it."""


OnBad = Callable[[BadRecord], None]


class Numbered(NamedTuple):
    """A record of the mentions' log with its place in it."""

    offset: int
    record: LogEntry


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What is said of a source in a summary.

    Attributes:
        kind: "files" or "kafka".
        text: as the user named it.
        parts: one entry per file (name, bytes, sha256) or per partition (topic, partition, start, end).
        identity: hash of all that decides its records, 16 hexadecimal digits.
    """

    kind: str
    text: str
    parts: tuple[dict[str, Any], ...]
    identity: str


class MentionSource(Protocol):
    """Mentions as they were scored, and how far their feed has come."""

    @property
    def facts(self) -> SourceFacts:
        """What it is."""
        ...

    @property
    def partitions(self) -> Sequence[int]:
        """Its partitions, each of which a monitor of its own reads."""
        ...

    @property
    def total(self) -> int | None:
        """About how many records there are, for a progress bar; None if that is not known."""
        ...

    def records(self, partition: int, *, after: int = -1, on_bad: OnBad) -> Iterator[Numbered]:
        """Yield the records of a partition with offsets above `after`, ascending.

        Raises:
            InputError: the source breaks off or is not what it should be; it says where.
            BrokerError: Kafka stops answering.
        """
        ...


class MessageSource(Protocol):
    """Raw messages, to be scored again, in one order over all message partitions."""

    @property
    def facts(self) -> SourceFacts:
        """What it is."""
        ...

    @property
    def partitions(self) -> Sequence[int]:
        """The message partitions that its records come from."""
        ...

    @property
    def total(self) -> int | None:
        """About how many records there are."""
        ...

    def records(self, *, skip: int = 0, on_bad: OnBad) -> Iterator[RawRecord]:
        """Yield the records after the first `skip` good ones, in an order that is the same each time.

        Raises:
            InputError: the source breaks off or is not what it should be; it says where.
            BrokerError: Kafka stops answering.
        """
        ...
