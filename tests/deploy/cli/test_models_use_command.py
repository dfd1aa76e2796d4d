"""`squall models use` beside a registry: workers are told, the step is on record, and the disagreement is shown."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from deploy.cli import app
from models.files import read_manifest
from retrain.registry.audit import read_entries
from retrain.registry.mlflow_registry import Registry
from retrain.registry.promotion import Desk, adopt, promote
from streams import control
from streams.records import ModelInUse
from tests.models.tiny_model import write_tiny_model


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["models", *words], env={"COLUMNS": "250"})


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[ModelInUse]:
    """What workers were told; there is no broker here."""
    heard: list[ModelInUse] = []
    monkeypatch.setattr(control, "tell_workers", lambda _, record: heard.append(record))
    return heard


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two models, first and second, of which the first is configured."""
    for name, seed in (("first", 1), ("second", 2)):
        (tmp_path / name).mkdir()
        write_tiny_model(tmp_path / name, seed=seed, name=name)
    monkeypatch.setenv("SQUALL_CLASSIFIER__MODEL", str(tmp_path / "first"))
    for name in ("registry", "runs", "models"):
        monkeypatch.setenv(f"SQUALL_RETRAIN__{name.upper()}", str(tmp_path / "loop" / name))
    return tmp_path


def test_without_a_registry_workers_are_told_and_nothing_is_made(place: Path, told: list[ModelInUse]) -> None:
    used = run("use", "second", "--by", "ana")
    assert used.exit_code == 0, used.output
    assert [one.name for one in told] == ["second"]
    assert not (place / "loop").exists()
    assert "champion" not in run("list").output


def test_another_model_than_the_champion_is_told_on_record_and_shown_until_the_registry_has_the_word(
    place: Path, told: list[ModelInUse]
) -> None:
    loop = place / "loop"
    desk = Desk(
        registry=Registry(str(loop / "registry"), "squall"),
        models=loop / "models",
        runs=loop / "runs",
        tell=told.append,
        by="ana",
        now=lambda: datetime.now(UTC),
    )
    champion = adopt(desk, place / "first")
    used = run("use", "second", "--by", "ben", "--note", "the first one sees ghosts")
    assert used.exit_code == 0, used.output
    said = f"and the registry's champion is first {champion.model.version}: squall models promote or rollback"
    assert said in used.output
    (entry,) = read_entries(loop / "runs")
    assert (entry.step, entry.by, entry.note) == ("used", "ben", "the first one sees ghosts")
    assert (entry.model, entry.champion) == (read_manifest(place / "second").model, champion.model)
    for words in (("list",), ("history",)):
        assert said in run(*words).output
    assert "ghosts" in run("history").output

    promote(desk, champion, note="all is well", force=True)
    assert [one.name for one in told] == ["second", "first"]
    for words in (("list",), ("history",)):
        assert "the registry's champion is" not in run(*words).output


def test_a_registry_that_is_down_keeps_nobody_from_changing_the_model(
    place: Path, told: list[ModelInUse], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SQUALL_RETRAIN__REGISTRY", "http://127.0.0.1:9")
    used = run("use", "second", "--by", "ben")
    assert used.exit_code == 0, used.output
    assert [one.name for one in told] == ["second"]
    assert "the champion is not known: the registry http://127.0.0.1:9 cannot be opened" in used.output
    assert [(entry.step, entry.champion) for entry in read_entries(place / "loop" / "runs")] == [("used", None)]
