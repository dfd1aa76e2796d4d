"""`squall publish` checks every row, tells the bad ones by line, and says what it did by its exit status."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from deploy.cli.publish import publish
from streams.errors import InputError

GOOD = "timestamp,text\n2026-03-02T14:00:00Z,Acme falls\n2026-03-02T14:00:05Z,Borealis beats\n"


def run(*arguments: str | Path) -> Result:
    app = typer.Typer(add_completion=False)
    app.command()(publish)
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})


def written(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def test_a_dry_run_of_good_rows_says_how_many_and_from_when_to_when(tmp_path: Path) -> None:
    result = run(written(tmp_path / "a.csv", GOOD), "--dry-run")
    assert result.exit_code == 0
    assert "2 messages are good, 0 rows are bad, 2026-03-02 14:00:00 to 2026-03-02 14:00:05 UTC" in result.output


def test_bad_rows_are_told_by_file_and_line_and_the_exit_status_is_1(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", GOOD + "soon,Acme\n2026-03-02T14:00:09Z,\n")
    result = run(path, "--dry-run")
    assert result.exit_code == 1
    assert f"{path}: line 4: timestamp: 'soon' is no time" in result.stderr
    assert f"{path}: line 5: the text is empty" in result.stderr
    assert run(path, "--dry-run", "--skip-bad").exit_code == 0


def test_no_more_than_twenty_bad_rows_are_told_one_by_one(tmp_path: Path) -> None:
    result = run(written(tmp_path / "a.csv", GOOD + "soon,Acme\n" * 1_050), "--dry-run")
    assert result.stderr.count("is no time") == 20
    assert "... and 1,030 more bad rows" in result.stderr


def test_columns_and_the_missing_offset_are_settled_by_options(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "When,Summary\n2026-03-02 14:00:00,Acme falls\n")
    assert run(path, "--dry-run").exit_code == 1
    result = run(path, "--dry-run", "--time-column", "When", "--text-column", "Summary", "--assume-utc")
    assert result.exit_code == 0


def test_a_limit_counts_over_all_files(tmp_path: Path) -> None:
    result = run(written(tmp_path / "a.csv", GOOD), written(tmp_path / "b.csv", GOOD), "--dry-run", "--limit", "3")
    assert "3 messages are good" in result.output


def test_a_missing_file_is_an_error_of_the_whole_run(tmp_path: Path) -> None:
    result = run(tmp_path / "gone.csv", "--dry-run")
    assert isinstance(result.exception, InputError)
    assert "no such file" in str(result.exception)


def test_a_time_too_far_in_the_future_is_refused_with_its_line(tmp_path: Path) -> None:
    at = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    result = run(written(tmp_path / "a.csv", GOOD + f"{at},Acme\n"), "--dry-run")
    assert result.exit_code == 1
    assert "line 4: published" in result.stderr
    assert "(ingest.max_future_s)" in result.stderr
    assert "1 row is bad" in result.output


def test_a_missing_column_is_told_once_at_the_header(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "time,note\n" + "2026-03-02T14:00:00Z,Acme\n" * 3)
    result = run(path, "--dry-run")
    expected = f"{path}:1: no column for the text; the columns are time, note; name one with --text-column"
    assert str(result.exception) == expected


def test_a_file_without_rows_is_remarked_upon(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "time,text\n")
    result = run(path, "--dry-run")
    assert result.exit_code == 0
    assert f"There are no rows in {path}" in result.stderr


def test_one_is_not_many(tmp_path: Path) -> None:
    result = run(written(tmp_path / "a.csv", GOOD), "--dry-run", "--limit", "1")
    assert "1 message is good, 0 rows are bad" in result.output


def test_text_lines_are_not_offered(tmp_path: Path) -> None:
    result = run(written(tmp_path / "a.doc", "x"), "--dry-run")
    assert isinstance(result.exception, InputError)
    assert ".txt" not in str(result.exception)


@pytest.mark.parametrize("speed", ["0", "-1"])
def test_a_speed_that_is_none_is_wrong_use(tmp_path: Path, speed: str) -> None:
    result = run(written(tmp_path / "a.csv", GOOD), "--speed", speed)
    assert result.exit_code == 2
    assert "must be greater than 0" in result.output
