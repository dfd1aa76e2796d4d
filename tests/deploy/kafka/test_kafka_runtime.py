"""What the broker runs on: found on the PATH, or named with how to get it. The programs here are real scripts."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.kafka.runtime import KAFKA_VERSION, DockerRuntime, JavaRuntime, fetch_jars, find_runtime, jar_folder
from streams.errors import BrokerError


class Machine:
    """A PATH of its own, with the programs that a test puts there."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.environ = {"PATH": str(self.bin), "XDG_CACHE_HOME": str(folder / "cache")}
        self.notes: list[str] = []

    def program(self, name: str, script: str) -> str:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(0o755)
        return str(path)

    def java(self, version: str) -> str:
        return self.program("java", f"echo 'openjdk version \"{version}\" 2025-01-01' >&2")

    def maven(self) -> str:
        # Writes one jar to where it is told to.
        script = """
for word in "$@"; do case "$word" in -DoutputDirectory=*) out=${word#*=};; esac; done
/bin/mkdir -p "$out" && echo jar > "$out/kafka_2.13-0.jar"
"""
        return self.program("mvn", script)

    def find(self) -> JavaRuntime | DockerRuntime:
        return find_runtime(self.notes.append, self.environ)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_bare_machine_is_told_what_is_missing_and_how_to_get_it(machine: Machine) -> None:
    with pytest.raises(BrokerError) as caught:
        machine.find()
    message = str(caught.value)
    for words in (
        "Java is not on the PATH",
        "Maven (mvn) is not on the PATH",
        "Docker is not on the PATH",
        "apt install openjdk-17-jre-headless",
        "brew install maven",
        "SQUALL_KAFKA__BOOTSTRAP_SERVERS",
    ):
        assert words in message


def test_an_old_java_is_named_with_its_version(machine: Machine) -> None:
    java = machine.java("1.8.0_392")
    machine.maven()
    with pytest.raises(BrokerError, match=rf"{java} is Java 8, and Kafka {KAFKA_VERSION} needs 17 or newer"):
        machine.find()


def test_a_java_that_does_not_work_is_named(machine: Machine) -> None:
    java = machine.program("java", "echo 'Unable to locate a Java Runtime.' >&2; exit 1")
    with pytest.raises(BrokerError, match=f"{java} does not work"):
        machine.find()


@pytest.mark.parametrize("version", ["17", "17.0.15", "21.0.2", "25-ea"])
def test_java_and_maven_fetch_kafka_once(machine: Machine, version: str) -> None:
    java = machine.java(version)
    machine.maven()
    assert machine.find() == JavaRuntime(java, jar_folder(machine.environ))
    assert len(machine.notes) == 1
    assert "Fetching Apache Kafka" in machine.notes[0]
    (machine.bin / "mvn").unlink()
    assert machine.find() == JavaRuntime(java, jar_folder(machine.environ)), "Maven is not needed again"
    assert len(machine.notes) == 1


def test_java_home_goes_before_the_path(machine: Machine, tmp_path: Path) -> None:
    machine.java("17.0.1")
    machine.maven()
    home = tmp_path / "jdk"
    (home / "bin").mkdir(parents=True)
    (machine.bin / "java").rename(home / "bin" / "java")
    machine.java("11.0.1")
    machine.environ["JAVA_HOME"] = str(home)
    found = machine.find()
    assert isinstance(found, JavaRuntime)
    assert found.java == str(home / "bin" / "java")


def test_docker_serves_where_java_or_maven_is_missing(machine: Machine) -> None:
    machine.java("17.0.15")
    docker = machine.program("docker", "echo 28.2.2")
    assert machine.find() == DockerRuntime(docker)


def test_docker_without_an_engine_does_not_serve(machine: Machine) -> None:
    machine.program("docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    with pytest.raises(BrokerError, match="Docker's engine does not answer"):
        machine.find()


def test_a_failing_download_shows_mavens_words_and_leaves_nothing(machine: Machine) -> None:
    machine.java("17.0.15")
    maven = machine.program("mvn", "echo '[ERROR] Could not transfer artifact: Connection refused'; exit 1")
    libs = jar_folder(machine.environ)
    with pytest.raises(BrokerError, match=r"could not fetch Apache Kafka(.|\n)*Connection refused"):
        fetch_jars(maven, libs, machine.notes.append)
    assert not libs.exists()
    assert [path.name for path in libs.parent.iterdir()] == ["lock"]
