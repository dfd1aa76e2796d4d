from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from models.errors import ModelFilesError, TrainingDataError
from retrain.card import METRICS
from tests.retrain.conftest import invented_sentiment, invented_topic, write_csv
from tests.retrain.test_train import SETTINGS, train

SHORT = replace(SETTINGS, epochs=1)


def test_rows_of_one_class_alone_are_refused(topic_file: Path, tiny_base: Path, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "calm.csv", [(text, "neutral") for text, _ in invented_sentiment()])
    with pytest.raises(TrainingDataError, match="all sentiment rows to learn from are neutral"):
        train(path, topic_file, tiny_base, tmp_path / "out", SHORT)
    assert not (tmp_path / "out").exists()


def test_an_empty_set_of_labels_is_refused(sentiment_file: Path, tiny_base: Path, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "empty.csv", [])
    with pytest.raises(TrainingDataError, match=r"empty\.csv: holds no rows"):
        train(sentiment_file, path, tiny_base, tmp_path / "out", SHORT)


def test_a_tokenizer_of_another_encoder_is_refused_before_training(
    sentiment_file: Path, topic_file: Path, tiny_base: Path, tmp_path: Path
) -> None:
    base = tmp_path / "base"
    shutil.copytree(tiny_base, base)
    told = json.loads((base / "tokenizer.json").read_text())
    vocabulary = told["model"]["vocab"]
    vocabulary |= {f"more{number}": len(vocabulary) + number for number in range(5)}
    (base / "tokenizer.json").write_text(json.dumps(told))
    with pytest.raises(ModelFilesError, match=r"its tokenizer has \d+ tokens and its encoder knows \d+"):
        train(sentiment_file, topic_file, base, tmp_path / "runs" / "out", SHORT)
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told_with_the_remedy(
    sentiment_file: Path, topic_file: Path, tiny_base: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TrainingDataError, match=r"file/out: cannot be written \(.*\); make room or choose another"):
        train(sentiment_file, topic_file, tiny_base, tmp_path / "file" / "out", SHORT)


@pytest.mark.parametrize("checkpoint_steps", [0, 2])
def test_a_disk_that_is_full_ends_with_a_clear_error_and_no_half_folder(
    checkpoint_steps: int, sentiment_file: Path, topic_file: Path, tiny_base: Path, tmp_path: Path
) -> None:
    """A limit on the size of a file stands in for the disk: weights do not fit, small files do."""

    def narrow() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))

    out = tmp_path / "runs" / "out"
    arguments = [
        sys.executable, "-m", "deploy.cli", "train", "--sentiment", str(sentiment_file), "--topic", str(topic_file),
        "--base", str(tiny_base), "--out", str(out), "--epochs", "1", "--device", "cpu", "--threads", "1",
        "--dev-share", "0.2", "--checkpoint-steps", str(checkpoint_steps),
    ]  # fmt: skip
    done = subprocess.run(arguments, preexec_fn=narrow, capture_output=True, text=True, timeout=250)
    assert done.returncode == 2, done.stderr
    assert "out: cannot be written" in done.stderr and "make room or choose another folder" in done.stderr
    assert "Traceback" not in done.stderr
    assert not out.exists()
    assert list(out.parent.iterdir()) == [], "nothing was learned that could be gone on from"
    assert (train(sentiment_file, topic_file, tiny_base, out, SHORT).folder / METRICS).exists()


def test_a_model_learns_what_the_baseline_learns_too_and_shows_both(
    sentiment_file: Path, topic_file: Path, tiny_base: Path, tmp_path: Path
) -> None:
    trained = train(sentiment_file, topic_file, tiny_base, tmp_path / "out")
    classical = trained.metrics["classical"]["dev"]["topic"]["topic.csv"]
    assert classical["rows"] == trained.metrics["dev"]["topic"]["topic.csv"]["rows"]
    assert classical["accuracy"] > 0.8
    assert (
        f"| {classical['accuracy']:.4f} | {classical['macro_f1']:.4f} |"
        in (trained.folder / "MODEL_CARD.md").read_text()
    )


def test_rows_that_share_no_word_train_without_a_baseline(tiny_base: Path, tmp_path: Path) -> None:
    def apart(rows: list[tuple[str, str]], name: str) -> list[tuple[str, str]]:
        return [(f"{name}{number}", label) for number, (_, label) in enumerate(rows)]

    sentiment = write_csv(tmp_path / "s.csv", apart(invented_sentiment(), "s"))
    topic = write_csv(tmp_path / "t.csv", apart(invented_topic(), "t"))
    trained = train(sentiment, topic, tiny_base, tmp_path / "out", SHORT)
    assert trained.metrics["classical"] is None
