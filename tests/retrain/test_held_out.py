from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy.cli import main
from models import Classifier
from retrain.data import read_both
from retrain.held_out import evaluate_classical, evaluate_model
from retrain.settings import TrainingSettings
from retrain.split import split_examples
from tests.retrain.test_train import train


def test_a_models_figures_are_those_that_its_training_wrote_down(
    sentiment_file: Path, topic_file: Path, tiny_base: Path, tmp_path: Path
) -> None:
    trained = train(sentiment_file, topic_file, tiny_base, tmp_path / "model")
    examples = read_both([sentiment_file], [topic_file])
    knobs = trained.metrics["settings"]
    split = split_examples(examples, knobs["dev_share"], knobs["split_seed"])
    found = evaluate_model(trained.folder, examples, split)
    assert found.dev == trained.metrics["dev"]
    assert found.firsts == trained.metrics["dev_firsts"]
    wrong = [
        index
        for index, told in zip(
            split.dev, Classifier.load(trained.folder).predict([examples[at].text for at in split.dev]), strict=True
        )
        if examples[index].task == "sentiment"
        and (told.negative, told.neutral, told.positive).index(max(told.negative, told.neutral, told.positive))
        != examples[index].label
    ]
    report = found.dev["sentiment"]["sentiment.csv"]
    assert report["accuracy"] == pytest.approx(1 - len(wrong) / report["rows"])


def test_the_classical_model_is_evaluated_on_the_same_rows_and_learns_from_the_others(
    sentiment_file: Path, topic_file: Path
) -> None:
    examples = read_both([sentiment_file], [topic_file])
    split = split_examples(examples, 0.2, TrainingSettings().split_seed)
    figures = evaluate_classical(examples, split).dev
    assert figures["sentiment"]["sentiment.csv"]["rows"] + figures["topic"]["topic.csv"]["rows"] == len(split.dev)
    assert figures["sentiment"]["sentiment.csv"]["accuracy"] > 0.8
    assert figures["topic"]["topic.csv"]["accuracy"] > 0.8


def test_the_command_shows_both_and_refuses_a_model_that_may_know_the_texts(
    sentiment_file: Path,
    topic_file: Path,
    tiny_base: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    trained = train(sentiment_file, topic_file, tiny_base, tmp_path / "model")
    files = ["--sentiment", str(sentiment_file), "--topic", str(topic_file), "--dev-share", "0.2"]
    figures = tmp_path / "figures.json"

    def evaluate(*more: str) -> int:
        with pytest.raises(SystemExit) as stopped:
            main(["evaluate", str(trained.folder), *files, *more])
        return int(stopped.value.code or 0)

    assert evaluate("--json", str(figures)) == 0
    shown = capsys.readouterr().out
    assert "TF-IDF and LR" in shown
    accuracy = trained.metrics["dev"]["sentiment"]["sentiment.csv"]["accuracy"]
    assert f"{accuracy:.4f}" in shown
    assert json.loads(figures.read_text())["model"]["dev"] == json.loads(json.dumps(trained.metrics["dev"]))
    short = ["--max-length", "4", "--json", str(figures)]  # two words beside the special tokens
    assert evaluate(*short, "--max-windows", "1") == 0
    cut_off = json.loads(figures.read_text())["model"]["dev"]["topic"]["topic.csv"]["accuracy"]
    assert evaluate(*short, "--max-windows", "3") == 0
    windowed = json.loads(figures.read_text())["model"]["dev"]["topic"]["topic.csv"]["accuracy"]
    assert cut_off < windowed, "texts of six words are read whole in three windows of two"
    assert evaluate("--max-length", "9999") == 2
    assert "max_length may be at most" in capsys.readouterr().err
    assert evaluate("--split-seed", "3") == 2
    assert "its split_seed is 20" in capsys.readouterr().err
