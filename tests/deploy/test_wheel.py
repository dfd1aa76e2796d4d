"""A wheel is whole: what the code reads is in it, and it works where no checkout is."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("streams", "models", "retrain", "deploy")
READ_FROM_A_CHECKOUT = (
    "deploy/alertmanager/",
    "deploy/compose",
    "deploy/docker/",
    "deploy/docs/",
    "deploy/grafana/json/",
    "deploy/grafana/provisioning/",
    "deploy/helm/",
    "deploy/prometheus/",
    "deploy/secrets/",
)
"""For docker, helm and people; no module reads these."""
MOST_BYTES = 40 * 1024 * 1024
"""The shipped weights are 23 MB of it: another model of that size is a decision, not an accident."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (found,) = folder.glob("squall-*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def squall(installed: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SQUALL_")}
    return subprocess.run(
        [sys.executable, "-P", "-m", "deploy.cli", *arguments],
        cwd=cwd,
        env=environ | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_file_that_lies_beside_the_code_is_in_the_wheel(wheel: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "--", *PACKAGES], cwd=ROOT, capture_output=True, text=True, check=True)
    wanted = {name for name in listed.stdout.splitlines() if not name.startswith(READ_FROM_A_CHECKOUT)}
    held = set(zipfile.ZipFile(wheel).namelist())
    assert len(wanted) > 300
    assert not {name for name in wanted if (ROOT / name).exists()} - held


def test_what_only_a_checkout_needs_is_not_in_the_wheel(wheel: Path) -> None:
    held = zipfile.ZipFile(wheel).namelist()
    assert not [name for name in held if name.startswith((*READ_FROM_A_CHECKOUT, "tests/"))]


def test_the_wheel_has_the_size_of_its_model_and_little_more(wheel: Path) -> None:
    assert wheel.stat().st_size < MOST_BYTES


def test_an_installed_wheel_reads_its_own_files(installed: Path, tmp_path: Path) -> None:
    code = "import streams, models, deploy, retrain; print(*(m.__file__ for m in (streams, models, deploy, retrain)))"
    found = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert all(path.startswith(str(installed)) for path in found.stdout.split())


def test_an_installed_wheel_scores_texts_and_knows_its_rules(installed: Path, tmp_path: Path) -> None:
    rows = "text,published_at\n$AAPL shares plunge after fraud probe,2026-03-02T14:00:00Z\n"
    (tmp_path / "messages.csv").write_text(rows)
    done = squall(installed, tmp_path, "score", "messages.csv", "--output", "scores.jsonl")
    assert done.returncode == 0, done.stderr
    assert '"negative"' in (tmp_path / "scores.jsonl").read_text()
    checked = squall(installed, tmp_path, "rules", "check", str(installed / "streams/monitor/default_rules.yaml"))
    assert checked.returncode == 0, checked.stderr
