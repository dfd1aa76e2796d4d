from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from models.errors import TrainingDataError
from models.files import CONFIG, TOKENIZER, WEIGHTS
from retrain.card import METRICS, CardFacts
from retrain.checkpoint import Checkpoints, unfinished
from retrain.job import TrainingJob
from retrain.settings_file import write_settings
from retrain.settings_parts import AugmentSettings, LoraSettings
from retrain.train import train_model
from tests.retrain.test_train import SETTINGS, train

_DEADLINE_S = 120.0


def kill_after_a_checkpoint(arguments: list[str], stage: Path) -> None:
    """Start a training and end it without a warning once it has left a checkpoint."""
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + _DEADLINE_S
        while not stage.exists():
            assert process.poll() is None, f"ended before it was killed: {process.communicate()[1].decode()[-2000:]}"
            assert time.monotonic() < deadline, "no checkpoint was written"
            time.sleep(0.002)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.communicate()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"average_decay": 0.0, "evaluation_steps": 7, "augment": AugmentSettings(share=0.5), "adversarial": 0.02},
        {"lora": LoraSettings(rank=4, dropout=0.1), "runs": 2, "combine": "soup"},
    ],
    ids=["plain", "augmented", "adapters-and-soup"],
)
def test_a_training_that_was_killed_goes_on_to_the_same_bytes(
    changes: dict[str, object], sentiment_file: Path, topic_file: Path, tiny_base: Path, tmp_path: Path
) -> None:
    settings = replace(SETTINGS, epochs=6, checkpoint_steps=2, **changes)  # type: ignore[arg-type]
    out, left, knobs = tmp_path / "killed", tmp_path / ".killed.unfinished", tmp_path / "knobs.yaml"
    knobs.write_text(write_settings(settings))
    arguments = [
        sys.executable, "-m", "deploy.cli", "train", "--sentiment", str(sentiment_file), "--topic", str(topic_file),
        "--base", str(tiny_base), "--out", str(out), "--settings", str(knobs), "--device", "cpu",
        "--learned-at", "2026-01-31T12:00:00Z",
    ]  # fmt: skip
    kill_after_a_checkpoint(arguments, left / "steps-0.json")
    assert not out.exists(), "a folder that is not complete must not be there"
    stage = json.loads((left / "steps-0.json").read_text())
    assert stage["step"] > 0
    assert {path.suffix for path in left.iterdir() if path.is_file()} <= {"", ".json", ".part", ".safetensors"}
    said: list[str] = []
    job = TrainingJob(
        (sentiment_file,), (topic_file,), str(tiny_base), out, "tiny-test",
        CardFacts("invented/base", "Apache-2.0", "MIT", ("Only a test.",)), device="cpu",
    )  # fmt: skip
    again = train_model(job, settings, said.append)
    assert f"going on at step {stage['step']} of" in "".join(said)
    assert again.manifest.learned_at == datetime(2026, 1, 31, 12, tzinfo=UTC), "its labels were read when it began"
    assert not left.exists()
    whole = train(sentiment_file, topic_file, tiny_base, tmp_path / "whole", settings)
    assert again.metrics == whole.metrics
    for file in (WEIGHTS, CONFIG, TOKENIZER, METRICS):
        assert (again.folder / file).read_bytes() == (whole.folder / file).read_bytes(), file


def test_a_checkpoint_every_few_steps_changes_nothing(
    sentiment_file: Path, topic_file: Path, tiny_base: Path, tmp_path: Path
) -> None:
    first = train(sentiment_file, topic_file, tiny_base, tmp_path / "a", replace(SETTINGS, checkpoint_steps=0))
    other = train(sentiment_file, topic_file, tiny_base, tmp_path / "b", replace(SETTINGS, checkpoint_steps=1))
    assert (first.folder / WEIGHTS).read_bytes() == (other.folder / WEIGHTS).read_bytes()


PLAN = {"settings": {"epochs": 3}, "files": ["abc"]}


def leave_unfinished(out: Path, begun: str = "noon") -> Path:
    with pytest.raises(KeyboardInterrupt), unfinished(out, PLAN, begun=begun) as checkpoints:
        checkpoints.save("steps-0", {"a": torch.arange(3)}, {"step": 3})
        raise KeyboardInterrupt
    return out.parent / f".{out.name}.unfinished"


def test_what_a_run_left_is_found_by_the_same_plan_and_refused_to_another(tmp_path: Path) -> None:
    out = tmp_path / "out"
    folder = leave_unfinished(out)
    with (
        pytest.raises(TrainingDataError, match=r"differs in files; give the command as it was .* or --fresh"),
        unfinished(out, {**PLAN, "files": ["other"]}),
    ):
        pass
    with unfinished(out, PLAN, begun="evening") as checkpoints:
        tensors, values = checkpoints.load("steps-0") or ({}, {})
        assert values == {"step": 3} and torch.equal(tensors["a"], torch.arange(3))
        assert checkpoints.begun == "noon", "it began when it first began"
        assert checkpoints.load("steps-1") is None
    assert not folder.exists()


def test_fresh_throws_away_what_another_run_left(tmp_path: Path) -> None:
    leave_unfinished(tmp_path / "out")
    with unfinished(tmp_path / "out", {"files": ["other"]}, begun="evening", fresh=True) as checkpoints:
        assert checkpoints.load("steps-0") is None
        assert checkpoints.begun == "evening"


def test_an_error_before_anything_was_learned_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), unfinished(tmp_path / "out", PLAN):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_two_trainings_into_one_folder_do_not_mix(tmp_path: Path) -> None:
    with unfinished(tmp_path / "out", PLAN):
        with (
            pytest.raises(TrainingDataError, match="another process is training it now"),
            unfinished(tmp_path / "out", PLAN),
        ):
            pass
        assert (tmp_path / ".out.unfinished").is_dir(), "the other must not clean up the first one's folder"


def test_a_checkpoint_takes_the_place_of_the_last_one(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for step in range(3):
        checkpoints.save("steps-0", {"a": torch.tensor([step])}, {"step": step})
    checkpoints.save("run-0", {}, {"done": True})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run-0.json", "steps-0-3.safetensors", "steps-0.json"]
    assert load_file(tmp_path / "steps-0-3.safetensors")["a"].item() == 2
    assert checkpoints.load("run-0") == ({}, {"done": True})
    checkpoints.forget("steps-0")
    assert [path.name for path in tmp_path.iterdir()] == ["run-0.json"]


@pytest.mark.parametrize("harm", ["json", "cut", "gone"])
def test_a_damaged_checkpoint_is_told_and_not_taken_for_none(harm: str, tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save("steps-0", {"a": torch.arange(9)}, {})
    numbers = tmp_path / "steps-0-1.safetensors"
    if harm == "json":
        (tmp_path / "steps-0.json").write_text("{")
    elif harm == "cut":
        numbers.write_bytes(numbers.read_bytes()[:20])
    else:
        numbers.unlink()
    with pytest.raises(TrainingDataError, match=r"steps-0\.json: a damaged checkpoint .* --fresh"):
        checkpoints.load("steps-0")
