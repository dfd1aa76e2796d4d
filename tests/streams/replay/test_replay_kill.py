"""Killed at ten random points and at the awkward ones, and gone on each time: the files are the same bytes."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.streams.replay.killed import SAVE_EVERY
from tests.streams.replay.replay_source import one_partition, write_mentions

DRIVER = Path(__file__).with_name("killed.py")
ROOT = Path(__file__).parents[3]


def squall(folder: Path, point: str, count: int) -> int:
    command = [
        sys.executable,
        str(DRIVER),
        point,
        str(count),
        "replay",
        "mentions.jsonl",
        "--as-scored",
        "--skip-bad",
        "--out",
        "run",
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


def write_input(path: Path) -> None:
    """The story, with rows that cannot be used in the middle and at the end."""
    lines = write_mentions(path).read_bytes().splitlines(keepends=True)
    for place in (1_000, 2_000, len(lines)):
        lines.insert(place, b'{"broken\n')
    path.write_bytes(b"".join(lines))


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "run.json"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a run leaves that nothing disturbs."""
    folder = tmp_path_factory.mktemp("whole")
    write_input(folder / "mentions.jsonl")
    assert squall(folder, "never", 0) == 0
    files = files_of(folder / "run")
    assert {"alerts.jsonl", "summary.json", "timeline.jsonl.gz", "rules.yaml", "report.html"} <= files.keys()
    assert files["alerts.jsonl"]
    assert sum(json.loads(files["summary.json"])["bad"].values()) == 3
    return files


@pytest.mark.timeout(600)
def test_a_run_that_is_killed_again_and_again_leaves_the_same_bytes(tmp_path: Path, whole: dict[str, bytes]) -> None:
    write_input(tmp_path / "mentions.jsonl")
    dice = random.Random(7)
    left = len(one_partition())
    kills = [("record", dice.randrange(1, 2 * SAVE_EVERY)) for _ in range(10)]
    for point, count in [*kills, ("save", 1), ("line", 40), ("report", 1), ("finish", 1), ("publish", 1)]:
        left -= count // SAVE_EVERY * SAVE_EVERY if point == "record" else 0
        assert left > 2 * SAVE_EVERY, "the run would end before it is killed"
        assert squall(tmp_path, point, count) == -signal.SIGKILL, (point, count)
        assert not (tmp_path / "run").exists()
        assert (tmp_path / "run.partial").is_dir()
    assert squall(tmp_path, "never", 0) == 0
    assert files_of(tmp_path / "run") == whole
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mentions.jsonl", "run"]
