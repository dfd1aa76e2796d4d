"""The audit log: who made which model champion, when and why, and what was refused. It only grows."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from models.prediction import ModelId
from streams.errors import InputError
from streams.records.codec import UtcTime

FILE = "audit.jsonl"

Step = Literal["trained", "refused", "passed", "promoted", "rolled_back", "used", "failed", "not_due"]
"""`used`: workers were told to answer with a model beside the registry (`squall models use`)."""

_encode = msgspec.json.Encoder(order="deterministic").encode


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One step.

    Attributes:
        at: when.
        by: who: a name or an account.
        step: what was done.
        model: the model that it was done to.
        champion: the champion before it.
        note: why, in words.
        facts: what else is known: data set, run, verdict.
    """

    at: UtcTime
    by: str
    step: Step
    model: ModelId | None = None
    champion: ModelId | None = None
    note: str | None = None
    facts: Mapping[str, Any] = {}


def write_entry(folder: Path, entry: Entry) -> None:
    """Add a line, and wait until it is on the disk.

    Raises:
        InputError: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (folder / FILE).open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(_encode(entry) + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise InputError(f"{folder / FILE}: the audit log cannot be written ({error.strerror})") from error


def read_entries(folder: Path) -> list[Entry]:
    """Return all entries, oldest first; none before the first.

    Raises:
        InputError: the file cannot be read, or a line is no entry.
    """
    try:
        lines = (folder / FILE).read_bytes().splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"{folder / FILE}: cannot be read ({error.strerror})") from error
    entries = []
    for number, line in enumerate(lines, 1):
        try:
            entries.append(msgspec.json.decode(line, type=Entry))
        except msgspec.DecodeError as error:
            raise InputError(f"{folder / FILE}:{number}: no entry of an audit log ({error})") from None
    return entries
