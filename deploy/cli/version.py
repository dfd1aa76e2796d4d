"""`squall version`."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed

import typer

from deploy.kafka.runtime import KAFKA_VERSION
from streams import __version__, compiled

PARTS = ("faust-streaming", "aiokafka", "kafka-python", "torch", "transformers")


def version() -> None:
    """Show the versions of Squall and of what it runs on; to be quoted in a bug report."""
    lines = {"squall": __version__, "python": platform.python_version(), "system": platform.platform()}
    for part in PARTS:
        try:
            lines[part] = installed(part)
        except PackageNotFoundError:
            lines[part] = "not installed"
    lines["inner loop"] = "compiled" if compiled.will_be_used() else "plain Python; faster after squall compile"
    lines["local broker"] = f"Apache Kafka {KAFKA_VERSION}"
    for name, value in lines.items():
        typer.echo(f"{name:<16} {value}")
