"""Labelled rows from CSV files: reading, checking, and the words that public sets use for our labels."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from models.errors import TrainingDataError
from models.labels import SENTIMENTS, TOPIC_IDS, TOPICS

LEARNED_AT = "learned_at"
"""Column of when a label became known, as `squall labels export` writes it."""

Task = Literal["sentiment", "topic"]

HEADS: dict[Task, tuple[str, ...]] = {"sentiment": SENTIMENTS, "topic": TOPIC_IDS}
"""The class names of each head, in the order of the network's outputs."""

TASKS: tuple[Task, ...] = tuple(HEADS)

SENTIMENT_WORDS: dict[str, int] = {word: index for index, word in enumerate(SENTIMENTS)} | {
    "bearish": 0,
    "bullish": 2,
}
"""From a label's word, in lower case, to its sentiment index. Digits are not accepted: sets disagree on them."""

TOPIC_WORDS: dict[str, int] = {
    word.casefold(): index for index, topic in enumerate(TOPICS) for word in (topic.id, topic.source_name)
}
"""From a topic's id or its name in the public set, in lower case, to its label id."""


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled text and where it came from."""

    text: str
    task: Task
    label: int
    source: str
    line: int


def read_examples(paths: Sequence[Path], task: Task, *, until: datetime | None = None) -> list[Example]:
    """Read the labelled rows of CSV files that have the columns `text` and `label`.

    Args:
        paths: the files.
        task: which head they are for.
        until: rows whose column `learned_at` says that they became known later are passed over; those of a file without
            the column, or without a word in it, were always known.

    Raises:
        TrainingDataError: a file cannot be read or has no rows, a column is missing, a text is empty, or a
            label or time is unknown; the message names file and line.
    """
    return [example for path in paths for example in _read_file(path, task, until)]


def read_both(sentiment: Sequence[Path], topic: Sequence[Path], *, until: datetime | None = None) -> list[Example]:
    """Read the files of both heads, sentiment first; `until` as in `read_examples`.

    Raises:
        TrainingDataError: a head has no file, two files have one name, or as `read_examples`.
    """
    if not sentiment or not topic:
        raise TrainingDataError("both heads need data: give at least one --sentiment and one --topic file")
    names = [path.name for path in (*sentiment, *topic)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TrainingDataError(f"two files are called {twice[0]}; rename one, figures are reported by file name")
    return [*read_examples(sentiment, "sentiment", until=until), *read_examples(topic, "topic", until=until)]


def _read_file(path: Path, task: Task, until: datetime | None) -> list[Example]:
    words = SENTIMENT_WORDS if task == "sentiment" else TOPIC_WORDS
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            examples = list(_rows(csv.DictReader(file, strict=True), path, task, words, until))
    except FileNotFoundError:
        raise TrainingDataError(f"{path}: no such file; check the path given for --{task}") from None
    except OSError as error:
        raise TrainingDataError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except UnicodeDecodeError as error:
        raise TrainingDataError(f"{path}: not UTF-8 ({error.reason}); convert the file to UTF-8") from None
    if not examples and until is not None:
        raise TrainingDataError(f"{path}: holds no row that was known on {until:%Y-%m-%d %H:%M}; leave the file out")
    if not examples:
        raise TrainingDataError(f"{path}: holds no rows; give a CSV file with the columns text and label")
    return examples


def _rows(
    reader: csv.DictReader[str], path: Path, task: Task, words: dict[str, int], until: datetime | None
) -> Iterator[Example]:
    try:
        columns = reader.fieldnames or []
        missing = [name for name in ("text", "label") if name not in columns]
        if missing:
            raise TrainingDataError(
                f"{path}:1: column {' and '.join(missing)} missing; the header names {', '.join(columns) or 'none'}"
            )
        for row in reader:
            if until is not None and not _was_known(row, f"{path}:{reader.line_num}", until):
                continue
            yield _example(row, f"{path}:{reader.line_num}", path.name, reader.line_num, task, words)
    except csv.Error as error:
        raise TrainingDataError(f"{path}:{reader.line_num}: not valid CSV ({error}); mend the quoting") from None


def _was_known(row: dict[str, str], where: str, until: datetime) -> bool:
    told = (row.get(LEARNED_AT) or "").strip()
    if not told:
        return True
    try:
        time = datetime.fromisoformat(told)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        msg = f"{where}: {LEARNED_AT} {told!r} is no time with an offset such as 2026-03-17T09:30:00Z; mend it"
        raise TrainingDataError(msg)
    return time <= until


def _example(row: dict[str, str], where: str, source: str, line: int, task: Task, words: dict[str, int]) -> Example:
    text, label = (row["text"] or "").strip(), (row["label"] or "").strip()
    if not text:
        raise TrainingDataError(f"{where}: the text is empty; fill it or remove the row")
    index = words.get(label.casefold())
    if index is None:
        raise TrainingDataError(f"{where}: unknown {task} label {label!r}; known are {', '.join(sorted(words))}")
    return Example(text, task, index, source, line)
