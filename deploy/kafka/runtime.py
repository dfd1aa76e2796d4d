"""What the local broker runs on: a Java of this machine with Kafka from Maven Central, or else Docker.

Nothing is installed: Maven copies the jars named in `pom.xml` to the user's cache, checked against their checksums.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from streams.errors import BrokerError

HERE = Path(__file__).parent
POM = HERE / "pom.xml"
LOG4J = HERE / "log4j2.xml"
KAFKA_VERSION = ElementTree.parse(POM).findtext(".//{*}kafka.version") or ""  # noqa: S314 - our own file
IMAGE = f"apache/kafka:{KAFKA_VERSION}"
LEAST_JAVA = 17
"""Kafka 4's brokers need Java 17 (KIP-1013)."""
DOWNLOAD_TIMEOUT_S = 600

HOW_TO_GET = """\
  Java 17 or newer   Debian: apt install openjdk-17-jre-headless   macOS: brew install openjdk
  Maven              Debian: apt install maven                     macOS: brew install maven
  or, instead of both, Docker: https://docs.docker.com/get-docker/
  or name a Kafka that runs elsewhere: SQUALL_KAFKA__BOOTSTRAP_SERVERS=host:9092"""

Note = Callable[[str], None]
"""Receives one line for a person about something that takes its time."""


@dataclass(frozen=True)
class JavaRuntime:
    """A Java of this machine."""

    java: str
    libs: Path
    """Folder of Kafka's jars."""


@dataclass(frozen=True)
class DockerRuntime:
    """Docker with Kafka's official image."""

    docker: str


def find_runtime(note: Note, environ: Mapping[str, str] | None = None) -> JavaRuntime | DockerRuntime:
    """Find what the broker can run on, and fetch Kafka's jars if they are not in the cache.

    Raises:
        BrokerError: neither Java with Maven nor Docker is there, or the jars cannot be fetched. It says what is
            missing and how to get it.
    """
    variables = os.environ if environ is None else environ
    path = variables.get("PATH")
    java, why_no_java = find_java(variables)
    libs = jar_folder(variables)
    maven = shutil.which("mvn", path=path)
    if java and libs.is_dir():
        return JavaRuntime(java, libs)
    if java and maven:
        fetch_jars(maven, libs, note)
        return JavaRuntime(java, libs)
    why_no_maven = "" if maven else "Maven (mvn) is not on the PATH"
    docker, why_no_docker = find_docker(path)
    if docker:
        return DockerRuntime(docker)
    missing = "; ".join(reason for reason in (why_no_java, why_no_maven, why_no_docker) if reason)
    msg = f"the local Kafka broker cannot run here: {missing}. What it needs:\n{HOW_TO_GET}"
    raise BrokerError(msg)


def find_java(environ: Mapping[str, str]) -> tuple[str | None, str]:
    """Return a Java that is new enough, or None and the reason. `JAVA_HOME` goes before the PATH."""
    home = environ.get("JAVA_HOME")
    candidates = [str(Path(home) / "bin" / "java")] if home else []
    candidates += [found] if (found := shutil.which("java", path=environ.get("PATH"))) else []
    why = "Java is not on the PATH"
    for java in candidates:
        # The java of a bare macOS is a stub that fails and tells where to download one.
        printed = _output([java, "-version"])
        version = re.search(r'version "(\d+)(?:\.(\d+))?', printed or "")
        if version is None:
            why = f"{java} does not work"
            continue
        # Java 8 and older call themselves 1.8, 1.7, ...
        major = int(version[2] or 0) if version[1] == "1" else int(version[1])
        if major >= LEAST_JAVA:
            return java, ""
        why = f"{java} is Java {major}, and Kafka {KAFKA_VERSION} needs {LEAST_JAVA} or newer"
    return None, why


def find_docker(path: str | None) -> tuple[str | None, str]:
    """Return the docker command if its engine answers, or None and the reason."""
    docker = shutil.which("docker", path=path)
    if docker is None:
        return None, "Docker is not on the PATH"
    if _output([docker, "version", "--format", "{{.Server.Version}}"]) is None:
        return None, "Docker's engine does not answer"
    return docker, ""


def jar_folder(environ: Mapping[str, str]) -> Path:
    """Return the cache folder of exactly the jars that this `pom.xml` names."""
    base = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.sha256(POM.read_bytes()).hexdigest()[:8]
    return base / "squall" / f"kafka-{KAFKA_VERSION}-{digest}" / "libs"


def fetch_jars(maven: str, libs: Path, note: Note) -> None:
    """Copy Kafka's jars to the cache in one step, so that an interrupted download leaves nothing half done.

    Raises:
        BrokerError: Maven failed; its words are in the message.
    """
    libs.parent.mkdir(parents=True, exist_ok=True)
    with (libs.parent / "lock").open("w") as lock, tempfile.TemporaryDirectory(dir=libs.parent) as folder:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if libs.is_dir():  # another process was first
            return
        note(f"Fetching Apache Kafka {KAFKA_VERSION} from Maven Central (about 45 MB, once)")
        fresh = Path(folder) / "libs"
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={fresh}", "-DincludeScope=runtime"]
        command = [maven, "--batch-mode", "--quiet", "--strict-checksums", "-f", str(POM), *goal]
        try:
            done = subprocess.run(  # noqa: S603 - a fixed command
                command, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            msg = f"Maven did not fetch Apache Kafka within {DOWNLOAD_TIMEOUT_S} s: check the network and start again"
            raise BrokerError(msg) from None
        if done.returncode or not list(fresh.glob("kafka_*.jar")):
            words = "\n".join((done.stdout + done.stderr).strip().splitlines()[:8])
            msg = f"Maven could not fetch Apache Kafka {KAFKA_VERSION}; check the network or Maven's settings:\n{words}"
            raise BrokerError(msg)
        fresh.rename(libs)


def _output(command: list[str]) -> str | None:
    """Return what a command prints on both channels, or None if it fails."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed commands
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
