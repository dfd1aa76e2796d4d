"""`squall worker` before it reaches Kafka: what it remarks about its folder."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml


def start_of_worker(place: Path, data_dir: Path) -> str:
    """Standard error of a worker that finds no Kafka and ends."""
    config = place / "squall.yaml"
    values = {"worker": {"data_dir": str(data_dir), "port": 0}, "kafka": {"bootstrap_servers": "127.0.0.1:1"}}
    config.write_text(yaml.safe_dump(values), encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-m", "deploy.cli", "--config", str(config), "worker", "--role", "monitor"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 2, ended.stderr
    return ended.stderr


@pytest.mark.parametrize(("mode", "count"), [(0o755, 1), (0o700, 0)])
def test_a_folder_that_others_may_look_into_is_warned_of_once(tmp_path: Path, mode: int, count: int) -> None:
    data_dir = tmp_path / "state"
    data_dir.mkdir()
    data_dir.chmod(mode)
    said = start_of_worker(tmp_path, data_dir)
    assert said.count(f"WARNING squall.worker worker.data_dir {data_dir} is open to others (mode 0755: ") == count
    assert said.count(f"chmod go-rwx {data_dir}") == count
    assert stat.S_IMODE(data_dir.stat().st_mode) == mode


def test_a_folder_that_the_worker_makes_is_its_owners_alone(tmp_path: Path) -> None:
    said = start_of_worker(tmp_path, tmp_path / "state")
    assert "open to others" not in said
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
