"""`squall worker`: run the agents."""

from __future__ import annotations

import logging
from enum import StrEnum
from typing import Annotated

import typer

from deploy.cli.frame import settings


class Role(StrEnum):
    """Which agents to run."""

    ALL = "all"
    SCORER = "scorer"
    MONITOR = "monitor"


def worker(
    role: Annotated[
        Role, typer.Option(help="Which agents to run: the scorer needs the model, the monitor does not.")
    ] = (Role.ALL),
) -> None:
    """Score what arrives and raise alerts, until stopped with Ctrl-C or SIGTERM.

    Needs Kafka (`squall broker start`, or kafka.bootstrap_servers) and its topics (`squall topics create`).
    """
    from streams.app import logs
    from streams.app.folders import open_to_others
    from streams.app.worker import run_worker

    current = settings()
    logs.set_up(current.worker.log_level)
    remark = open_to_others(current.worker.data_dir)
    if remark is not None:
        logging.getLogger("squall.worker").warning("worker.data_dir %s", remark)
    run_worker(current, role.value)
