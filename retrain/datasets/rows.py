"""A labelled row with all that it can be sliced by, from training files and from settled labels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from retrain.data import HEADS, Task, read_examples
from retrain.labels.decide import Decided
from streams.records.codec import UtcTime

LABELS = "labels"
"""Origin of the rows that people's judgements gave."""

_MARKET = re.compile(r"\.([A-Z]{2,4})$")

SLICES = ("origin", "source", "lang", "topic", "market")
"""What rows are told apart by when a model is judged."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One labelled text.

    Attributes:
        text: the text.
        task: which head the label is for.
        label: the class.
        origin: the training file's name, or `LABELS`.
        message_id: of the message, where it came from one.
        source: the feed that it came from; empty where it is not known, and so are the next ones.
        lang: language, ISO 639.
        topic: the topic that the message has.
        market: the market of the company that it is about, from the symbol's suffix.
        learned_at: when the label became known; None of a training file, which was always known.
    """

    text: str
    task: Task
    label: str
    origin: str
    message_id: str = ""
    source: str = ""
    lang: str = ""
    topic: str = ""
    market: str = ""
    learned_at: UtcTime | None = None

    def slices(self) -> dict[str, str]:
        """Return what it is told apart by, where that is known; rows of training files by their file alone."""
        return {name: value for name in SLICES if (value := getattr(self, name))}


def rows_of_files(paths: Sequence[Path], task: Task, *, lang: str = "", until: datetime | None = None) -> list[Row]:
    """Read training files: CSV with the columns text and label; `until` as in `retrain.data.read_examples`.

    Raises:
        TrainingDataError: as `retrain.data.read_examples`.
    """
    return [
        Row(text=one.text, task=task, label=HEADS[task][one.label], origin=one.source, lang=lang)
        for one in read_examples(paths, task, until=until)
    ]


def rows_of_labels(decided: Iterable[Decided]) -> list[Row]:
    """Turn settled labels into rows."""
    found = []
    for one in decided:
        word = one.judgement
        found.append(
            Row(
                text=word.text,
                task=word.task,
                label=one.answer,
                origin=LABELS,
                message_id=word.message_id,
                source=word.source or "",
                lang=word.lang or "",
                topic=(word.topic or "") if word.task == "sentiment" else one.answer,
                market=market_of(word.entity or ""),
                learned_at=word.learned_at,
            )
        )
    return found


def market_of(symbol: str) -> str:
    """Return the market that a symbol's suffix names, such as HK of 0700.HK; empty where it names none."""
    found = _MARKET.search(symbol)
    return found[1] if found else ""
