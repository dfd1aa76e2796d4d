from __future__ import annotations

from pathlib import Path

import pytest

from deploy.cli import main
from deploy.cli.train import _public_name


def squall(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return int(stopped.value.code or 0)


def test_an_unknown_label_is_told_with_file_and_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sentiment, topic = tmp_path / "sentiment.csv", tmp_path / "topic.csv"
    sentiment.write_text("text,label\nBracken Motors gains,positive\nBracken Motors idles,meh\n")
    topic.write_text("text,label\nBracken Motors pays out,dividend\n")
    code = squall("train", "--sentiment", sentiment, "--topic", topic, "--base", "b", "--out", tmp_path / "out")
    assert code == 2
    told = capsys.readouterr().err
    assert "sentiment.csv:3: unknown sentiment label 'meh'" in told
    assert not (tmp_path / "out").exists()


def test_a_wrong_knob_is_told_by_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = ("--sentiment", tmp_path / "s.csv", "--topic", tmp_path / "t.csv")
    assert squall("train", *files, "--base", "b", "--out", tmp_path / "out", "--epochs", "0") == 2
    assert "epochs must be at least 1" in capsys.readouterr().err


def test_a_card_names_a_hub_id_but_no_path_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "encoder").mkdir()
    assert _public_name(str(tmp_path / "encoder")) == "encoder"
    assert _public_name("someone/some-encoder") == "someone/some-encoder"
