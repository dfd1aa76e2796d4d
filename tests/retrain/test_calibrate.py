from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deploy.cli import main
from models import Classifier
from models.errors import TrainingDataError
from models.files import MANIFEST, read_manifest
from models.prediction import softmax
from retrain.calibrate import choose_threshold, fit_calibration
from retrain.card import CARD, METRICS
from retrain.data import read_both
from retrain.job import TrainedModel
from retrain.split import split_examples
from tests.retrain.conftest import FILLERS
from tests.retrain.test_train import SETTINGS, train

SPLIT = (SETTINGS.dev_share, SETTINGS.split_seed)


def noisy(path: Path, words: dict[str, str], each: int, seed: int) -> Path:
    """Write texts of which one in six has a wrong label: no honest model is sure of them."""
    pick = random.Random(seed)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label"))
        for _ in range(each):
            for label, word in words.items():
                text = [*pick.sample(FILLERS, 5), word]
                told = label if pick.random() < 5 / 6 else pick.choice([name for name in words if name != label])
                writer.writerow((" ".join(text), told))
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("noisy")
    sentiment = noisy(folder / "s.csv", {"negative": "fall", "neutral": "meeting", "positive": "rise"}, 240, 1)
    return sentiment, noisy(folder / "t.csv", {"dividend": "payout", "energy": "oil"}, 300, 2)


@pytest.fixture(scope="module")
def trained(files: tuple[Path, Path], tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    return train(*files, tiny_base, tmp_path_factory.mktemp("trained") / "model")


def test_training_ends_with_a_calibration_that_answers_and_stands_in_figures_and_card(trained: TrainedModel) -> None:
    calibration = trained.manifest.calibration
    assert calibration is not None
    assert read_manifest(trained.folder) == trained.manifest
    figures = trained.metrics["calibration"]
    assert calibration.sentiment.temperature == figures["sentiment"]["temperature"] != 1.0
    assert calibration.topic.rows == figures["topic"]["rows"] >= 100
    card = (trained.folder / CARD).read_text()
    assert f"{calibration.topic.temperature:.4f}" in card
    assert "cross-fitted" in card
    classifier = Classifier.load(trained.folder, device="cpu", dtype="float32")
    texts = ["fall northa southb", "rise easta", "payout"]
    raw = classifier.outputs(texts)
    for row, logits in zip(classifier.predict(texts), raw.sentiment, strict=True):
        wanted = softmax(logits[np.newaxis] / calibration.sentiment.temperature)[0]
        assert (row.negative, row.neutral, row.positive) == pytest.approx(wanted, abs=1e-4)
        assert row.abstained == (max(row.negative, row.neutral, row.positive) < calibration.abstain_below)


def test_the_temperatures_make_held_out_texts_likelier_and_are_fitted_by_halves_too(
    trained: TrainedModel, files: tuple[Path, Path]
) -> None:
    examples = read_both([files[0]], [files[1]])
    found = fit_calibration(trained.folder, examples, split_examples(examples, *SPLIT))
    assert found.figures == trained.metrics["calibration"], "a model that is calibrated is fitted as if it were not"
    for head in ("sentiment", "topic"):
        figures = found.figures[head]
        assert figures["on_these_rows"]["log_loss"] <= figures["uncalibrated"]["log_loss"]
        assert len(set(figures["temperature_by_half"])) == 2
        assert sum(line["rows"] for line in figures["reliability"]) == figures["rows"]


def test_too_few_held_out_rows_leave_a_model_as_it_is(
    sentiment_file: Path, topic_file: Path, tiny_base: Path, tmp_path: Path
) -> None:
    model = train(sentiment_file, topic_file, tiny_base, tmp_path / "model")
    assert model.manifest.calibration is None
    assert model.metrics["calibration"] is None
    assert "calibration" not in json.loads((model.folder / MANIFEST).read_text())
    examples = read_both([sentiment_file], [topic_file])
    with pytest.raises(TrainingDataError, match="needs 100 held-out sentiment rows"):
        fit_calibration(model.folder, examples, split_examples(examples, *SPLIT))


def calibrated_rows(rows: int, seed: int) -> tuple[Any, Any]:
    generator = np.random.default_rng(seed)
    confidence = generator.uniform(0.4, 1.0, rows)
    return confidence, generator.random(rows) < confidence


def test_what_the_threshold_keeps_is_right_as_often_as_stated_in_nearly_all_samples() -> None:
    broken = 0
    for seed in range(200):
        threshold = choose_threshold(*calibrated_rows(800, seed), 0.75, 0.95)
        assert threshold is not None
        # Confidences are exact and uniform here, so what is kept is right in the mean of threshold and 1.
        broken += (threshold + 1.0) / 2 < 0.75
    assert broken <= 18, "one in twenty may be broken: 10 are expected of 200, and 18 are beyond chance"


def test_a_threshold_keeps_all_where_all_is_good_and_none_is_found_where_nothing_is() -> None:
    confidence = np.linspace(0.5, 1.0, 500)
    assert choose_threshold(confidence, np.ones(500, dtype=bool), 0.9, 0.95) == 0.5
    assert choose_threshold(confidence, np.zeros(500, dtype=bool), 0.9, 0.95) is None
    assert choose_threshold(np.zeros(0), np.zeros(0, dtype=bool), 0.9, 0.95) is None


def squall(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return int(stopped.value.code or 0)


def test_the_command_shows_the_fit_and_writes_a_copy_with_another_band(
    trained: TrainedModel, files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--sentiment", files[0], "--topic", files[1], "--dev-share", str(SPLIT[0]))
    before = {file.name: file.read_bytes() for file in trained.folder.iterdir()}
    assert squall("models", "calibrate", trained.folder, *options) == 0
    shown = capsys.readouterr().out
    assert f"{trained.metrics['calibration']['topic']['temperature']:.4f}" in shown
    assert (
        squall("models", "calibrate", trained.folder, *options, "--accuracy", "0.6", "--out", tmp_path / "other") == 0
    )
    manifest = read_manifest(tmp_path / "other")
    assert f"{manifest.name} {manifest.version}" in capsys.readouterr().out
    assert manifest.calibration is not None
    assert manifest.calibration.kept_accuracy == 0.6
    assert manifest.version != trained.manifest.version
    metrics = json.loads((tmp_path / "other" / METRICS).read_text())
    assert metrics["model"]["version"] == manifest.version
    assert metrics["dev"] == json.loads(json.dumps(trained.metrics["dev"])), "the same temperatures, the same figures"
    card = (tmp_path / "other" / CARD).read_text()
    for fact in (manifest.version, "Apache-2.0", "- Only a test."):
        assert fact in card
    assert {file.name: file.read_bytes() for file in trained.folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["other"], "scratch files were left behind"
    assert squall("models", "calibrate", trained.folder, *options, "--out", tmp_path / "other") == 2
    assert "not an empty folder" in capsys.readouterr().err
    assert squall("models", "calibrate", trained.folder, *options, "--split-seed", "3") == 2
    assert "its split_seed is 20" in capsys.readouterr().err
