"""The settings and the folder of one demonstration run. Nothing is started here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from deploy.demo.companies import write_table
from streams.config import ENV_PREFIX, FILE_VARIABLE, Settings

ROOT = Path(".squall/demo")
IDLE_AFTER_S = 2.0
"""The demonstration's feed ends for good, so there is no need to wait for more of it as long as a live one."""

_SECRETS = {
    "kafka": {"sasl_password", "ssl_key_password"},
    "delivery": {"webhook_token"},
}


@dataclass(frozen=True, slots=True)
class RunFolder:
    """What a run keeps on disk, all below one folder of its own."""

    root: Path

    @property
    def broker(self) -> Path:
        """Data and logs of the local broker."""
        return self.root / "broker"

    @property
    def broker_log(self) -> Path:
        """Kafka's own log."""
        return self.broker / "logs" / "server.log"

    @property
    def worker(self) -> Path:
        """Working folder of the worker."""
        return self.root / "worker"

    @property
    def worker_log(self) -> Path:
        """What the worker prints."""
        return self.root / "worker.log"

    @property
    def config(self) -> Path:
        """The worker's configuration."""
        return self.root / "squall.yaml"

    @property
    def companies(self) -> Path:
        """Entity table of the invented companies."""
        return self.root / "companies.csv"


def run_settings(
    base: Settings, folder: RunFolder, *, run_id: str, bootstrap: str | None, worker_port: int, invented: bool
) -> Settings:
    """Return the settings of a run: the user's own, as far as the demonstration does not depend on them. Pure.

    Alerts on invented or old messages must page nobody, so no webhook is called.

    Args:
        base: the user's settings.
        folder: the run's folder.
        run_id: makes the topics' names unique.
        bootstrap: address of the run's own broker; None uses the cluster that `base` names.
        worker_port: of the worker's health and metrics.
        invented: the messages are the invented ones. Their checks hold for the rules, bounds and companies that are
            shipped, so those settings of the user do not apply.
    """
    kept: dict[str, Any] = base.model_dump(exclude_unset=True)
    if invented:
        for section in ("ingest", "monitor", "entities"):
            kept.pop(section, None)
        kept["entities"] = {"tables": [folder.companies]}
    kept["kafka"] = base.kafka.model_dump() if bootstrap is None else {"bootstrap_servers": bootstrap}
    kept["topics"] = {**kept.get("topics", {}), "prefix": f"{base.topics.prefix[:60]}-demo-{run_id}"}
    if bootstrap is not None:
        kept["topics"]["replication_factor"] = 1
    kept["worker"] = {
        **kept.get("worker", {}),
        "host": "127.0.0.1",
        "port": worker_port,
        "data_dir": folder.worker,
        "idle_after_s": IDLE_AFTER_S,
        "log_level": "INFO",
    }
    kept["delivery"] = {"terminal": False}
    return Settings.model_validate(kept)


def write_files(settings: Settings, folder: RunFolder) -> None:
    """Write the worker's configuration, without secrets, and the invented companies."""
    folder.root.mkdir(parents=True, exist_ok=True)
    write_table(folder.companies)
    values = settings.model_dump(mode="json", exclude_none=True, exclude=_SECRETS)
    folder.config.write_text(yaml.safe_dump(values, sort_keys=False, allow_unicode=True), encoding="utf-8")


def worker_environment(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of the worker: the user's without Squall's own, and the secrets that no file holds. Pure."""
    variables = {name: value for name, value in environ.items() if not name.upper().startswith(ENV_PREFIX)}
    variables.pop(FILE_VARIABLE, None)
    for section, names in _SECRETS.items():
        for name in sorted(names):
            secret = getattr(getattr(settings, section), name)
            if secret is not None:
                variables[f"{ENV_PREFIX}{section}__{name}".upper()] = secret.get_secret_value()
    return variables


def new_folder(root: Path, run_id: str) -> RunFolder:
    """Return the folder of a run below `root`, which is made; absolute, since a broker outlives a change of folder."""
    folder = RunFolder((root / run_id).absolute())
    folder.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def run_id() -> str:
    """Return a name that no other run has: eight hexadecimal digits of the system's randomness."""
    return os.urandom(4).hex()
