"""What the pipeline bench runs on: a cluster, topics of its own, a worker process, and its metrics."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from kafka import KafkaProducer
from prometheus_client.parser import text_string_to_metric_families

from deploy.bench.feed import BenchCompany, write_table
from deploy.kafka import LocalBroker, free_port
from streams.config import DeliverySettings, Settings
from streams.errors import SquallError
from streams.records import Message, encode
from streams.topics import admin_client, create_topics

Note = Callable[[str], None]

SQUALL = (sys.executable, "-m", "deploy.cli")
"""How a worker is started: this installation, whatever else is on the path."""

_READY_S = 180.0
_STOP_S = 40.0
_POLL_S = 0.1
_SECRETS = {"sasl_password": "SQUALL_KAFKA__SASL_PASSWORD", "ssl_key_password": "SQUALL_KAFKA__SSL_KEY_PASSWORD"}


@contextmanager
def cluster(settings: Settings, note: Note) -> Iterator[Settings]:
    """Yield settings for the named cluster, or for a broker of one's own that is gone afterwards with its data.

    Raises:
        BrokerError: the broker cannot be started.
    """
    if not settings.uses_local_broker:
        yield settings
        return
    with own_broker(settings, note) as (current, _):
        yield current


@contextmanager
def own_broker(settings: Settings, note: Note) -> Iterator[tuple[Settings, LocalBroker]]:
    """Yield settings for a broker of one's own, and the broker, which is gone afterwards with its data.

    Raises:
        BrokerError: the broker cannot be started.
    """
    with tempfile.TemporaryDirectory(prefix="squall-bench-") as folder:
        broker = LocalBroker(Path(folder), free_port(), note=note)
        broker.start()
        try:
            kafka = settings.kafka.model_copy(update={"bootstrap_servers": (broker.bootstrap,)})
            yield settings.model_copy(update={"kafka": kafka}), broker
        finally:
            broker.stop()


@dataclass(slots=True)
class Rig:
    """One run: topics of its own on a cluster, and a folder for the worker.

    Use `rig` to make one.
    """

    settings: Settings
    folder: Path
    command: Sequence[str] = SQUALL
    published: int = field(default=0)

    def producer(self) -> KafkaProducer:
        """Return a producer that sends at once."""
        return KafkaProducer(**self.settings.kafka.client_options(), acks="all", linger_ms=0)

    def publish_all(self, messages: Iterable[Message]) -> None:
        """Publish messages as fast as it goes, evenly over the partitions, and wait until they are there."""
        producer = KafkaProducer(**self.settings.kafka.client_options(), acks="all", linger_ms=20, batch_size=262_144)
        for message in messages:
            self.send(producer, message)
        producer.flush()
        producer.close()

    def send(self, producer: KafkaProducer, message: Message) -> None:
        """Hand one message to a producer; the partitions take turns."""
        topics = self.settings.topics
        partition = self.published % topics.message_partitions
        key = message.source.encode()
        producer.send(topics.messages, value=encode(message), key=key, partition=partition)
        self.published += 1

    def write_config(self, name: str) -> Path:
        """Write the settings as a configuration file, without secrets (see `environment`)."""
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(_plain(self.settings)), encoding="utf-8")
        return path

    @contextmanager
    def worker(self, role: str) -> Iterator[WorkerProcess]:
        """Run a worker of a role; it is stopped as an orchestrator would."""
        process = WorkerProcess(
            [*self.command, "--config", str(self.write_config(role)), "worker", "--role", role],
            self.settings,
            self.folder / f"{role}.log",
        )
        try:
            yield process
        finally:
            process.stop()


@contextmanager
def rig(
    base: Settings,
    companies: Sequence[BenchCompany],
    *,
    lateness_s: int | None = None,
    watched: Sequence[str] = (),
    sections: Mapping[str, Mapping[str, object]] | None = None,
    command: Sequence[str] = SQUALL,
) -> Iterator[Rig]:
    """Make topics of a prefix of their own, and take them away afterwards.

    Args:
        base: the user's settings; classifier, batch sizes and partitions are as they say.
        companies: the invented ones, beside the S&P 500.
        lateness_s: instead of the user's `monitor.allowed_lateness_s`.
        watched: symbols of a watch list.
        sections: further keys by section, instead of the user's.
        command: how to start `squall`.
    """
    prefix = f"squall-bench-{uuid.uuid4().hex[:8]}"
    monitor = base.monitor if lateness_s is None else base.monitor.model_copy(update={"allowed_lateness_s": lateness_s})
    with tempfile.TemporaryDirectory(prefix="squall-bench-") as folder:
        table = Path(folder) / "companies.csv"
        write_table(table, companies)
        watchlist = Path(folder) / "watched.txt"
        watchlist.write_text("".join(f"{symbol}\n" for symbol in watched), encoding="utf-8")
        settings = base.model_copy(
            update={
                "topics": base.topics.model_copy(update={"prefix": prefix}),
                "entities": base.entities.model_copy(
                    update={
                        "tables": (table,),
                        "include_sp500": True,
                        "watchlists": (watchlist,) if watched else (),
                    }
                ),
                "monitor": monitor,
                "delivery": DeliverySettings(terminal=False),  # nobody is called for a measurement
                "worker": base.worker.model_copy(
                    update={"port": free_port(), "host": "127.0.0.1", "data_dir": Path(folder) / "worker"}
                ),
            }
        )
        for section, keys in (sections or {}).items():
            changed = getattr(settings, section).model_copy(update=dict(keys))
            settings = settings.model_copy(update={section: changed})
        create_topics(settings)
        try:
            yield Rig(settings, Path(folder), command)
        finally:
            _delete_topics(settings)


def _delete_topics(settings: Settings) -> None:
    with admin_client(settings.kafka) as admin:
        mine = [name for name in admin.list_topics() if name.startswith(settings.topics.prefix)]
        admin.delete_topics(mine)


class WorkerProcess:
    """`squall worker` in a process of its own, with a configuration file of its own.

    Args:
        command: its command line.
        settings: its configuration.
        log: where its output goes.
    """

    def __init__(self, command: Sequence[str], settings: Settings, log: Path) -> None:
        self._url = f"http://127.0.0.1:{settings.worker.port}"
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603  # our own command line
                command, stdout=output, stderr=subprocess.STDOUT, env=environment(settings)
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def is_ready(self) -> bool:
        """Whether it says that it is ready."""
        return self._get("/readyz") is not None

    def read_log(self) -> str:
        """Return what it has written to its log so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def kill(self) -> None:
        """End it at once (SIGKILL), as a crash or a lost machine would."""
        self._process.kill()
        self._process.wait()

    def wait_ready(self) -> None:
        """Wait until it is ready. Raises SquallError if it ends, or takes too long."""
        self.wait(self.is_ready, "the worker is not ready", _READY_S)

    def wait(self, condition: Callable[[], bool], what: str, limit_s: float) -> None:
        """Wait for a condition.

        Raises:
            SquallError: the worker ended, or the condition did not come true in time; with the end of its log.
        """
        deadline_s = time.monotonic() + limit_s
        while not condition():
            if self._process.poll() is not None:
                raise self._failed(f"the worker ended with status {self._process.returncode}")
            if time.monotonic() > deadline_s:
                raise self._failed(f"{what} after {limit_s:.0f} s")
            time.sleep(_POLL_S)

    def metrics(self) -> dict[str, float]:
        """Return its metrics: each name with the sum over its samples, `name{label}` where there are labels."""
        text = self._get("/metrics")
        if text is None:
            raise self._failed("the worker does not answer")
        return parse_metrics(text)

    def stop(self) -> None:
        """Stop it as an orchestrator does, and kill it if it does not listen."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _get(self, path: str) -> str | None:
        try:
            with urllib.request.urlopen(self._url + path, timeout=10) as answer:  # noqa: S310  # our own, http
                text: str = answer.read().decode()
                return text
        except (urllib.error.URLError, OSError):
            return None

    def _failed(self, what: str) -> SquallError:
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-12:]
        return SquallError("\n  ".join((f"{what}; the end of its log:", *lines)))


def parse_metrics(text: str) -> dict[str, float]:
    """Read Prometheus' text format into one number per name and per `name{value of the only label}`."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            names = [sample.name, f"{sample.name}{{{','.join(sample.labels.values())}}}"] if sample.labels else []
            for name in names or [sample.name]:
                found[name] = found.get(name, 0.0) + sample.value
    return found


def environment(settings: Settings) -> dict[str, str]:
    """Return the variables of a child process: ours without Squall's, and the secrets that stand in no file."""
    variables = {name: value for name, value in os.environ.items() if not name.upper().startswith("SQUALL_")}
    for key, variable in _SECRETS.items():
        secret = getattr(settings.kafka, key)
        if secret is not None:
            variables[variable] = secret.get_secret_value()
    return variables


def _plain(settings: Settings) -> Mapping[str, object]:
    values = settings.model_dump(mode="json", exclude_none=True)
    for key in _SECRETS:
        values["kafka"].pop(key, None)
    values["delivery"].pop("webhook_token", None)
    return values
