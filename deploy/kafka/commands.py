"""The command lines of the broker, as pure functions: the same Java program on this machine or in a container."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path, PurePosixPath

from deploy.kafka.files import LOOPBACK, BrokerFiles
from deploy.kafka.runtime import IMAGE

HEAP = ("-Xmx256m", "-XX:+UseSerialGC")
CONTAINER_ROOT = Path("/squall")
CONTAINER_LIBS = PurePosixPath("/opt/kafka/libs")
"""Where the official image keeps Kafka's jars."""


def cluster_id(data_dir: Path) -> str:
    """Return the cluster's id (22 characters of base64, as Kafka's own), always the same for a folder."""
    digest = hashlib.sha256(str(data_dir).encode()).digest()[:16]
    text = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    # A leading dash would be read as an option.
    return f"s{text[1:]}" if text.startswith("-") else text


def kafka_arguments(libs: Path | PurePosixPath, files: BrokerFiles) -> list[str]:
    """Return what follows `java` to run the broker."""
    return [*HEAP, *_common(libs, files), "kafka.Kafka", str(files.properties)]


def format_arguments(libs: Path | PurePosixPath, files: BrokerFiles, cluster: str) -> list[str]:
    """Return what follows `java` to prepare the data folder; a folder that is prepared already is left alone."""
    tool = ["kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", cluster, "-c", str(files.properties)]
    # The tool lives for half a second: the first compiler tier is enough.
    return ["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *_common(libs, files), *tool]


def _common(libs: Path | PurePosixPath, files: BrokerFiles) -> list[str]:
    return [
        "-Djava.awt.headless=true",
        f"-Dlog4j2.configurationFile={files.log4j}",
        f"-Dsquall.logs={files.logs}",
        "-cp",
        f"{libs}/*",
    ]


def container_name(data_dir: Path) -> str:
    """Return the container's name, always the same for a data folder."""
    return f"squall-broker-{hashlib.sha256(str(data_dir).encode()).hexdigest()[:12]}"


def docker_run(docker: str, data_dir: Path, port: int | None, user: str, java_arguments: list[str]) -> list[str]:
    """Return the command that runs Java in Kafka's official image.

    Args:
        docker: the docker program.
        data_dir: mounted at `CONTAINER_ROOT`, so that everything durable stays on this machine.
        port: published on the loopback interface alone, and detached; None: run in the foreground, no port.
        user: `uid:gid` that owns the files.
        java_arguments: what follows `java`.
    """
    mount = ["--mount", f"type=bind,source={data_dir},target={CONTAINER_ROOT}"]
    how = ["--rm"] if port is None else ["--detach", "--name", container_name(data_dir)]
    published = [] if port is None else ["--publish", f"{LOOPBACK}:{port}:{port}"]
    return [docker, "run", *how, *published, "--user", user, *mount, "--entrypoint", "java", IMAGE, *java_arguments]
