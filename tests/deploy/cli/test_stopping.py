"""SIGTERM to the commands that work in a scratch folder: they end with 143, and leave nothing in it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.cli.stopping import Terminated, sigterm_tidies

ROOT = Path(__file__).parents[3]
RULES = "rules: [{alert: High, type: threshold, window: 30m, fire: {gte: 0.6}, min_support: {stories: 5}}]\n"


@pytest.fixture
def silent_broker() -> Iterator[socket.socket]:
    """A port that takes a connection and never says a word: whoever asks there is busy until it is stopped."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(120)
        yield listener


def started(arguments: list[str], folder: Path, broker: socket.socket) -> subprocess.Popen[str]:
    """Start `squall` with `folder` as its working folder, and `folder/tmp` as that of scratch folders."""
    (folder / "tmp").mkdir()
    (folder / "new.yaml").write_text(RULES, encoding="utf-8")
    (folder / "squall.yaml").write_text(
        f"kafka: {{bootstrap_servers: ['127.0.0.1:{broker.getsockname()[1]}']}}\n", encoding="utf-8"
    )
    return subprocess.Popen(
        [sys.executable, "-m", "deploy.cli", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder / "tmp")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["replay", "kafka:", "--as-scored"],
        ["rules", "backtest", "kafka:", "--as-scored", "--rules", "new.yaml"],
        ["warm", "kafka:", "--as-scored"],
    ],
    ids=["replay", "backtest", "warm"],
)
def test_sigterm_leaves_no_scratch_folder(arguments: list[str], tmp_path: Path, silent_broker: socket.socket) -> None:
    with started(arguments, tmp_path, silent_broker) as process:
        try:
            silent_broker.accept()[0].close()
            assert list((tmp_path / "tmp").iterdir()), "it works in a scratch folder"
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 143, errors
    assert not list((tmp_path / "tmp").iterdir())
    assert "Traceback" not in errors


def test_a_stopped_replay_says_how_to_go_on(tmp_path: Path, silent_broker: socket.socket) -> None:
    with started(["replay", "kafka:", "--as-scored", "--out", "run"], tmp_path, silent_broker) as process:
        try:
            silent_broker.accept()[0].close()
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 143, errors
    assert "Stopped. The same command goes on from here." in errors
    assert (tmp_path / "run.partial").is_dir()


def test_the_handler_that_was_there_is_there_again() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated) as caught, sigterm_tidies():
        signal.raise_signal(signal.SIGTERM)
    assert caught.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_second_sigterm_does_not_break_off_the_tidying() -> None:
    tidied = []

    @sigterm_tidies()
    def work() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)
            tidied.append(True)

    with pytest.raises(Terminated):
        work()
    assert tidied
