"""The user's own files, as a demonstration reads them: in order of time, bad rows told, useless files refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.demo.feed import OwnMessages, read_files
from streams.config import Settings
from streams.errors import InputError

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)


def read(*files: Path, columns: dict[str, str] | None = None, settings: Settings | None = None) -> OwnMessages:
    return read_files(files, settings or Settings(), columns=columns or {}, assume_utc=False, now=NOW)


def written(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def test_messages_of_several_files_come_in_order_of_time(tmp_path: Path) -> None:
    newest_first = "published_at,text\n2026-03-02T14:30:00Z,Ostermere falls\n2026-03-02T14:10:00Z,Ostermere rises\n"
    line = '{"time": "2026-03-02T14:20:00Z", "body": "Brindlemoor recalls"}\n'
    own = read(written(tmp_path / "a.csv", newest_first), written(tmp_path / "b.jsonl", line))
    assert [message.text for message in own.messages] == ["Ostermere rises", "Brindlemoor recalls", "Ostermere falls"]
    assert [message.source for message in own.messages] == ["a", "b", "a"]
    assert not own.was_sorted
    assert own.bad == []


def test_a_bad_row_is_told_by_file_and_line_and_the_others_are_kept(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "time,text\n2026-03-02T14:30:00Z,Ostermere falls\nsoon,Ostermere\n")
    own = read(path)
    assert (len(own.messages), own.was_sorted) == (1, True)
    (bad,) = own.bad
    assert bad.startswith(f"{path}: line 3: time: 'soon' is no time")


def test_a_missing_column_is_told_once_with_the_option_that_names_one(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "When,text\n2026-03-02T14:30:00Z,Ostermere falls\n" * 100)
    with pytest.raises(InputError, match=rf"{path}:1: no column for the time; .*When, text; .*--time-column"):
        read(path)
    own = read(written(path, "When,text\n2026-03-02T14:30:00Z,Ostermere falls\n"), columns={"published_at": "When"})
    assert len(own.messages) == 1


def test_text_lines_hold_no_messages_and_are_refused_as_a_whole(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file with columns"):
        read(written(tmp_path / "a.txt", "Ostermere falls\n"))


def test_a_time_that_the_worker_would_refuse_is_a_bad_row(tmp_path: Path) -> None:
    settings = Settings.model_validate({"ingest": {"max_future_s": 60}})
    rows = "time,text\n" + "".join(
        f"{(NOW + timedelta(seconds=ahead_s)).isoformat()},Ostermere falls\n" for ahead_s in (59, 61)
    )
    own = read(written(tmp_path / "a.csv", rows), settings=settings)
    assert len(own.messages) == 1
    (bad,) = own.bad
    assert "line 3: " in bad
    assert "more than 60 s in the future (ingest.max_future_s)" in bad


def test_without_a_time_given_the_future_begins_now(tmp_path: Path) -> None:
    at = (datetime.now(UTC) + timedelta(days=30)).isoformat()
    own = read_files(
        [written(tmp_path / "a.csv", f"time,text\n{at},Ostermere falls\n")], Settings(), columns={}, assume_utc=False
    )
    assert own.messages == []
    assert "in the future" in own.bad[0]
