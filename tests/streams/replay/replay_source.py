"""A source in memory, and files of mentions, for the tests of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from streams.records import Mention, Progress, encode
from streams.replay.sources.source import BadRecord, Numbered, OnBad, SourceFacts
from tests.streams.replay.replay_log import story

LATENESS = timedelta(seconds=120)


class BrokenError(Exception):
    """The source broke off."""


class ListSource:
    """Records in memory by partition, of which some are bad.

    Args:
        partitions: the records of each partition, in the order of their offsets.
        bad: offsets of partition 0 before which a bad record is told.
        breaks_after: raise `BrokenError` after so many records.
    """

    def __init__(
        self,
        partitions: Mapping[int, Sequence[Mention | Progress]],
        *,
        bad: Sequence[int] = (),
        breaks_after: int | None = None,
    ) -> None:
        self._records = partitions
        self._bad = set(bad)
        self.breaks_after = breaks_after
        self.read = 0
        self.facts = SourceFacts("files", "invented", (), "0123456789abcdef")
        self.total = sum(map(len, partitions.values()))

    @property
    def partitions(self) -> list[int]:
        return sorted(self._records)

    def records(self, partition: int, *, after: int = -1, on_bad: OnBad) -> Iterator[Numbered]:
        for offset, record in enumerate(self._records[partition]):
            if offset <= after:
                continue
            if self.breaks_after is not None and self.read >= self.breaks_after:
                raise BrokenError
            if partition == 0 and offset in self._bad:
                on_bad(BadRecord(f"line {offset}", "not_json", "malformed"))
            self.read += 1
            yield Numbered(offset, record)


def one_partition(seed: int = 3) -> list[Mention | Progress]:
    """The story as one partition, with an end at which all bins close."""
    records = [record for _, record in story(seed)]
    last = max(record.published_at for record in records if isinstance(record, Mention))
    return [*records, *closing(last)]


def closing(last: datetime) -> list[Progress]:
    at = last + LATENESS + timedelta(minutes=1)
    return [Progress(partition=number, partitions=2, event_time=at, idle=False) for number in range(2)]


def write_mentions(path: Path, seed: int = 3) -> Path:
    """Write the story as a file of records, as `mentions.jsonl` of a rescoring."""
    path.write_bytes(b"".join(encode(record) + b"\n" for record in one_partition(seed)))
    return path
