"""The local broker as a real process: start, stop, crash, and what it says when it cannot."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from deploy.kafka import KAFKA_VERSION, LocalBroker, free_port
from deploy.kafka.files import RunRecord
from deploy.kafka.process import is_alive, start_mark
from streams.config import KafkaSettings
from streams.errors import BrokerError
from streams.topics import admin_client

pytestmark = pytest.mark.broker


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[LocalBroker]:
    """A broker of the test's own, not started; whatever is left of it is killed."""
    own = LocalBroker(tmp_path / "broker with a space", free_port())
    yield own
    own.kill()


def pid_of(broker: LocalBroker) -> int:
    pid = broker.status().pid
    assert pid is not None
    return pid


def write(broker: LocalBroker, topic: str, values: list[bytes]) -> None:
    with admin_client(KafkaSettings(bootstrap_servers=(broker.bootstrap,))) as admin:
        admin.create_topics({topic: {"num_partitions": 1, "replication_factor": 1}}, wait_for_metadata=True)
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, acks="all")
    for value in values:
        producer.send(topic, value).get(timeout=30)
    producer.close()


def read(broker: LocalBroker, topic: str) -> list[bytes]:
    consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap, enable_auto_commit=False, consumer_timeout_ms=60_000)
    partition = TopicPartition(topic, 0)
    consumer.assign([partition])
    consumer.seek_to_beginning(partition)
    end = consumer.end_offsets([partition])[partition]
    values = []
    while consumer.position(partition) < end:
        values.append(next(consumer).value)
    consumer.close()
    return values


def test_it_starts_answers_and_stops_and_says_so(broker: LocalBroker) -> None:
    before = broker.status()
    assert (before.running, before.ready, before.pid, before.topics) == (False, False, None, None)
    status = broker.start()
    assert (status.running, status.ready, status.port, status.runtime) == (True, True, broker.port, "java")
    assert (status.version, status.topics, status.data_dir) == (KAFKA_VERSION, 0, broker.data_dir)
    assert broker.start().pid == status.pid, "starting again changes nothing"
    later = broker.status()
    assert later.ready
    assert later.uptime_s is not None
    assert status.uptime_s is not None
    assert later.uptime_s >= status.uptime_s
    assert broker.stop() == "stopped"
    assert not broker.status().running
    assert broker.stop() == "not running"
    assert "Kafka Server started" in broker.files.server_log.read_text(encoding="utf-8")


def test_what_was_written_outlives_a_crash_and_a_change_of_ports(broker: LocalBroker) -> None:
    broker.start()
    written = [f"message {number}".encode() for number in range(50)]
    write(broker, "durable", written)
    first = pid_of(broker)
    broker.kill()
    assert not broker.status().running
    moved = LocalBroker(broker.data_dir, free_port())
    status = moved.start()
    assert status.pid != first
    assert status.topics == 1
    assert read(moved, "durable") == written


def test_it_outlives_the_process_that_started_it(broker: LocalBroker) -> None:
    program = (
        "import sys; from pathlib import Path; from deploy.kafka import LocalBroker; "
        "print(LocalBroker(Path(sys.argv[1]), int(sys.argv[2])).start().pid)"
    )
    arguments = [sys.executable, "-c", program, str(broker.data_dir), str(broker.port)]
    started = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=True)
    pid = int(started.stdout)
    assert pid_of(broker) == pid
    assert os.getsid(pid) != os.getsid(0), "a session of its own: Ctrl-C in our terminal does not reach it"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has 127.0.0.2 without further ado")
def test_it_listens_on_the_loopback_address_alone(kafka: LocalBroker) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.2", kafka.port))  # refused if the broker listened on all addresses


def test_a_taken_port_is_named(broker: LocalBroker) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", broker.port))
        other.listen()
        with pytest.raises(BrokerError, match=rf"port {broker.port} on 127\.0\.0\.1 is taken.*--port"):
            broker.start()
    assert not broker.files.record.exists()


def test_another_port_over_the_same_data_is_refused_while_it_runs(kafka: LocalBroker) -> None:
    with pytest.raises(BrokerError, match=rf"on port {kafka.port} already.*squall broker stop"):
        LocalBroker(kafka.data_dir, free_port()).start()
    assert kafka.status().ready


def test_a_foreign_process_with_the_recorded_number_is_not_touched(broker: LocalBroker) -> None:
    with subprocess.Popen(["sleep", "600"]) as foreign:
        try:
            broker.files.logs.mkdir(parents=True)
            stale = RunRecord("java", broker.port, KAFKA_VERSION, 0.0, pid=foreign.pid, mark="an earlier boot:1234")
            stale.write(broker.files.record)
            assert not broker.status().running
            broker.kill()
            assert broker.stop() == "not running"
            assert foreign.poll() is None, "it is still alive"
            assert not broker.files.record.exists()
        finally:
            foreign.kill()


def test_a_broker_that_cannot_start_shows_the_last_lines_of_its_log(broker: LocalBroker) -> None:
    broker.start()
    broker.stop()
    meta = broker.files.data / "meta.properties"
    meta.write_text(meta.read_text(encoding="utf-8").replace("node.id=1", "node.id=7"), encoding="utf-8")
    with pytest.raises(
        BrokerError, match=r"ended before it was ready(.|\n)*node\.id|ended before it was ready(.|\n)*7"
    ):
        broker.start()
    assert not broker.status().running


def test_one_that_hangs_is_killed_when_its_time_is_up(broker: LocalBroker) -> None:
    status = broker.start()
    assert status.pid is not None
    mark = start_mark(status.pid)
    assert mark is not None
    os.kill(status.pid, signal.SIGSTOP)
    assert broker.stop(timeout_s=0.2) == "killed"
    assert not is_alive(status.pid, mark)


def test_one_that_does_not_get_ready_in_time_is_not_left_behind(broker: LocalBroker) -> None:
    with pytest.raises(BrokerError, match=r"was not ready within 0 s. Last lines of"):
        broker.start(timeout_s=0)
    assert not broker.status().running


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(BrokerError, match=r"cannot write to the broker's data folder .*file/below: Not a directory"):
        LocalBroker(tmp_path / "file" / "below", free_port()).start()


def test_a_comma_in_the_path_is_refused_as_kafka_would_take_it_for_two(tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match="comma"):
        LocalBroker(tmp_path / "a,b", free_port()).start()
