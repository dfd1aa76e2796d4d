"""Programs that Squall is observed with, and that may be missing where tests run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
PROMETHEUS = REPOSITORY / "deploy" / "prometheus"
ALERTMANAGER = REPOSITORY / "deploy" / "alertmanager"
GRAFANA = REPOSITORY / "deploy" / "grafana"
RUNBOOK = REPOSITORY / "deploy" / "docs" / "RUNBOOK.md"

PACKAGES = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
}


def program(name: str) -> str:
    """Path of a program; without it the test is skipped, and says which Debian package brings it."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed: apt-get install {PACKAGES[name]}")
    return path


def run(name: str, *arguments: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
    """Run one of them to its end."""
    return subprocess.run(
        [program(name), *arguments], capture_output=True, text=True, timeout=timeout_s, check=False, cwd=REPOSITORY
    )
