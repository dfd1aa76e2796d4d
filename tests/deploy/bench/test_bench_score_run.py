"""`squall bench score` on a tiny network: real processes, with an engine of others that this environment has."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from deploy.bench.score import Plan, run, start_process
from deploy.bench.score_contenders import Contender
from deploy.bench.score_data import ScoreData
from deploy.bench.score_environment import ContenderMissingError, own_python
from deploy.cli import bench as command
from deploy.cli.bench_score import show
from tests.models.tiny_model import write_tiny_model

PIPELINE = Contender("pipeline, batch_size=4", "pipeline", "pipeline", None, {"batch_size": 4})
ABSENT = Contender("absent", "other", "infinity", "absent")
BROKEN = Contender("broken", "other", "no such engine", None)
FLOAT32 = Contender("squall, torch float32", "ours", "squall", options={"backend": "torch", "dtype": "float32"})


def no_network(name: str) -> Path:
    raise ContenderMissingError(f"its environment {name} cannot be made: no network")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scored")
    write_tiny_model(folder)
    return folder


def test_all_score_the_same_texts_with_the_same_network(model: Path, tmp_path: Path) -> None:
    texts = tuple(f"the bank shares {'rise' if n % 2 else 'fall'} {'loss ' * n}" for n in range(24))
    data = ScoreData(texts, tuple(n % 3 for n in range(24)), texts[:3], held_out=False, known=False)
    plan = Plan(model=model, rounds=2, least_s=0.0, others=(PIPELINE, ABSENT, BROKEN), networks=(FLOAT32,))
    notes: list[str] = []
    start = partial(start_process, environment=no_network, own=own_python(), call_messages=8)
    found = run(data, plan, start=start, note=notes.append)
    rows = {row.name: row for row in found.contenders}
    assert list(rows) == ["pipeline, batch_size=4", "squall, torch float32"]
    pipeline, ours = rows.values()
    assert pipeline.accuracy == ours.accuracy
    assert pipeline.macro_f1 == ours.macro_f1
    for row in rows.values():
        assert len(row.rounds_messages_per_s) == 2
        assert row.tokens_per_s > row.messages_per_s > 0
        assert row.peak_mib > 50
    assert found.ratio_vs_pipeline == pytest.approx(ours.messages_per_s / pipeline.messages_per_s)
    assert found.ratio_vs_best_other is None
    missing = {entry.name: entry.reason for entry in found.missing}
    assert missing["absent"] == "its environment absent cannot be made: no network"
    assert "no such engine" in missing["broken"]
    assert {name for name in missing if "first tier" in name} == {
        "squall, torch float32, first tier",
        "squall, torch float32, first tier and cache, reposts",
    }
    file = tmp_path / "figures.json"
    show(msgspec.structs.replace(found, data={"file": "a.csv"}), file)
    written = json.loads(file.read_text())
    assert [row["name"] for row in written["contenders"]] == list(rows)
    assert written["ratio_vs_pipeline"] == found.ratio_vs_pipeline


def test_a_file_without_texts_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("body\nx\n")
    result = CliRunner().invoke(command.app, ["score", "--data", str(file)])
    assert "no column 'text'" in str(result.exception)
