"""A broker's process or container: started, asked, signalled and cleared away through one set of functions."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from deploy.kafka import commands, process
from deploy.kafka.files import LOOPBACK, BrokerFiles, RunRecord, server_properties
from deploy.kafka.runtime import KAFKA_VERSION, LOG4J, DockerRuntime, JavaRuntime
from streams.errors import BrokerError

FORMAT_TIMEOUT_S = 300
"""Docker may have to fetch the image first."""


def launch(runtime: JavaRuntime | DockerRuntime, data_dir: Path, port: int, controller_port: int) -> RunRecord:
    """Write the configuration, prepare the data folder if it is new, and start the broker detached.

    Raises:
        BrokerError: preparing or starting failed, in Kafka's or Docker's own words.
    """
    here = BrokerFiles(data_dir)
    in_docker = isinstance(runtime, DockerRuntime)
    seen = BrokerFiles(commands.CONTAINER_ROOT) if in_docker else here
    shutil.copyfile(LOG4J, here.log4j)
    here.properties.write_text(
        server_properties(
            seen,
            port=port,
            controller_port=controller_port,
            listen_host="0.0.0.0" if in_docker else LOOPBACK,  # noqa: S104 - inside the container
        ),
        encoding="ascii",
    )
    cluster = commands.cluster_id(data_dir)
    libs = commands.CONTAINER_LIBS if isinstance(runtime, DockerRuntime) else runtime.libs
    to_format = commands.format_arguments(libs, seen, cluster)
    to_run = commands.kafka_arguments(libs, seen)
    is_new = not (here.data / "meta.properties").exists()
    started_at_s = time.time()

    if isinstance(runtime, JavaRuntime):
        if is_new:
            _run([runtime.java, *to_format], "prepare the data folder")
        pid, mark = process.spawn_detached([runtime.java, *to_run], here.console)
        return RunRecord("java", port, KAFKA_VERSION, started_at_s, pid=pid, mark=mark)

    user = f"{os.getuid()}:{os.getgid()}"
    if is_new:
        _run(commands.docker_run(runtime.docker, data_dir, None, user, to_format), "prepare the data folder")
    name = commands.container_name(data_dir)
    # What an earlier crash of this very broker may have left.
    _quietly([runtime.docker, "rm", "--force", "--volumes", name])
    _run(commands.docker_run(runtime.docker, data_dir, port, user, to_run), "start the container")
    return RunRecord("docker", port, KAFKA_VERSION, started_at_s, container=name)


def is_alive(record: RunRecord) -> bool:
    """Tell whether the recorded broker still runs."""
    if record.container is not None:
        found = _quietly(["docker", "inspect", "--format", "{{.State.Running}}", record.container])
        return found.returncode == 0 and found.stdout.strip() == "true"
    return record.pid is not None and record.mark is not None and process.is_alive(record.pid, record.mark)


def send(record: RunRecord, number: signal.Signals) -> None:
    """Send a signal to the recorded broker, if it still runs."""
    if record.container is not None:
        _quietly(["docker", "kill", "--signal", number.name, record.container])
    elif record.pid is not None and record.mark is not None:
        process.send_signal(record.pid, record.mark, number)


def wait_ended(record: RunRecord, timeout_s: float) -> bool:
    """Wait until the recorded broker has ended; False if it has not within the time."""
    if record.pid is not None and record.mark is not None:
        return process.wait_ended(record.pid, record.mark, timeout_s)
    deadline = time.monotonic() + timeout_s
    while is_alive(record):
        if time.monotonic() > deadline:
            return False
        time.sleep(process.POLL_S)
    return True


def collect_output(record: RunRecord, console: Path) -> None:
    """Bring what a container printed to where a process writes it itself."""
    if record.container is not None:
        found = _quietly(["docker", "logs", "--tail", "50", record.container])
        console.write_text(found.stdout + found.stderr, encoding="utf-8")


def clear(record: RunRecord) -> None:
    """Remove an ended container; a process leaves nothing."""
    if record.container is not None:
        _quietly(["docker", "rm", "--force", "--volumes", record.container])


def _run(command: list[str], purpose: str) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - built by deploy.kafka.commands
            command, capture_output=True, text=True, timeout=FORMAT_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        msg = f"cannot {purpose}: {command[0]} did not end within {FORMAT_TIMEOUT_S} s"
        raise BrokerError(msg) from None
    if done.returncode:
        words = "\n".join((done.stdout + done.stderr).strip().splitlines()[-12:])
        msg = f"cannot {purpose}:\n{words}"
        raise BrokerError(msg)


def _quietly(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 - fixed commands and our own container's name
            command, capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))
