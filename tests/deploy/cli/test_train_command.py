from __future__ import annotations

import itertools
import json
import re
import shutil
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from deploy.cli import main
from deploy.cli.replay_progress import RunDisplay
from deploy.cli.train import _public_name, _settings
from models.files import DEFAULT_MODEL, MANIFEST, WEIGHTS, file_sha256, iso_utc, peek_manifest
from retrain.job import Watchers
from retrain.settings import TrainingSettings
from tests.retrain.conftest import invented_sentiment, invented_topic, write_base, write_csv


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


def settings_of(file: Path | None, **given: object) -> tuple[TrainingSettings, bool]:
    return _settings(file, given)


def test_what_stands_on_the_command_line_wins_over_the_file_also_within_a_part(tmp_path: Path) -> None:
    path = tmp_path / "knobs.yaml"
    path.write_text("epochs: 7\npatience: 2\nlora: {rank: 4, alpha: 8}\n")
    found, names_bf16 = settings_of(path, epochs=3, patience=None, lora={"rank": 16}, augment={"share": None})
    assert (found.epochs, found.patience, found.lora.rank, found.lora.alpha) == (3, 2, 16, 8.0)
    assert not names_bf16
    path.write_text("bf16: false\n")
    assert settings_of(path)[1], "a file that names it is not overruled by the device"
    assert settings_of(None, bf16=True)[1]
    assert settings_of(None) == (TrainingSettings(), False)


def test_an_unknown_knob_of_a_file_is_told_with_the_nearest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "knobs.yaml"
    path.write_text("epoch: 7\n")
    files = ("--sentiment", tmp_path / "s.csv", "--topic", tmp_path / "t.csv", "--settings", path)
    assert squall("train", *files, "--base", "b", "--out", tmp_path / "out") == 2
    assert "unknown knob 'epoch'; did you mean 'epochs'?" in capsys.readouterr().err


def test_a_search_then_a_training_with_the_best_and_the_baseline_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = write_base(tmp_path / "base")
    sentiment = write_csv(tmp_path / "s.csv", invented_sentiment())
    topic = write_csv(tmp_path / "t.csv", invented_topic())
    out = tmp_path / "model"
    code = squall(
        "train", "--sentiment", sentiment, "--topic", topic, "--base", base, "--out", out, "--tune", "2",
        "--epochs", "1", "--threads", "1", "--dev-share", "0.2", "--device", "cpu", "--no-bf16", "--folds", "2",
    )  # fmt: skip
    told = capsys.readouterr()
    assert code == 0, told.err
    assert "TF-IDF and LR: " in told.err and "2 folds: accuracy" in told.err
    assert "the best of 2 trials scored" in told.err
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["settings"]["epochs"] == 1
    assert f"learning_rate {metrics['settings']['learning_rate']:g}" in told.err
    assert "Settings were chosen by 2 trials" in (out / "MODEL_CARD.md").read_text()
    assert len((tmp_path / "model.trials.csv").read_text().splitlines()) == 3


def test_progress_is_told_with_the_time_that_is_left() -> None:
    seconds = itertools.count(0, 6)
    told = StringIO()
    display = RunDisplay(Console(file=told, width=200), clock=lambda: float(next(seconds)))
    hooks = Watchers(lambda line: None, display).begin("training")
    for done in range(1, 9):
        hooks.step(done, 8)
    assert re.search(r"training: \d of about 8 \(\d+%\), 0/s, 0:00:\d+ left", told.getvalue())


def test_a_card_names_a_hub_id_but_no_path_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "encoder").mkdir()
    assert _public_name(str(tmp_path / "encoder")) == "encoder"
    assert _public_name("someone/some-encoder") == "someone/some-encoder"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--until", "2026-02-01"), "--until needs a time with an offset"),
        (
            ("--until", "2026-02-01T00:00:00Z", "--learned-at", "2026-01-01T00:00:00Z"),
            "is later than what the model",
        ),
        (("--until", "2026-02-01T00:00:00Z", "--first-tier", "texts.csv"), "--first-tier reads all rows"),
    ],
)
def test_a_cut_that_makes_no_sense_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], told: str
) -> None:
    files = ("--sentiment", tmp_path / "s.csv", "--topic", tmp_path / "t.csv")
    assert squall("train", *files, "--base", "b", "--out", tmp_path / "out", *words) == 2
    assert told in " ".join(re.sub("[│╭╮╰╯─]", " ", capsys.readouterr().err).split())


@pytest.mark.parametrize("search", [(), ("--tune", "1")])
def test_a_base_that_is_a_model_of_a_later_day_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], search: tuple[str, ...]
) -> None:
    base = write_base(tmp_path / "base")
    learned = peek_manifest(DEFAULT_MODEL).learned_at
    assert learned is not None
    shutil.copy(DEFAULT_MODEL / MANIFEST, base)
    files = ("--sentiment", write_csv(tmp_path / "s.csv", invented_sentiment()),
             "--topic", write_csv(tmp_path / "t.csv", invented_topic()))  # fmt: skip
    knobs = ("--epochs", "1", "--threads", "1", "--dev-share", "0.2", "--device", "cpu", "--no-bf16", *search)
    asked = ("train", *files, "--base", base, "--out", tmp_path / "out", *knobs, "--until")
    assert squall(*asked, (learned - timedelta(days=1)).isoformat()) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert f"was learned at {iso_utc(learned)}, after {iso_utc(learned - timedelta(days=1))}" in told
    assert not (tmp_path / "out").exists()
    if not search:
        later = ("--learned-at", (learned + timedelta(days=1)).isoformat())
        assert squall(*asked, learned.isoformat(), *later) == 0, capsys.readouterr().err


def test_a_training_until_a_day_reads_nothing_that_became_known_later(tmp_path: Path) -> None:
    base = write_base(tmp_path / "base")
    topic = write_csv(tmp_path / "t.csv", invented_topic())
    sentiment = tmp_path / "s.csv"
    rows = [
        f"{text},{label},2026-0{1 + place % 2}-10T00:00:00Z" for place, (text, label) in enumerate(invented_sentiment())
    ]
    sentiment.write_text("\n".join(["text,label,learned_at", *rows]))
    knobs = ("--epochs", "1", "--threads", "1", "--dev-share", "0.2", "--device", "cpu", "--no-bf16")
    data = ("--sentiment", sentiment, "--topic", topic, "--base", base)
    cut = tmp_path / "cut"
    assert squall("train", *data, "--out", cut, "--until", "2026-01-31T00:00:00Z", *knobs) == 0
    (told,) = [entry for entry in peek_manifest(cut).training_data if entry["name"] == "s.csv"]
    assert (told["rows"], told["known_until"]) == (len(rows) // 2, "2026-01-31T00:00:00Z")

    half = tmp_path / "half"
    half.mkdir()
    (half / "s.csv").write_text("\n".join(["text,label,learned_at", *rows[::2]]))
    (half / "t.csv").write_bytes(topic.read_bytes())
    data = ("--sentiment", half / "s.csv", "--topic", half / "t.csv", "--base", base)
    assert squall("train", *data, "--out", tmp_path / "same", *knobs) == 0
    assert file_sha256(cut / WEIGHTS) == file_sha256(tmp_path / "same" / WEIGHTS)
