"""A real Prometheus Alertmanager on a free port of the loopback interface, for tests; skipped where there is none."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.kafka import free_port

PACKAGE = "prometheus-alertmanager"
"""The Debian package; elsewhere the program may be called `alertmanager`."""
_START_WITHIN_S = 30.0


def alertmanager_program() -> str:
    """Return the program's path; skip the test where it is missing."""
    for name in ("prometheus-alertmanager", "alertmanager"):
        if found := shutil.which(name):
            return found
    pytest.skip(f"needs Alertmanager: apt-get install --no-install-recommends {PACKAGE}")


class Alertmanager:
    """A running Alertmanager, by its API.

    Args:
        port: of its API.
        folder: what it keeps on disk.
    """

    def __init__(self, port: int, folder: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.port = port
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, config: dict[str, Any]) -> None:
        """Start it, and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / "alertmanager.yml"
        file.write_text(yaml.safe_dump(config))
        with (self.folder / "alertmanager.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    alertmanager_program(),
                    f"--config.file={file}",
                    f"--storage.path={self.folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                    "--cluster.listen-address=",
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={"PATH": os.environ.get("PATH", "")},
            )
        end_s = time.monotonic() + _START_WITHIN_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end_s:
                said = (self.folder / "alertmanager.log").read_text()[-2000:]
                raise AssertionError(f"Alertmanager does not start:\n{said}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it; what it keeps on disk stays."""
        if self._process is not None:
            process, self._process = self._process, None
            process.terminate()
            process.wait(timeout=30)

    def alerts(self, **labels: str) -> list[dict[str, Any]]:
        """Return the alerts that are not over, with these labels, silenced ones among them."""
        found: list[dict[str, Any]] = self._call("GET", "/api/v2/alerts?silenced=true&inhibited=true&active=true")
        return [one for one in found if labels.items() <= one["labels"].items()]

    def silence(self, label: str, value: str, *, seconds: float = 600.0) -> str:
        """Silence what has a label, and return the silence's id."""
        now = time.time()

        def stamp(at: float) -> str:
            return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))

        silence = {
            "matchers": [{"name": label, "value": value, "isRegex": False, "isEqual": True}],
            "startsAt": stamp(now),
            "endsAt": stamp(now + seconds),
            "createdBy": "desk",
            "comment": "known",
        }
        return str(self._call("POST", "/api/v2/silences", silence)["silenceID"])

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data=data, method=method, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())


@contextmanager
def running_alertmanager(folder: Path, config: dict[str, Any] | None = None) -> Iterator[Alertmanager]:
    """Run one over a folder of its own.

    Args:
        folder: for its configuration, log and data.
        config: what it does with alerts; without it nobody is told.
    """
    manager = Alertmanager(free_port(), folder)
    manager.start(config or {"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]})
    try:
        yield manager
    finally:
        manager.stop()
