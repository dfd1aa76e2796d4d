"""`models.tune` and `squall models list|show|tune`: on real processes, and what is made of what they measure."""

from __future__ import annotations

import csv
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from deploy.cli import main
from models import tune as tuning
from models.benchmark import generate_texts
from models.classifier import Classifier
from models.errors import ModelError
from models.files import read_manifest
from models.tune import REFERENCE, Turn, Way, expected_loss, tune, ways
from tests.models.tiny_model import write_tiny_model


def squall(*arguments: str | Path) -> int:
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as stopped:
        return int(stopped.code or 0)
    return 0


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "tiny"
    folder.mkdir()
    write_tiny_model(folder)
    return folder


def test_tuning_measures_keeps_its_choice_and_the_choice_computes(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if importlib.util.find_spec("onnxruntime") is None:
        pytest.skip("needs onnxruntime")
    data, figures = tmp_path / "texts.csv", tmp_path / "figures.json"
    with data.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["text", "label"])
        rows.writerows(
            [text, ("negative", "neutral", "positive")[at % 3]] for at, text in enumerate(generate_texts(80))
        )
    options = ("--backend", "onnx", "--rounds", "1", "--data", data, "--bound", "1", "--json", figures)
    assert squall("models", "tune", "--model", model, *options) == 0
    told = capsys.readouterr().out
    assert "torch float32" in told
    assert "onnx int8" in told
    assert sum(line.startswith((" * ", "* ")) for line in told.splitlines()) == 1
    content = json.loads(figures.read_text())
    assert {row["way"]["backend"] for row in content["measured"]} == {"torch", "onnx"}
    assert all(
        row["messages_per_s"] > 0 and row["peak_mib"] > 50 and row["error"] is None for row in content["measured"]
    )
    reference = next(row for row in content["measured"] if row["way"]["precision"] == "float32")
    assert 0 < reference["accuracy"] < 1
    speeds = [row["messages_per_s"] for row in content["measured"]]
    assert speeds == sorted(speeds, reverse=True)
    choice = content["choice"]
    assert (choice["backend"], choice["precision"]) == tuple(
        content["measured"][0]["way"][key] for key in ("backend", "precision")
    )
    found = Classifier.load(model, backend="auto")
    assert (found.backend, found.precision) == (choice["backend"], choice["precision"])

    assert squall("models", "show", model) == 0
    shown = capsys.readouterr().out
    assert f"{choice['backend']} {choice['precision']} on cpu" in shown
    assert "not used" not in shown
    assert "calibrated no" in shown
    assert "first tier no" in shown


