"""Start, stop and look after the local broker."""

from __future__ import annotations

import fcntl
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from deploy.kafka import launch
from deploy.kafka.files import LOOPBACK, BrokerFiles, RunRecord, tail
from deploy.kafka.process import POLL_S
from deploy.kafka.runtime import Note, find_runtime
from streams.config import KafkaSettings
from streams.errors import BrokerError
from streams.topics import admin_client

READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
KILL_TIMEOUT_S = 10.0

Stopped = Literal["not running", "stopped", "killed"]


@dataclass(frozen=True)
class Status:
    """What is known about a broker from outside."""

    running: bool
    ready: bool
    """It answers to clients."""
    port: int
    data_dir: Path
    version: str | None = None
    """Of Kafka; None while it does not run, as are the next four."""
    runtime: str | None = None
    """`java` or `docker`."""
    pid: int | None = None
    container: str | None = None
    uptime_s: float | None = None
    topics: int | None = None
    """Number of topics, internal ones aside; None unless it is ready."""


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


class LocalBroker:
    """One KRaft node of Apache Kafka over a data folder. It lives on when this process ends.

    Args:
        data_dir: made for the owner alone if it is missing; one broker runs over it at a time.
        port: on the loopback interface. Another port at the next start is fine: the data do not know it.
        note: receives a line before something that takes long.
    """

    def __init__(self, data_dir: Path, port: int, *, note: Note = lambda line: None) -> None:
        self.data_dir = data_dir.absolute()
        self.port = port
        self.files = BrokerFiles(self.data_dir)
        self.note = note

    @property
    def bootstrap(self) -> str:
        """Address for clients."""
        return f"{LOOPBACK}:{self.port}"

    def start(self, timeout_s: float = READY_TIMEOUT_S) -> Status:
        """Start the broker and return when it answers; nothing happens if it runs already.

        Args:
            timeout_s: longest wait until it answers; fetching Kafka beforehand does not count.

        Raises:
            BrokerError: the port is taken, nothing to run it on is found, it runs on another port already, or it does
                not get ready in time (it is killed then, and the message holds the last lines of its log).
        """
        if "," in str(self.data_dir):
            msg = f"Kafka takes a comma in the path of its data folder as two folders: {self.data_dir}"
            raise BrokerError(msg)
        with self._locked():
            record = self._living()
            if record is not None and record.port != self.port:
                msg = (
                    f"a broker runs over {self.data_dir} on port {record.port} already: "
                    f"use that port, or stop it first (squall broker stop --data-dir {self.data_dir})"
                )
                raise BrokerError(msg)
            if record is None:
                self._refuse_taken_port()
                runtime = find_runtime(self.note)
                self.note(f"Starting Apache Kafka on {self.bootstrap}")
                record = launch.launch(runtime, self.data_dir, self.port, free_port())
                record.write(self.files.record)
            self._wait_ready(record, timeout_s)
            return self._describe(record, ready=True)

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> Stopped:
        """Ask the broker to end (SIGTERM) and wait; kill it (SIGKILL) if it has not ended in time.

        Raises:
            BrokerError: it does not even end when killed.
        """
        with self._locked():
            record = self._living()
            if record is None:
                self.files.record.unlink(missing_ok=True)
                return "not running"
            launch.send(record, signal.SIGTERM)
            outcome: Stopped = "stopped"
            if not launch.wait_ended(record, timeout_s):
                outcome = "killed"
                self._kill(record)
            launch.clear(record)
            self.files.record.unlink(missing_ok=True)
            return outcome

    def kill(self) -> None:
        """End the broker at once (SIGKILL), as a crash would: nothing is flushed or tidied up.

        Raises:
            BrokerError: it is still there afterwards.
        """
        record = self._living()
        if record is not None:
            self._kill(record)

    def status(self) -> Status:
        """Look at the broker, and ask it for its topics if it runs."""
        record = self._living()
        if record is None:
            return Status(running=False, ready=False, port=self.port, data_dir=self.data_dir)
        return self._describe(record, ready=_listens(record.port))

    def _describe(self, record: RunRecord, *, ready: bool) -> Status:
        topics = None
        if ready:
            try:
                with admin_client(self._client_settings(record.port), timeout_s=5) as admin:
                    topics = sum(not name.startswith("__") for name in admin.list_topics())
            except BrokerError:
                ready = False
        return Status(
            running=True,
            ready=ready,
            port=record.port,
            data_dir=self.data_dir,
            version=record.version,
            runtime=record.runtime,
            pid=record.pid,
            container=record.container,
            uptime_s=max(0.0, time.time() - record.started_at_s),
            topics=topics,
        )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold off other starts and stops over the same folder."""
        try:
            # The messages of others lie in here: nobody but the owner may look in.
            self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.files.logs.mkdir(parents=True, exist_ok=True)
            lock = self.files.lock.open("w")
        except OSError as error:
            msg = f"cannot write to the broker's data folder {self.data_dir}: {error.strerror}"
            raise BrokerError(msg) from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _living(self) -> RunRecord | None:
        record = RunRecord.read(self.files.record)
        return record if record is not None and launch.is_alive(record) else None

    def _kill(self, record: RunRecord) -> None:
        launch.send(record, signal.SIGKILL)
        if not launch.wait_ended(record, KILL_TIMEOUT_S):
            msg = f"the broker ({record.container or record.pid}) does not end, not even by SIGKILL"
            raise BrokerError(msg)

    def _refuse_taken_port(self) -> None:
        with socket.socket() as probe:
            # As Kafka itself does: connections of an earlier run that still linger are no hindrance.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, self.port))
            except OSError as error:
                msg = (
                    f"port {self.port} on {LOOPBACK} is taken by another program ({error.strerror}): "
                    f"see which with `lsof -i :{self.port}`, or choose another with --port or SQUALL_BROKER__PORT"
                )
                raise BrokerError(msg) from error

    def _wait_ready(self, record: RunRecord, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while True:
            if not launch.is_alive(record):
                self._fail(record, "ended before it was ready")
            if _listens(record.port) and self._answers(record.port):
                return
            if time.monotonic() > deadline:
                self._kill(record)
                self._fail(record, f"was not ready within {timeout_s:g} s")
            time.sleep(POLL_S)

    def _answers(self, port: int) -> bool:
        """Ask for the cluster's nodes: an open port alone does not mean that the node has joined."""
        try:
            with admin_client(self._client_settings(port), timeout_s=5) as admin:
                return any(not node["is_fenced"] for node in admin.describe_cluster()["brokers"])
        except BrokerError:
            return False

    @staticmethod
    def _client_settings(port: int) -> KafkaSettings:
        return KafkaSettings(bootstrap_servers=(f"{LOOPBACK}:{port}",))

    def _fail(self, record: RunRecord, what: str) -> None:
        launch.collect_output(record, self.files.console)
        launch.clear(record)
        self.files.record.unlink(missing_ok=True)
        lines = [*tail(self.files.server_log, 12), *tail(self.files.console, 12)]
        last = "\n".join(f"  {line}" for line in lines)
        msg = f"Apache Kafka {what}. Last lines of {self.files.logs}:\n{last or '  (nothing)'}"
        raise BrokerError(msg)


def _listens(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True
