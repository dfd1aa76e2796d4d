"""The command lines and files of the broker, without running them."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from deploy.kafka import KAFKA_VERSION
from deploy.kafka.commands import (
    CONTAINER_LIBS,
    CONTAINER_ROOT,
    cluster_id,
    container_name,
    docker_run,
    format_arguments,
    kafka_arguments,
)
from deploy.kafka.files import BrokerFiles, RunRecord, server_properties, tail

DATA = Path("/home/ada/squall data")


def test_docker_runs_the_official_image_on_the_loopback_with_the_data_outside() -> None:
    java = kafka_arguments(CONTAINER_LIBS, BrokerFiles(CONTAINER_ROOT))
    assert docker_run("docker", DATA, 9092, "501:20", java) == [
        "docker", "run", "--detach", "--name", container_name(DATA),
        "--publish", "127.0.0.1:9092:9092",
        "--user", "501:20",
        "--mount", "type=bind,source=/home/ada/squall data,target=/squall",
        "--entrypoint", "java", f"apache/kafka:{KAFKA_VERSION}",
        "-Xmx256m", "-XX:+UseSerialGC",
        "-Djava.awt.headless=true",
        "-Dlog4j2.configurationFile=/squall/log4j2.xml",
        "-Dsquall.logs=/squall/logs",
        "-cp", "/opt/kafka/libs/*",
        "kafka.Kafka", "/squall/server.properties",
    ]  # fmt: skip


def test_docker_formats_in_a_container_that_leaves_nothing() -> None:
    java = format_arguments(CONTAINER_LIBS, BrokerFiles(CONTAINER_ROOT), cluster_id(DATA))
    command = docker_run("docker", DATA, None, "501:20", java)
    assert command[:3] == ["docker", "run", "--rm"]
    assert "--publish" not in command
    tool = ["kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", cluster_id(DATA)]
    assert command[-7:] == [*tool, "-c", "/squall/server.properties"]


def test_in_a_container_the_broker_binds_all_interfaces_and_advertises_the_loopback() -> None:
    text = server_properties(BrokerFiles(CONTAINER_ROOT), port=9092, controller_port=40_000, listen_host="0.0.0.0")  # noqa: S104
    assert "listeners=PLAINTEXT://0.0.0.0:9092,CONTROLLER://127.0.0.1:40000\n" in text
    assert "advertised.listeners=PLAINTEXT://127.0.0.1:9092\n" in text
    assert "log.dirs=/squall/data\n" in text


def test_a_path_outside_ascii_is_written_as_java_reads_it() -> None:
    files = BrokerFiles(Path("/home/josé/雷/a\\b"))
    text = server_properties(files, port=1, controller_port=2, listen_host="127.0.0.1")
    assert "log.dirs=/home/jos\\u00e9/\\u96f7/a\\\\b/data\n" in text
    assert text.isascii()


@given(st.text(min_size=1))
def test_a_cluster_id_is_one_that_kafka_takes(path: str) -> None:
    found = cluster_id(Path("/") / path.replace("\0", "0").encode("utf-8", "replace").decode())
    assert len(found) == 22
    assert not found.startswith("-")
    assert set(found) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "broker.pid"
    record = RunRecord("java", 9092, KAFKA_VERSION, 1_700_000_000.5, pid=42, mark="boot:7")
    record.write(path)
    assert RunRecord.read(path) == record


def test_a_record_that_is_missing_or_foreign_is_none(tmp_path: Path) -> None:
    path = tmp_path / "broker.pid"
    assert RunRecord.read(path) is None
    for content in (b"4711\n", b"", b"\xff", b'{"pid": 1, "who": "another program"}'):
        path.write_bytes(content)
        assert RunRecord.read(path) is None


def test_tail_gives_the_last_lines_and_nothing_for_a_missing_file(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    assert tail(log, 3) == []
    log.write_text("".join(f"line {number}\n" for number in range(100_000)), encoding="utf-8")
    assert tail(log, 2) == ["line 99998", "line 99999"]