def test_models_are_listed_with_the_one_in_use(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SQUALL_CLASSIFIER__MODEL", str(model))
    monkeypatch.setenv("COLUMNS", "140")
    assert squall("models", "list") == 0
    lines = capsys.readouterr().out.splitlines()
    (tiny,) = [line for line in lines if "tiny" in line]
    assert tiny.split()[0] == "*"
    assert read_manifest(model).version in tiny
    assert any("squall-minilm" in line and "*" not in line for line in lines)
    assert squall("models", "show") == 0
    assert "tuned      no: torch computes" in capsys.readouterr().out


def test_unknown_models_backends_and_files_are_named(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert squall("models", "show", "no-such-model") == 2
    assert "no model 'no-such-model'" in capsys.readouterr().err
    assert squall("models", "tune", "--model", model, "--backend", "abacus") == 2
    assert "abacus" in capsys.readouterr().err
    assert squall("models", "tune", "--model", model, "--data", tmp_path / "absent.csv") == 2
    assert "absent.csv" in capsys.readouterr().err
    few = tmp_path / "few.csv"
    few.write_text("text\nshares fall\n" + "shares rise\n" * 200)
    assert squall("models", "tune", "--model", model, "--data", few) == 2
    assert "2 different texts are too few" in capsys.readouterr().err


class Machine:
    """Answers in the place of the processes: a turn per way, or an error."""

    def __init__(self, turns: dict[Way, Turn | str]) -> None:
        self.turns = turns

    def __call__(self, failed: dict[Way, str], way: Way, work: object, *_: object) -> Turn | None:
        found = self.turns[way]
        if isinstance(found, str):
            failed[way] = found
            return None
        return found if work is tuning._turn else None


def turn(seconds: float, shift: float = 0.0) -> Turn:
    """Return a turn on three texts; the shift moves probability from the first class to the second."""
    sentiment = np.asarray([[0.60, 0.30, 0.10], [0.45, 0.40, 0.15], [0.10, 0.20, 0.70]])
    sentiment[:, 0] -= shift
    sentiment[:, 1] += shift
    topic = np.full((3, 20), 0.05)
    topic[:, 4] += 0.01
    return Turn(seconds, seconds, 1.0, 100.0, sentiment, topic)


FAST, FASTEST = Way("onnx", "int8"), Way("openvino", "int8")


def tuned(
    monkeypatch: pytest.MonkeyPatch, model: Path, turns: dict[Way, Turn | str], **options: object
) -> tuning.Tuning:
    default = tuning._untuned()
    answers: dict[Way, Turn | str] = {REFERENCE: turn(4.0), default: turn(2.0), **turns}
    monkeypatch.setattr(tuning, "_attempt", Machine(answers))
    return tune(model, ["one", "two", "three"], candidates=list(answers), rounds=1, **options)  # type: ignore[arg-type]


def test_the_fastest_within_the_bound_is_chosen(monkeypatch: pytest.MonkeyPatch, model: Path) -> None:
    # 0.03 moves the second text to a class that float32 gives 0.05 less: a third of that is lost.
    turns: dict[Way, Turn | str] = {FAST: turn(1.0), FASTEST: turn(0.5, shift=0.03)}
    result = tuned(monkeypatch, model, turns, bound=0.01)
    assert Way(result.choice.backend, result.choice.precision) == FAST
    fastest = result.measured[0]
    assert fastest.way == FASTEST
    assert not fastest.within
    assert list(fastest.loss) == pytest.approx([0.05 / 3, 0.0])
    assert list(fastest.agreement) == pytest.approx([2 / 3, 1.0])
    assert tuned(monkeypatch, model, turns, bound=0.02).choice.backend == "openvino"
    assert result.choice.against_torch == (2.0 if tuning._untuned() != REFERENCE else 4.0)


def test_with_labels_the_loss_of_sentiment_is_measured(monkeypatch: pytest.MonkeyPatch, model: Path) -> None:
    turns: dict[Way, Turn | str] = {FASTEST: turn(0.5, shift=0.03)}
    worse = tuned(monkeypatch, model, turns, labels=[0, 0, 2]).measured[0]
    assert worse.accuracy == pytest.approx(2 / 3)
    assert worse.loss[0] == pytest.approx(1 / 3)
    better = tuned(monkeypatch, model, turns, labels=[0, 1, 2])
    assert better.measured[0].loss[0] == pytest.approx(-1 / 3)
    assert better.choice.backend == "openvino"


def test_a_backend_that_fails_keeps_no_other_from_being_chosen(monkeypatch: pytest.MonkeyPatch, model: Path) -> None:
    result = tuned(monkeypatch, model, {FASTEST: "openvino is not installed", FAST: turn(1.0)})
    assert result.choice.backend == "onnx"
    assert (result.measured[-1].way, result.measured[-1].error) == (FASTEST, "openvino is not installed")
    with pytest.raises(ModelError, match="nothing to compare"):
        tuned(monkeypatch, model, {REFERENCE: "out of memory"})


def test_a_backend_that_is_not_there_is_an_error_and_no_stack_trace(model: Path, tmp_path: Path) -> None:
    failed: dict[Way, str] = {}
    assert tuning._attempt(failed, Way("abacus", "int8"), tuning._prepare, model, tmp_path, None) is None
    assert "unknown backend 'abacus'" in failed[Way("abacus", "int8")]


def test_texts_labels_and_numbers_that_make_no_sense_are_refused(model: Path) -> None:
    with pytest.raises(ValueError, match="texts are needed"):
        tune(model, [])
    with pytest.raises(ValueError, match="a label for each"):
        tune(model, ["a", "b"], [1])
    with pytest.raises(ValueError, match="rounds"):
        tune(model, ["a"], rounds=0)


def test_the_reference_is_among_the_ways_and_backends_can_be_left_out() -> None:
    assert ways()[0] == REFERENCE
    assert {way.backend for way in ways()} == {"torch", "onnx", "openvino"}
    assert {way.backend for way in ways(["onnx"])} == {"onnx"}


def test_no_loss_is_expected_where_the_classes_are_the_same() -> None:
    own = turn(1.0)
    assert expected_loss(own.sentiment, turn(1.0, shift=0.02).sentiment) == 0.0
