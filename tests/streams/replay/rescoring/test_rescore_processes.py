"""The rescoring with real processes and a small model: the same bytes from any number of them, killed or not."""

from __future__ import annotations

import json
import os
import random
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from models.errors import DeviceError
from models.files import CONFIG, write_manifest
from streams.config import Settings
from streams.errors import ReplayError
from streams.replay.rescoring.scoring_pool import ScoringPool
from streams.sections import ClassifierSettings
from tests.models.tiny_model import write_tiny_model
from tests.streams.replay.rescoring import rescore_process
from tests.streams.replay.rescoring.rescore_process import MESSAGES, run

ROOT = Path(__file__).parents[4]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    write_tiny_model(folder)
    return folder


@contextmanager
def started(model: Path, folder: Path, workers: int) -> Iterator[subprocess.Popen[str]]:
    """A rescoring as the leader of a process group, as a shell starts it."""
    command = [sys.executable, "-m", rescore_process.__name__, str(model), str(folder), str(workers)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def has_ended(pid: int, within_s: float) -> bool:
    """Whether a process that is not our child ends in time."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], within_s)[0])
    finally:
        os.close(handle)


@pytest.mark.timeout(900)  # each process takes ten seconds of a core to load torch, and there are six
def test_however_it_is_ended_it_goes_on_to_the_bytes_of_an_undisturbed_run_and_leaves_no_process(
    model: Path, tmp_path: Path
) -> None:
    undisturbed = run(model, tmp_path / "undisturbed", 1).read_bytes()
    folder = tmp_path / "out"
    orphans = killed(model, folder)  # what two processes have scored before that is in the result, too
    interrupted(model, folder)
    bereaved(model, folder)
    assert not (folder / "mentions.jsonl.gz").exists()
    assert all(has_ended(child, within_s=60) for child in orphans)
    assert run(model, folder, 1).read_bytes() == undisturbed


def killed(model: Path, folder: Path) -> list[int]:
    """Kill the main process, which can tell its children nothing any more; returns their numbers."""
    with started(model, folder, workers=2) as process:
        children = [int(word) for word in line(process).split()]
        for _ in range(random.Random(5).randrange(8, 14)):
            assert int(line(process)) < MESSAGES
        process.kill()
    assert len(children) == 2
    return children


def interrupted(model: Path, folder: Path) -> None:
    """Press Ctrl-C: the main process ends, after its children and without a word from them."""
    with started(model, folder, workers=1) as process:
        (child,) = (int(word) for word in line(process).split())
        line(process)
        os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to all of them
        _, errors = process.communicate(timeout=120)
        assert process.returncode == -signal.SIGINT
        assert errors.count("Traceback") == 1, "that of the main process, of which the command line makes a word"
        assert has_ended(child, within_s=0)


def bereaved(model: Path, folder: Path) -> None:
    """Kill a process that scores: the main one says what has happened and what to do."""
    with started(model, folder, workers=1) as process:
        (child,) = (int(word) for word in line(process).split())
        line(process)
        os.kill(child, signal.SIGKILL)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "ReplayError: a process that scores has died" in errors
    assert "run the same command again" in errors


def test_a_model_that_cannot_be_loaded_is_told_by_name(model: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    write_tiny_model(broken)
    config = json.loads((broken / CONFIG).read_text())
    (broken / CONFIG).write_text(json.dumps(config | {"hidden_size": 48}))
    write_manifest(broken, name="broken", max_length=32, pad_id=0, base={}, training_data=[])
    with pytest.raises(ReplayError, match=r"cannot be loaded: ModelFilesError: .*does not fit"):
        run(broken, tmp_path / "out", 1)


def on(device: str) -> Settings:
    return Settings(classifier=ClassifierSettings(device=device))


def test_a_device_that_is_not_there_is_told_before_a_process_is_started(model: Path) -> None:
    with pytest.raises(DeviceError, match="unknown device"):
        ScoringPool(model, settings=on("abacus"), workers=1)
    with pytest.raises(ValueError, match="at least 1"):
        ScoringPool(model, settings=on("cpu"), workers=0)
