"""A backtest from raw messages: they are scored once, and both rule sets see the same scores."""

from __future__ import annotations

import csv
import random
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn

import pytest
from typer.testing import CliRunner

from deploy.cli import app
from streams.errors import ConfigError, ReplayError
from streams.replay.results import DEAD_LETTERS, MENTIONS, load_run
from tests.models.tiny_model import write_tiny_model

START = datetime(2026, 3, 18, 6, 0, tzinfo=UTC)
MESSAGES = 240
EASY = (
    "rules: [{alert: Any, type: threshold, window: 60m, fire: {gte: 0.01}, effect_min: 0, "
    "min_support: {stories: 5, sources: 1}, cooldown: {for: 12h}}]\n"
)
HARD = EASY.replace("gte: 0.01", "gte: 0.999")
_WORDS = "kiln orchard quarry turbine harbour ferry bridge cannery refinery depot loom mill".split()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Messages on one invented company every minute, a tiny model with random weights, and two rule files."""
    monkeypatch.chdir(tmp_path)
    dice = random.Random(5)
    with (tmp_path / "messages.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["id", "source", "author", "published_at", "text"])
        for number in range(MESSAGES):
            at = START + timedelta(minutes=number)
            text = f"Brindlemoor Foods {' '.join(dice.choices(_WORDS, k=9))} {number}"
            table.writerow([number, f"wire-{number % 4}", f"a{number % 50}", at.isoformat(), text])
    (tmp_path / "companies.csv").write_text("symbol,name\nBRMFD,Brindlemoor Foods\n", encoding="utf-8")
    (tmp_path / "model").mkdir()
    write_tiny_model(tmp_path / "model")
    (tmp_path / "squall.yaml").write_text(
        "entities: {tables: [companies.csv], include_sp500: false}\nclassifier: {device: cpu, model: model}\n",
        encoding="utf-8",
    )
    (tmp_path / "old.yaml").write_text(HARD, encoding="utf-8")
    (tmp_path / "new.yaml").write_text(EASY, encoding="utf-8")
    return tmp_path


def _interrupt(*_: object, **__: object) -> NoReturn:
    raise KeyboardInterrupt


def _refuse(*_: object, **__: object) -> NoReturn:
    msg = "scored a second time"
    raise AssertionError(msg)


def begins_anew_only_if_told(place: Path, arguments: list[str]) -> None:
    """What was left of a backtest over other companies is refused, and with --fresh it is forgotten."""
    shutil.copytree(place / "kept.partial", place / "other.partial")
    companies = place / "companies.csv"
    before = companies.read_text(encoding="utf-8")
    companies.write_text(before + "OSTMB,Ostermere Bank\n", encoding="utf-8")
    command = [*arguments, "--out", "other", "--workers", "1"]
    refused = CliRunner().invoke(app, command).exception
    assert isinstance(refused, ReplayError)
    assert "a rescoring that differs in the companies" in str(refused)
    assert "squall rules backtest: add --fresh" in str(refused)
    assert str(CliRunner().invoke(app, [*command, "--fresh"]).exception) == "scored a second time"
    companies.write_text(before, encoding="utf-8")


def test_what_was_known_then_goes_for_the_model_too(place: Path) -> None:
    arguments = ["rules", "backtest", "messages.csv", "--rules", "new.yaml", "--model", "model"]
    refused = CliRunner().invoke(app, [*arguments, "--known-at", "2026-03-18T08:00:00Z"]).exception
    assert isinstance(refused, ConfigError)
    assert "does not say when model tiny" in str(refused)


def test_raw_messages_are_scored_once_for_both_rule_sets(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["rules", "backtest", "messages.csv", "--rules", "new.yaml", "--against", "old.yaml"]
    keeping = [*arguments, "--out", "kept", "--workers", "1"]
    with monkeypatch.context() as stopped:
        stopped.setattr("streams.replay.differences.backtest.run_plan", _interrupt)
        assert CliRunner().invoke(app, keeping).exit_code == 130
    assert not (place / "kept").exists()
    # Stopped after the scoring, the same command goes on from there.
    monkeypatch.setattr("streams.replay.rescoring.rescore.ScoringPool", _refuse)
    begins_anew_only_if_told(place, arguments)
    shown = CliRunner().invoke(app, keeping, env={"COLUMNS": "160"})
    assert shown.exit_code == 0, shown.output
    assert "1 added, 0 removed" in shown.stdout
    old, new = load_run(place / "kept" / "old"), load_run(place / "kept" / "new")
    assert old.summary.mode == new.summary.mode == "rescored"
    assert old.summary.source == new.summary.source
    assert old.summary.source.text == "messages.csv"
    assert old.summary.messages == new.summary.messages
    assert new.summary.mentions == MESSAGES
    assert next(iter(new.summary.versions.models)).startswith("tiny@")
    scored = [run.folder / MENTIONS for run in (old, new)]
    assert scored[0].read_bytes() == scored[1].read_bytes()
    assert (place / "kept" / "new" / DEAD_LETTERS).exists()
    # What was scored for this backtest serves the next one, which then scores nothing.
    again = [arguments[0], arguments[1], str(scored[1]), "--as-scored", *arguments[3:], "--json", "-"]
    quick = CliRunner().invoke(app, again)
    assert quick.exit_code == 0, quick.output
    assert '"added": 1' in quick.stdout
    assert "scoring" not in quick.stderr
