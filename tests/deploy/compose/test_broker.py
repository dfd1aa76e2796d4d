"""The broker of the compose file: its very command and configuration, run by this machine's Java."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from deploy.kafka import free_port
from deploy.kafka.runtime import JavaRuntime, find_runtime
from streams.config import Settings
from streams.errors import SquallError
from streams.topics import check_topics, create_topics
from tests.conftest import MakeSettings
from tests.streams.app.harness import until

pytestmark = pytest.mark.broker

DEPLOY = Path(__file__).parents[3] / "deploy"


class Broker:
    """The service `kafka`, with this machine's paths and ports instead of the container's."""

    def __init__(self, folder: Path, runtime: JavaRuntime) -> None:
        service = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["kafka"]
        self.inside, self.host, controller = free_port(), free_port(), free_port()
        self._folder = folder
        (folder / "data").mkdir()
        moved = {
            "kafka:29092": f"127.0.0.1:{self.inside}",
            "0.0.0.0:29092": f"127.0.0.1:{self.inside}",
            "0.0.0.0:9092": f"127.0.0.1:{self.host}",
            "127.0.0.1:9092": f"127.0.0.1:{self.host}",
            "127.0.0.1:9093": f"127.0.0.1:{controller}",
            "/var/lib/kafka/data": str(folder / "data"),
        }
        properties = (DEPLOY / "compose" / "kafka.properties").read_text()
        for old, new in moved.items():
            assert old in properties
            properties = properties.replace(old, new)
        (folder / "kafka.properties").write_text(properties)
        (folder / "kafka-log4j2.xml").write_bytes((DEPLOY / "compose" / "kafka-log4j2.xml").read_bytes())
        (script,) = service["command"]
        script = (
            script.replace("$$", "$")
            .replace("/etc/squall/", f"{folder}/")
            .replace("/opt/kafka/libs", str(runtime.libs))
        )
        self._command = [*service["entrypoint"], script]
        self._environ = os.environ | {
            "HEAP": "-Xmx256m",
            "PATH": f"{Path(runtime.java).parent}{os.pathsep}{os.environ['PATH']}",
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self._folder / "console.log"

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, env=self._environ, cwd=self._folder)

    def stop(self) -> int:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=60)

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    runtime = find_runtime(lambda _: None)
    if not isinstance(runtime, JavaRuntime):
        pytest.skip("needs a Java of this machine (Debian: openjdk-17-jre-headless) and Maven (maven)")
    broker = Broker(tmp_path, runtime)
    broker.start()
    yield broker
    broker.kill()


def topics_are_made(settings: Settings, broker: Broker) -> bool:
    try:
        create_topics(settings)
    except SquallError:
        return False
    return True


def test_it_takes_the_topics_of_squall_and_keeps_them_over_a_restart(
    broker: Broker, make_settings: MakeSettings
) -> None:
    as_a_container = make_settings(f"127.0.0.1:{broker.inside}", "squall")
    until(lambda: topics_are_made(as_a_container, broker), "no topics were made")
    assert check_topics(make_settings(f"127.0.0.1:{broker.host}", "squall")) == [], "as seen from the host"
    assert broker.stop() == 143, "Java ends so on SIGTERM, after its shutdown"
    assert "shut down completed" in broker.log.read_text()
    broker.start()
    until(lambda: topics_are_made(as_a_container, broker), "it did not come back")
    assert check_topics(as_a_container) == []
