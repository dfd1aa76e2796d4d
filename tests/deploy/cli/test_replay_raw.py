"""`squall replay` of raw messages: scored, watched, kept; and its mentions replayed again as they were scored."""

from __future__ import annotations

import csv
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn

import pytest
from typer.testing import CliRunner, Result

from deploy.cli import app
from streams.errors import InputError
from streams.replay.results import DEAD_LETTERS, MENTIONS, load_run
from tests.models.tiny_model import write_tiny_model

START = datetime(2026, 3, 18, 6, 0, tzinfo=UTC)
MESSAGES = 120
RULES = (
    "rules: [{alert: Any, type: threshold, window: 60m, fire: {gte: 0.01}, effect_min: 0, "
    "min_support: {stories: 5, sources: 1}}]\n"
)
_WORDS = "anvil beacon cellar drum easel funnel girder hinge inlet jetty kettle ladder".split()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Messages on one invented company, of which two are not good, and a tiny model with random weights."""
    monkeypatch.chdir(tmp_path)
    dice = random.Random(9)
    with (tmp_path / "messages.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["id", "source", "author", "published_at", "text", "lang"])
        for number in range(MESSAGES):
            at = START + timedelta(minutes=number)
            text = f"Cawdle Marine {' '.join(dice.choices(_WORDS, k=9))} {number}"
            table.writerow([number, f"wire-{number % 4}", f"a{number % 50}", at.isoformat(), text, "en"])
        table.writerow(["late", "wire-1", "a1", "soon", "Cawdle Marine when?", "en"])
        table.writerow(["other", "wire-1", "a1", (START + timedelta(hours=2)).isoformat(), "About nobody at all", "en"])
    (tmp_path / "companies.csv").write_text("symbol,name\nCWDLM,Cawdle Marine\n", encoding="utf-8")
    (tmp_path / "model").mkdir()
    write_tiny_model(tmp_path / "model")
    (tmp_path / "squall.yaml").write_text(
        "entities: {tables: [companies.csv], include_sp500: false}\nclassifier: {device: cpu, model: model}\n",
        encoding="utf-8",
    )
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    return tmp_path


def squall(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})


def _interrupt(*_: object, **__: object) -> NoReturn:
    raise KeyboardInterrupt


def _refuse(*_: object, **__: object) -> NoReturn:
    msg = "scored a second time"
    raise AssertionError(msg)


def test_raw_messages_are_scored_and_watched_and_the_mentions_are_kept(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replay = ["replay", "messages.csv", "--rules", "rules.yaml", "--workers", "1", "--out", "run"]
    with monkeypatch.context() as stopped:
        stopped.setattr("streams.replay.execute.run_monitor", _interrupt)
        shown = squall(*replay)
        assert shown.exit_code == 130
        assert "The same command goes on from here" in shown.stderr
    assert not (place / "run").exists()

    # Stopped after the scoring, the same command goes on from there.
    monkeypatch.setattr("streams.replay.rescoring.rescore.ScoringPool", _refuse)
    shown = squall(*replay)
    assert shown.exit_code == 1, "there was a bad row"
    found = load_run(place / "run")
    assert found.alerts
    assert found.summary.mode == "rescored"
    assert found.summary.mentions == MESSAGES
    assert found.summary.messages is not None
    assert found.summary.messages["scored"] == MESSAGES
    assert found.summary.messages["unlinked"] == 1
    assert sum(found.summary.bad.values()) == 1
    assert found.summary.source.text == "messages.csv"
    assert str(found.summary.options["model"]).startswith("tiny@")
    assert f"{MESSAGES} scored, 1 about no known company" in shown.stdout
    assert {MENTIONS, DEAD_LETTERS, "report.html"} <= {path.name for path in (place / "run").iterdir()}
    assert not (place / "run.partial").exists()

    # The mentions that are kept give the same alerts as they were scored.
    again = squall("replay", f"run/{MENTIONS}", "--as-scored", "--rules", "rules.yaml", "--out", "again")
    assert again.exit_code == 0, again.output
    assert (place / "again" / "alerts.jsonl").read_bytes() == (place / "run" / "alerts.jsonl").read_bytes()
    assert squall("replay", "--compare", "run", "again").exit_code == 0


@pytest.mark.parametrize("command", [["replay", "--out", "run"], ["rules", "backtest", "--rules", "rules.yaml"]])
def test_messages_about_no_known_company_are_told_by_their_own_file(place: Path, command: list[str]) -> None:
    (place / "nobody.csv").write_text("text,published_at\nAbout nobody at all,2026-03-02T14:00:00Z\n", encoding="utf-8")
    shown = squall(*command, "nobody.csv", "--workers", "1")
    assert isinstance(shown.exception, InputError), shown.output
    told = str(shown.exception)
    assert told.startswith("nobody.csv: nothing was scored of 1 messages: 1 about no known company")
    assert "--as-scored" in told
    assert not (place / "run.partial").exists()
