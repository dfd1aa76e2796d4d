"""What was said, from files of people: CSV, JSON lines or Parquet with a label or a verdict per row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from retrain.data import Task
from retrain.labels.said import Said, read_answer, read_verdict
from streams.errors import InputError
from streams.ingest.readers import Row, read_rows

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "text": ("text", "body", "content", "message"),
    "label": ("label", "sentiment", "answer", "class"),
    "verdict": ("verdict",),
    "message_id": ("message_id", "id"),
    "alert_id": ("alert_id", "alert"),
    "by": ("by", "annotator", "user", "analyst"),
    "learned_at": ("learned_at", "labelled_at", "labeled_at", "judged_at"),
    "entity": ("entity", "symbol", "ticker"),
    "source": ("source", "feed"),
    "lang": ("lang", "language"),
    "topic": ("topic",),
    "note": ("note", "comment", "remark"),
}
"""What a row can say, and the column names that are taken for it; case does not matter."""

_TOLD = 5


@dataclass(frozen=True, slots=True)
class FileDefaults:
    """What holds where a row does not say it.

    Attributes:
        task: which head the labels are for.
        by: who judged; None: every row must say it.
        learned_at: when it became known, UTC; None: every row must say it.
    """

    task: Task = "sentiment"
    by: str | None = None
    learned_at: datetime | None = None


def read_said(path: Path, defaults: FileDefaults) -> list[Said]:
    """Read a file, wholly or not at all.

    Raises:
        InputError: the file cannot be read or holds no rows, or rows cannot be used; the first five are told, with
            their lines.
    """
    said: list[Said] = []
    bad: list[str] = []
    for row in read_rows(path):
        where = f"{path}:{row.line}"
        try:
            said.append(_said(row, where, defaults))
        except ValueError as error:
            bad.append(f"{where}: {error}")
    if bad:
        more = f"\n... and {len(bad) - _TOLD:,} more rows" if len(bad) > _TOLD else ""
        raise InputError("\n".join(bad[:_TOLD]) + more + "\nNothing was taken; mend the rows and import again")
    if not said:
        raise InputError(f"{path}: holds no rows; it needs a label or a verdict in each")
    return said


def _said(row: Row, where: str, defaults: FileDefaults) -> Said:
    if row.error is not None:
        raise ValueError(row.error)
    cells = dict(_cells(row))
    label, verdict = cells.get("label"), cells.get("verdict")
    if (label is None) == (verdict is None):
        raise ValueError("needs a label or a verdict" if label is None else "has a label and a verdict: which is it?")
    if not any(name in cells for name in ("text", "message_id", "alert_id")):
        raise ValueError("needs a text, a message_id or an alert_id: what is it said of?")
    by = cells.get("by") or defaults.by
    if by is None:
        raise ValueError("does not say who judged: fill a column 'by', or name somebody for all rows with --by")
    check_name_of_person(by)
    told = cells.get("learned_at")
    learned_at = read_time(told) if told is not None else defaults.learned_at
    if learned_at is None:
        raise ValueError("does not say when: fill a column 'learned_at', or give a time with --learned-at")
    return Said(
        where=where,
        by=by,
        learned_at=learned_at,
        verdict=None if verdict is None else read_verdict(verdict),
        answer=None if label is None else read_answer(label, defaults.task),
        task=defaults.task if verdict is None else "sentiment",
        message_id=cells.get("message_id"),
        alert_id=cells.get("alert_id"),
        text=cells.get("text"),
        entity=cells.get("entity"),
        source=cells.get("source"),
        lang=cells.get("lang"),
        topic=cells.get("topic"),
        note=cells.get("note"),
    )


def _cells(row: Row) -> Iterator[tuple[str, str]]:
    by_column = {name.strip().casefold(): value for name, value in row.values.items()}
    for field, names in COLUMNS.items():
        for name in names:
            value = by_column.get(name)
            if value is not None and (text := str(value).strip()):
                yield field, text
                break


def check_name_of_person(by: str) -> None:
    """Refuse an e-mail address: labels are kept for ever, and an account's name does as well. Raises ValueError."""
    if "@" in by:
        raise ValueError("names a person by an e-mail address: use a name or an account, as labels are kept for ever")
    if len(by) > 200 or not by.isprintable():
        raise ValueError("the name of who judged is longer than 200 characters or not printable")


def read_time(text: str) -> datetime:
    """Return a time in UTC. Raises ValueError for what is none, or has no offset."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise ValueError(f"{text!r} is no time with an offset such as 2026-03-17T09:30:00Z")
    return time.astimezone(UTC)
