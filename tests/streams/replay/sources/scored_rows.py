"""Rows of scored history on an invented company, their files, and what a source makes of them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from streams.config import Settings
from streams.errors import InputError
from streams.records import Mention, encode
from streams.replay.sources.open_source import open_mentions
from streams.replay.sources.options import FileOptions, Window
from streams.replay.sources.source import BadRecord, MentionSource, Numbered

AT = datetime(2026, 3, 2, 14, tzinfo=UTC)
CONFIG = Settings()
MINUTE = timedelta(minutes=1)


def iso(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def row(number: int, at: datetime | None = None, **fields: Any) -> dict[str, Any]:
    """A row with the fields of a scenario."""
    return {
        "id": f"n{number}",
        "entity": "BRMFD",
        "source": "wire",
        "author": f"author-{number}",
        "story": f"story-{number // 2}",
        "published_at": iso(at or AT + number * MINUTE),
        "negative": 0.25,
        "neutral": 0.5,
        "positive": 0.25,
        "text": f"Brindlemoor Foods opens plant number {number}",
        **fields,
    }


def lines(path: Path, rows: Iterable[Any]) -> Path:
    data = b"".join(
        (item if isinstance(item, bytes) else json.dumps(item).encode() if isinstance(item, dict) else encode(item))
        + b"\n"
        for item in rows
    )
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def table(path: Path, rows: list[dict[str, Any]]) -> Path:
    names = list(rows[0])
    path.write_text("\n".join([",".join(names), *(",".join(str(item[name]) for name in names) for item in rows)]))
    return path


def opened(*paths: Path, window: Window | None = None, trust: bool = False, **options: Any) -> MentionSource:
    return open_mentions(
        [str(path) for path in paths], CONFIG, options=FileOptions(**options), window=window, trust_stories=trust
    )


def read(source: MentionSource, *, after: int = -1) -> tuple[list[Numbered], list[BadRecord]]:
    bad: list[BadRecord] = []
    return list(source.records(0, after=after, on_bad=bad.append)), bad


def mentions(records: list[Numbered]) -> list[Mention]:
    return [item.record for item in records if isinstance(item.record, Mention)]


def complaint(*paths: Path, window: Window | None = None, trust: bool = False, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        read(opened(*paths, window=window, trust=trust, **options))
    return str(caught.value)
