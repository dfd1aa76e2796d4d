"""`squall models first-tier`: what it takes, what it leaves behind, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from deploy.cli import main
from models.classifier import Classifier
from models.first_tier import TieredScorer, load_tier
from tests.models.tiny_model import write_tiny_model


def squall(*arguments: str | Path) -> int:
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as stopped:
        return int(stopped.code or 0)
    return 0


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    folder.mkdir()
    write_tiny_model(folder)
    return folder


def write_texts(path: Path, count: int) -> Path:
    pick = np.random.default_rng(1)
    words = [first + second for first in "bdfgklmnprst" for second in ("alo", "eri", "ono", "uti", "ist", "arn")]
    rows = [json.dumps({"text": " ".join(pick.choice(words, 8))}) for _ in range(count)]
    path.write_text("\n".join([*rows, '{"text": ""}']) + "\n")
    return path


def test_the_tier_lies_beside_the_model_and_answers(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (model / "MODEL_CARD.md").write_text("# tiny\n")
    texts, figures = write_texts(tmp_path / "texts.jsonl", 2_600), tmp_path / "figures.json"
    assert squall("models", "first-tier", model, "--texts", texts, "--ngrams", "300", "--json", figures) == 0
    told = capsys.readouterr()
    assert f"first tier {load_tier(model).version}" in told.out
    assert "level, proved" in told.out
    assert "rows without a text, left out: 1" in told.err
    assert json.loads(figures.read_text())["sources"] == ["texts.jsonl"]
    assert "## First tier" in (model / "MODEL_CARD.md").read_text()
    scorer = TieredScorer.load(Classifier.load(model), model, level=0.9)
    assert {row.tier for row in scorer.predict_quickly(["balo deri"])} == {"linear"}


def test_a_few_texts_are_too_few(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert squall("models", "first-tier", model, "--texts", write_texts(tmp_path / "texts.jsonl", 20)) == 2
    assert "give more texts" in capsys.readouterr().err
    assert not (model / "first_tier.json").exists()


def test_a_file_without_texts_is_told(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert squall("models", "first-tier", model, "--texts", write_texts(tmp_path / "none.jsonl", 0)) == 2
    assert "holds no text" in capsys.readouterr().err


def test_knobs_that_make_no_sense_are_told(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = write_texts(tmp_path / "texts.jsonl", 20)
    assert squall("models", "first-tier", model, "--texts", texts, "--ngrams", "0") == 2
    assert "ngrams must be at least 1" in capsys.readouterr().err
