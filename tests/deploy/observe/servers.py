"""A real Prometheus and a real Alertmanager on free ports of the loopback interface, for tests."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from deploy.kafka import free_port
from tests.deploy.observe.programs import ALERTMANAGER, PROMETHEUS, program
from tests.streams.app.harness import until

Series = list[tuple[dict[str, str], list[float]]]
"""Labels and values of each series of an answer."""


class Server:
    """A process that serves HTTP, with what it says in a log."""

    def __init__(self, folder: Path, *, ready: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._ready = ready
        self._log = folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, *arguments: str) -> None:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(arguments, stdout=log, stderr=subprocess.STDOUT, cwd=self.folder)
        until(lambda: self.get(self._ready)[0] == 200 or self._must_live(), f"{arguments[0]} is not ready")

    def _must_live(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise AssertionError(f"it ended with {self._process.returncode}:\n{self._log.read_text()[-4000:]}")
        return False

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of an answer; 0 if there is none."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except (urllib.error.URLError, OSError):
            return 0, ""

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


class Alertmanager(Server):
    """Alertmanager with the configuration that sends nothing."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, ready="/-/ready")

    def start(self) -> Alertmanager:
        self.run(
            program("prometheus-alertmanager"),
            f"--config.file={ALERTMANAGER / 'alertmanager.local.yml'}",
            f"--storage.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--cluster.listen-address=",
        )
        return self

    def alerts(self) -> list[dict[str, Any]]:
        return json.loads(self.get("/api/v2/alerts")[1] or "[]")


class Prometheus(Server):
    """Prometheus with the repository's own configuration, but faster, and with targets of the test.

    Args:
        folder: its own.
        workers: addresses of workers.
        alertmanager: where alarms go.
    """

    SCRAPE = "1s"

    def __init__(self, folder: Path, *, workers: list[str], alertmanager: Alertmanager) -> None:
        super().__init__(folder, ready="/-/ready")
        values = yaml.safe_load((PROMETHEUS / "prometheus.local.yml").read_text())
        values["global"] = dict.fromkeys(("scrape_interval", "scrape_timeout", "evaluation_interval"), self.SCRAPE)
        values["rule_files"] = [str(PROMETHEUS / "rules" / "*.yaml")]
        at = f"127.0.0.1:{alertmanager.port}"
        values["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [at]
        targets = {"squall": workers, "prometheus": [f"127.0.0.1:{self.port}"], "alertmanager": [at]}
        for scrape in values["scrape_configs"]:
            scrape.pop("file_sd_configs", None)
            scrape["static_configs"] = [{"targets": targets[scrape["job_name"]]}]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(values))

    def start(self) -> Prometheus:
        self.run(
            program("prometheus"),
            f"--config.file={self.folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            "--rules.alert.resend-delay=1s",  # an Alertmanager that was found after the first firing hears of it
            f"--web.listen-address=127.0.0.1:{self.port}",
        )
        return self

    def ask(self, path: str, **parameters: str) -> Any:
        """The data of an API answer; an error, with what Prometheus says, if it is none."""
        status, text = self.get(f"/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        answer = json.loads(text or "{}")
        assert answer.get("status") == "success", f"{status} for {parameters}: {answer.get('error', text)}"
        return answer["data"]

    def now(self, expr: str) -> Series:
        """An instant query."""
        found = self.ask("query", query=expr)["result"]
        return [(one["metric"], [float(one["value"][1])]) for one in found]

    def over(self, expr: str, *, since_s: float, until_s: float, step_s: float = 5) -> Series:
        """A range query."""
        found = self.ask("query_range", query=expr, start=str(since_s), end=str(until_s), step=str(step_s))["result"]
        return [(one["metric"], [float(value) for _, value in one["values"]]) for one in found]

    def values(self, metric: str, label: str) -> list[str]:
        """The values of a label, as Grafana's `label_values(metric, label)`."""
        return self.ask(f"label/{label}/values", **{"match[]": metric})

    def rules(self) -> list[dict[str, Any]]:
        return [rule for group in self.ask("rules")["groups"] for rule in group["rules"]]
