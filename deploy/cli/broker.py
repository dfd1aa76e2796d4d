"""`squall broker`: a local Kafka for development and demonstrations."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.frame import err, out, settings
from deploy.kafka import LocalBroker, Status
from streams.config import Settings
from streams.errors import BrokerError

NOT_RUNNING = 3
"""Exit status of `status`, as for `systemctl status` and the init scripts of the Linux Standard Base."""

app = typer.Typer(no_args_is_help=True)

DataDir = Annotated[
    Path | None, typer.Option(help="Where the broker keeps its data and logs. Without it: the setting broker.data_dir.")
]
Port = Annotated[
    int | None,
    typer.Option(min=1, max=65_535, help="Port on the loopback interface. Without it: the setting broker.port."),
]


@app.callback()
def broker() -> None:
    """Start, stop and look at a local Kafka broker.

    One node of Apache Kafka, reachable from this machine alone. It needs Java 17 and Maven, or Docker.
    For production name your own cluster in kafka.bootstrap_servers.
    """


@app.command()
def start(data_dir: DataDir = None, port: Port = None) -> None:
    """Start the broker, and return when it answers. It runs on until `squall broker stop`.

    Nothing happens if it runs already, or if the settings name another cluster.
    """
    current = settings()
    local = _broker(current, data_dir, port)
    if not current.uses_local_broker and port is None and local.bootstrap not in current.kafka.bootstrap_servers:
        servers = ", ".join(current.kafka.bootstrap_servers)
        out().print(f"kafka.bootstrap_servers names {servers}: that cluster is used, and no local broker is started.")
        return
    with err().status("Looking at the broker") as line:
        local.note = line.update
        status = local.start()
    _show(status)


@app.command()
def stop(data_dir: DataDir = None, port: Port = None) -> None:
    """Stop the broker. Its data stay. With --port it is stopped only if it runs on that port."""
    local = _broker(settings(), data_dir, port)
    found = local.status() if port is not None else None
    if found is not None and found.running and found.port != port:
        raise BrokerError(f"the broker over {local.data_dir} runs on port {found.port}, not on {port}: nothing is done")
    with err().status("Stopping the broker"):
        outcome = local.stop()
    words = {
        "stopped": "Stopped.",
        "killed": "It did not end when asked (SIGTERM), so it was killed (SIGKILL). Kafka recovers at the next start.",
        "not running": f"No broker runs over {local.data_dir}.",
    }
    out().print(words[outcome], soft_wrap=True)


@app.command()
def status(data_dir: DataDir = None, port: Port = None) -> None:
    """Show whether the broker runs, since when and where. Exit status 0 if it answers (on --port), 3 if it does not."""
    found = _broker(settings(), data_dir, port).status()
    _show(found)
    is_elsewhere = found.running and port is not None and found.port != port
    if is_elsewhere:
        err().print(f"It runs on port {found.port}, not on {port}.", style="yellow")
    if is_elsewhere or not found.ready:
        raise typer.Exit(NOT_RUNNING)


def _broker(current: Settings, data_dir: Path | None, port: int | None) -> LocalBroker:
    return LocalBroker(data_dir or current.broker.data_dir, port or current.broker.port)


def _show(status: Status) -> None:
    from rich.table import Table

    if status.ready:
        state = "[green]running[/]"
    elif status.running:
        state = "[yellow]running, but it does not answer[/]"
    else:
        state = "[red]not running[/]"
    rows = {"broker": state}
    if status.running:
        rows |= {
            "address": f"127.0.0.1:{status.port}",
            "process": str(status.pid) if status.pid else f"container {status.container}",
            "up for": str(timedelta(seconds=round(status.uptime_s or 0))),
            "version": f"Apache Kafka {status.version}",
            "topics": "unknown" if status.topics is None else str(status.topics),
        }
    else:
        rows["port"] = str(status.port)
    rows |= {"data": str(status.data_dir), "logs": str(status.data_dir / "logs" / "server.log")}
    table = Table.grid(padding=(0, 2))
    for name, value in rows.items():
        table.add_row(name, value)
    out().print(table, soft_wrap=True)
