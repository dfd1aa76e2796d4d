from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from retrain.card import CARD
from retrain.combine import Combined, mean_weights, train_runs
from retrain.data import read_both
from retrain.evaluation import report_by_file
from retrain.fit import Fitted, Material, fit, open_material, probabilities, selection
from retrain.loop import Hooks, LabelledTokens
from retrain.settings import TrainingSettings
from tests.retrain.test_train import SETTINGS, train

TWO = replace(SETTINGS, epochs=2, runs=2)


@pytest.fixture
def material(tiny_base: Path, tmp_path: Path) -> Material:
    return open_material(str(tiny_base), tmp_path, SETTINGS, torch.device("cpu"))


@pytest.fixture
def rows(material: Material, sentiment_file: Path, topic_file: Path) -> list[LabelledTokens]:
    return material.tokenise(read_both([sentiment_file], [topic_file]))


def combined(material: Material, rows: list[LabelledTokens], settings: TrainingSettings) -> Combined:
    return train_runs(material, rows[::2], rows[1::2], settings, begin=lambda name: Hooks())


def runs(material: Material, rows: list[LabelledTokens], settings: TrainingSettings) -> list[Fitted]:
    return [fit(material, rows[::2], rows[1::2], settings, run=run) for run in range(2)]


def test_runs_start_from_the_same_heads_and_go_other_ways(material: Material, rows: list[LabelledTokens]) -> None:
    short = replace(SETTINGS, epochs=1, learning_rate=1e-12, head_learning_rate=1e-12)
    first, second = runs(material, rows, short)
    for name, value in first.network.state_dict().items():
        assert torch.allclose(value, second.network.state_dict()[name], atol=1e-6), name
    first, second = runs(material, rows, TWO)
    assert not torch.equal(first.network.sentiment.weight, second.network.sentiment.weight)


def test_the_best_run_is_kept_and_the_ensemble_is_the_mean_of_probabilities(
    material: Material, rows: list[LabelledTokens]
) -> None:
    found = combined(material, rows, TWO)
    made = runs(material, rows, TWO)
    scores = [run.result.best for run in made]
    assert found.facts is not None
    assert [run["score"] for run in found.facts["runs"]] == scores
    best = made[int(np.argmax(scores))]
    assert torch.equal(found.network.topic.weight, best.network.topic.weight)
    dev = rows[1::2]
    told = [probabilities(run.network, dev, 0, bf16=False) for run in made]
    mean = [(one + other) / 2 for one, other in zip(*told, strict=True)]
    expected = selection(report_by_file([row.example for row in dev], mean[0], mean[1]))["selection"]
    assert found.facts["ensemble_score"] == pytest.approx(expected)


def test_a_soup_is_the_mean_of_weights_and_is_kept_only_where_it_is_better(
    material: Material, rows: list[LabelledTokens], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = runs(material, rows, TWO)
    mean = mean_weights([run.network.state_dict() for run in made])
    weight = "encoder.encoder.layer.0.attention.self.query.weight"
    one, other = (run.network.state_dict()[weight] for run in made)
    assert torch.allclose(mean[weight], (one + other) / 2)
    best = max(run.result.best for run in made)
    for score in (best, best + 0.001):
        monkeypatch.setattr("retrain.combine.development_score", lambda *rest, told=score: {"selection": told})
        found = combined(material, rows, replace(TWO, combine="soup"))
        assert found.facts is not None and found.facts["soup_score"] == score
        is_soup = torch.equal(found.network.state_dict()[weight], mean[weight])
        assert is_soup == (score > best)
        assert (found.facts["kept"] == "the mean of all weights") == is_soup


def test_a_pupil_learns_from_all_runs_and_the_card_tells_all_scores(
    sentiment_file: Path, topic_file: Path, tiny_base: Path, tmp_path: Path
) -> None:
    settings = replace(SETTINGS, runs=2, combine="distil", teacher_weight=0.7)
    trained = train(sentiment_file, topic_file, tiny_base, tmp_path / "out", settings)
    told = trained.metrics["combination"]
    assert told["kept"] == "a pupil of all"
    assert trained.metrics["dev"]["topic"]["topic.csv"]["accuracy"] >= 0.8
    card = (trained.folder / CARD).read_text()
    assert "Of 2 runs with development scores" in card
    assert f"{told['pupil_score']:.4f}" in card and f"{told['ensemble_score']:.4f}" in card
    plain = train(sentiment_file, topic_file, tiny_base, tmp_path / "plain")
    assert plain.manifest.version != trained.manifest.version
