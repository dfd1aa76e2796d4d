"""A worker writes into its data folder and the temporary one, and nowhere else: as a container wants it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.kafka import free_port
from streams.config import Settings
from tests.streams.app.harness import until

pytestmark = pytest.mark.broker

LOCK_ALL = """
mount --make-rprivate /
mount --bind "$WRITABLE" "$WRITABLE"
awk '{print $5}' /proc/self/mountinfo | while read -r point; do
  case "$point" in "$WRITABLE" | /proc | /proc/* | /sys | /sys/* | /dev | /dev/*) continue ;; esac
  mount -o remount,bind,ro "$point" 2>/dev/null || true
done
if touch "$PROBE" 2>/dev/null; then echo "still writable" >&2; exit 99; fi
cd /
exec "$@"
"""
"""Makes every mount read-only, but for one folder and the kernel's own, in a name space of its own."""


@pytest.fixture
def locked(tmp_path: Path) -> list[str]:
    """What a command begins with so that it can write to tmp_path/writable alone."""
    (tmp_path / "writable" / "tmp").mkdir(parents=True)
    isolate = ["unshare", "--user", "--map-root-user", "--mount"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*isolate, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("needs unshare (Debian: util-linux), and a kernel that lets users have name spaces")
    return [*isolate, "sh", "-c", LOCK_ALL, "sh"]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SQUALL_", "XDG_"))}
    return kept | {
        "WRITABLE": str(tmp_path / "writable"),
        "PROBE": str(tmp_path / "probe"),
        "TMPDIR": str(tmp_path / "writable" / "tmp"),
        "HOME": "/nonexistent",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def answers(port: int, path: str) -> bool:
    import urllib.request

    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


@pytest.fixture
def worker(
    tmp_path: Path, locked: list[str], environ: dict[str, str], settings_with_topics: Settings
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    port, topics = free_port(), settings_with_topics.topics
    chosen = {
        "SQUALL_KAFKA__BOOTSTRAP_SERVERS": ",".join(settings_with_topics.kafka.bootstrap_servers),
        "SQUALL_TOPICS__PREFIX": topics.prefix,
        "SQUALL_TOPICS__MESSAGE_PARTITIONS": str(topics.message_partitions),
        "SQUALL_TOPICS__MENTION_PARTITIONS": str(topics.mention_partitions),
        "SQUALL_WORKER__PORT": str(port),
        "SQUALL_WORKER__DATA_DIR": str(tmp_path / "writable" / "data"),
    }
    command = [*locked, sys.executable, "-m", "deploy.cli", "worker"]
    with (tmp_path / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=environ | chosen | {"PYTHONPATH": str(Path.cwd())}, stdout=log, stderr=log
        )
    yield process, port
    if process.poll() is None:
        process.kill()
        process.wait()


def test_a_worker_starts_and_stops_on_a_read_only_file_system(
    tmp_path: Path, worker: tuple[subprocess.Popen[bytes], int]
) -> None:
    process, port = worker
    log = tmp_path / "worker.log"

    def is_ready() -> bool:
        assert process.poll() is None, log.read_text()[-4000:]
        return answers(port, "/readyz")

    until(is_ready, "the worker is not ready")
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0, log.read_text()[-4000:]
    assert "Read-only" not in log.read_text()


def test_a_data_folder_that_cannot_be_written_is_told_with_the_setting(
    locked: list[str], environ: dict[str, str], tmp_path: Path
) -> None:
    data = tmp_path / "elsewhere"
    done = subprocess.run(
        [*locked, sys.executable, "-m", "deploy.cli", "worker"],
        env=environ | {"SQUALL_WORKER__DATA_DIR": str(data), "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "worker.data_dir" in done.stderr
    assert "Read-only" in done.stderr
