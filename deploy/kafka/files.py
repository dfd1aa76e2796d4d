"""What the local broker keeps in its data folder, and the configuration it starts with. Pure, but for the record.

DATA_DIR/
  data/               log segments and KRaft metadata: what must survive
  logs/server.log     Kafka's own log, rotated; logs/console.log: what the JVM prints
  server.properties   written anew at every start
  broker.pid          who runs here (JSON), while somebody does
  broker.lock         held while a start or a stop is under way
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

NODE_ID = 1
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class BrokerFiles:
    """Paths below one root: the data folder as this process sees it, or as a container sees it."""

    root: Path

    @property
    def data(self) -> Path:
        """Folder of the log segments."""
        return self.root / "data"

    @property
    def logs(self) -> Path:
        """Folder of Kafka's own logs."""
        return self.root / "logs"

    @property
    def server_log(self) -> Path:
        """Kafka's own log."""
        return self.logs / "server.log"

    @property
    def console(self) -> Path:
        """What the process printed since it was last started."""
        return self.logs / "console.log"

    @property
    def properties(self) -> Path:
        """Kafka's configuration."""
        return self.root / "server.properties"

    @property
    def log4j(self) -> Path:
        """Configuration of Kafka's own log."""
        return self.root / "log4j2.xml"

    @property
    def record(self) -> Path:
        """Who runs here."""
        return self.root / "broker.pid"

    @property
    def lock(self) -> Path:
        """Held while a start or a stop is under way."""
        return self.root / "broker.lock"


class RunRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A running broker, as `broker.pid` names it."""

    runtime: str
    """`java` or `docker`."""
    port: int
    version: str
    started_at_s: float
    """Seconds since the epoch."""
    pid: int | None = None
    mark: str | None = None
    """See `deploy.kafka.process.start_mark`."""
    container: str | None = None

    def write(self, path: Path) -> None:
        """Replace the file in one step, so that no reader finds half of it."""
        beside = path.with_suffix(".new")
        beside.write_bytes(msgspec.json.format(msgspec.json.encode(self)))
        beside.replace(path)

    @classmethod
    def read(cls, path: Path) -> RunRecord | None:
        """Return the record, or None if there is none or it is not one of ours."""
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except (OSError, msgspec.DecodeError):
            return None


def server_properties(files: BrokerFiles, *, port: int, controller_port: int, listen_host: str) -> str:
    """Return Kafka's configuration for a single node that is broker and controller.

    The quorum is static (`controller.quorum.voters`), because its one voter then follows a change of ports; with a
    dynamic quorum the ports would be written into the metadata log.

    Args:
        files: paths as the broker process sees them.
        port: where clients connect, on the loopback interface.
        controller_port: the KRaft controller's own port.
        listen_host: the interface to bind; in a container 0.0.0.0, which is then published on the loopback only.
    """
    settings = {
        "process.roles": "broker,controller",
        "node.id": NODE_ID,
        "listeners": f"PLAINTEXT://{listen_host}:{port},CONTROLLER://{LOOPBACK}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.voters": f"{NODE_ID}@{LOOPBACK}:{controller_port}",
        "log.dirs": _escape(str(files.data)),
        # There is one node to keep copies on.
        "default.replication.factor": 1,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "offsets.topic.num.partitions": 8,
        "transaction.state.log.num.partitions": 8,
        # A misspelt topic is an error, not a new topic with the wrong settings.
        "auto.create.topics.enable": "false",
        "group.initial.rebalance.delay.ms": 0,
        # After a crash the node waits for its former self's session to end (9 s by default) before it joins.
        "broker.session.timeout.ms": 5_000,
        "broker.heartbeat.interval.ms": 1_000,
        # The default of 128 MB is half of our heap.
        "log.cleaner.dedupe.buffer.size": 8 * 1024 * 1024,
    }
    return "".join(f"{key}={value}\n" for key, value in settings.items())


def _escape(text: str) -> str:
    """Write a value for a Java properties file, which is read as Latin-1 and knows a backslash as an escape."""
    pairs = text.replace("\\", "\\\\").encode("utf-16-be")
    units = [int.from_bytes(pairs[at : at + 2], "big") for at in range(0, len(pairs), 2)]
    return "".join(chr(unit) if 0x20 <= unit < 0x7F else f"\\u{unit:04x}" for unit in units)


def tail(path: Path, lines: int) -> list[str]:
    """Return the last lines of a text file; an empty list if it is not there."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 65_536))
            return file.read().decode(errors="replace").splitlines()[-lines:]
    except OSError:
        return []
