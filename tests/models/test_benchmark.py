from __future__ import annotations

from pathlib import Path

import pytest

from models import Classifier
from models.benchmark import generate_texts, main, measure


def test_the_texts_are_all_different_and_the_same_each_time() -> None:
    texts = generate_texts(500)
    assert len(set(texts)) == 500
    assert texts == generate_texts(500)
    assert texts != generate_texts(500, seed=8)


def test_the_figures_agree_with_each_other(tiny_model: Path) -> None:
    result = measure(Classifier.load(tiny_model), generate_texts(40), batch_messages=16, repeats=2)
    assert result.messages == 40
    assert result.messages_per_s > 0
    assert result.tokens_per_s == pytest.approx(result.messages_per_s * result.mean_tokens)


def test_the_command_prints_one_line(tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--model", str(tiny_model), "--messages", "20", "--repeats", "1", "--dtype", "float32", "--device", "cpu"])
    line = capsys.readouterr().out
    assert line.startswith("tiny ")
    assert "on cpu in float32" in line
    assert line.count("\n") == 1
