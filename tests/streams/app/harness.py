"""A real worker process, and readers of what it writes; for tests against a real broker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import yaml
from kafka import KafkaConsumer, TopicPartition

from deploy.kafka import free_port
from streams.config import MASK, Settings

DEADLINE_S = 120.0


def until(condition: Callable[[], Any], what: str, *, deadline_s: float = DEADLINE_S) -> Any:
    """Return the condition's first true value; fail with `what` when it does not come."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"waited {deadline_s:.0f} s in vain: {what}")


class WorkerProcess:
    """`squall worker` as a user runs it."""

    def __init__(
        self, settings: Settings, folder: Path, *, role: str = "all", secrets: dict[str, str] | None = None
    ) -> None:
        self._secrets = secrets or {}
        self.port = free_port()
        self.log = folder / "worker.log"
        shown = msgspec.to_builtins(settings.model_dump(mode="json", exclude_unset=True))
        # A secret is masked there and would be refused: it comes by a variable, as in production.
        values = {name: {key: v for key, v in keys.items() if v != MASK} for name, keys in shown.items()}
        values.setdefault("worker", {}).update(port=self.port, data_dir=str(folder / "data"))
        self._config = folder / "squall.yaml"
        self._config.write_text(yaml.safe_dump(values))
        self._role = role
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> WorkerProcess:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("SQUALL_")}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "deploy.cli", "--config", str(self._config), "worker", "--role", self._role],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environ | self._secrets,
            )
        return self

    def wait_ready(self) -> WorkerProcess:
        until(lambda: self.get("/readyz")[0] == 200 or self.must_live(), "the worker is not ready")
        return self

    def must_live(self) -> bool:
        """False while the process lives; an error with its log if it does not."""
        if self._process is not None and self._process.poll() is not None:
            raise AssertionError(f"the worker ended with {self._process.returncode}:\n{self.log.read_text()[-4000:]}")
        return False

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of an answer; 0 if there is none."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except (urllib.error.URLError, OSError):
            return 0, ""

    def metric(self, name: str) -> float | None:
        """Sum of a metric's samples; None before it is there."""
        lines = [line for line in self.get("/metrics")[1].splitlines() if line.startswith((name + "{", name + " "))]
        return sum(float(line.rpartition(" ")[2]) for line in lines) if lines else None

    def send(self, number: signal.Signals) -> int:
        """Send a signal, and return the exit status."""
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(timeout=60)

    def __enter__(self) -> WorkerProcess:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


class Receiver:
    """An HTTP server that takes Alertmanager's webhook, and keeps what it is sent."""

    def __init__(self) -> None:
        self.payloads: list[dict[str, Any]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                if self.headers["Authorization"] == "Bearer desk-token":
                    receiver.payloads.append(msgspec.json.decode(self.rfile.read(length)))
                    self.send_response(200)
                else:
                    self.send_response(401)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/alerts"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def end_of(settings: Settings, topic: str) -> int:
    """How many records a topic has had."""
    consumer = KafkaConsumer(**settings.kafka.client_options())
    try:
        partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
        return sum(consumer.end_offsets(partitions).values())
    finally:
        consumer.close()


def records_of(settings: Settings, topic: str) -> Iterator[Any]:
    """Everything on a topic, partition by partition."""
    consumer = KafkaConsumer(**settings.kafka.client_options(), consumer_timeout_ms=10_000)
    try:
        partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
        ends = consumer.end_offsets(partitions)
        for partition in partitions:
            consumer.assign([partition])
            consumer.seek_to_beginning(partition)
            while consumer.position(partition) < ends[partition]:
                for batch in consumer.poll(timeout_ms=500).values():
                    yield from batch
    finally:
        consumer.close()
