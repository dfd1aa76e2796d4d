"""Invented messages on invented companies as a message source, and a pool that scores them in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from models.prediction import Prediction
from models.testing import FakeClassifier
from streams.config import Settings
from streams.errors import InputError
from streams.records import FEED_MARK_KEY, FeedMark, Message, encode
from streams.replay.sources.source import BadRecord, OnBad, SourceFacts
from streams.scoring import RawRecord
from streams.scoring.answers import score_texts

START = datetime(2026, 3, 18, 10, 0, tzinfo=UTC)
STEP = timedelta(seconds=20)
COMPANIES = "symbol,name\nBRMFD,Brindlemoor Foods\nQLNTR,Quillentor Systems\n"
_TEXTS = (
    "Brindlemoor Foods faces a lawsuit after a recall",
    "Quillentor Systems beats the estimates of its profit",
    "Rain is expected in the north",
    "Brindlemoor Foods and Quillentor Systems plan a merger",
)


def invented_settings(folder: Path, **sections: dict[str, Any]) -> Settings:
    """Settings with the two companies alone, and the classifier on the CPU."""
    table = folder / "companies.csv"
    table.write_text(COMPANIES)
    entities = {"tables": (table,), "include_sp500": False, **sections.pop("entities", {})}
    classifier = {"device": "cpu", **sections.pop("classifier", {})}
    return Settings.model_validate({"entities": entities, "classifier": classifier, **sections})


def message(number: int, text: str | None = None, *, partition: int = 0, **fields: Any) -> RawRecord:
    """The number-th message of a feed that tells of something every twenty seconds."""
    at = START + number * STEP
    values = {"id": str(number), "source": "wire", "published_at": at, "text": text or told(number), **fields}
    return RawRecord(
        partition=partition,
        offset=number,
        key=b"wire",
        value=encode(Message(**values)),
        received_at=values["published_at"] + timedelta(seconds=1),
    )


def told(number: int) -> str:
    return f"{_TEXTS[number % len(_TEXTS)]}, report {number} says"


def refused(number: int) -> RawRecord:
    """A record that ingest refuses."""
    return RawRecord(partition=0, offset=number, key=None, value=b"{", received_at=START + number * STEP)


def mark(number: int, *, partition: int, done: bool = False) -> RawRecord:
    """A feed mark of a historical feed."""
    at = START + number * STEP
    value = encode(FeedMark(feed="history", event_time=at, done=done))
    return RawRecord(partition=partition, offset=number, key=FEED_MARK_KEY, value=value, received_at=at)


class Listed:
    """A message source over a list; strings in it are rows that cannot be read.

    Args:
        rows: records, and what is wrong with bad rows.
        partitions: the message partitions.
        identity: of the content.
        breaks_after: break off after this many records.
    """

    def __init__(
        self,
        rows: Sequence[RawRecord | str],
        *,
        partitions: Sequence[int] = (0,),
        identity: str = "listed",
        breaks_after: int | None = None,
        kind: str = "files",
    ) -> None:
        self._rows = rows
        self._breaks_after = breaks_after
        self.facts = SourceFacts(kind, "listed", ({"name": "listed.csv"},) if kind == "files" else (), identity)
        self.partitions = partitions
        self.total = len(rows)
        self.skips: list[int] = []
        """What each reading was asked to skip."""

    def records(self, *, skip: int = 0, on_bad: OnBad) -> Iterator[RawRecord]:
        self.skips.append(skip)
        good = 0
        for line, row in enumerate(self._rows, 2):
            if self._breaks_after is not None and good >= self._breaks_after:
                raise InputError(f"listed.csv:{line}: the file breaks off")
            if isinstance(row, str):
                if good >= skip:
                    on_bad(BadRecord(f"listed.csv:{line}", "bad_row", row))
                continue
            good += 1
            if good > skip:
                yield row


class PoolHere:
    """Stands for the pool of processes: scores with the classifier's double when it is asked for the answers."""

    scorer = FakeClassifier()

    def __init__(self, model: Path, *, settings: Settings, workers: int) -> None:
        self.workers = workers

    def __enter__(self) -> PoolHere:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, texts: Sequence[str], languages: Sequence[str]) -> Future[list[str]]:
        future: Future[list[str]] = Future()
        future.set_result(list(texts))
        return future

    def result(self, answers: Future[list[str]]) -> list[Prediction | Exception]:
        return score_texts(self.scorer, answers.result())
