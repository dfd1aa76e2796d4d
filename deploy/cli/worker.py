"""`squall worker`: run the agents."""

from __future__ import annotations

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
    from streams.app.worker import run_worker

    run_worker(settings(), role.value)
