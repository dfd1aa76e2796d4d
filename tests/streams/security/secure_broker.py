"""A real Apache Kafka that asks everybody who they are: TLS, SASL/SCRAM, mutual TLS and an authorizer.

Made of the parts of `deploy.kafka`: its files, its command lines and its runtime; what is added are listeners, users
and a log of what the authorizer decides.
"""

from __future__ import annotations

import re
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.kafka import commands, process
from deploy.kafka.broker import free_port
from deploy.kafka.files import LOOPBACK, BrokerFiles, server_properties, tail
from deploy.kafka.runtime import JavaRuntime, find_runtime
from streams.config import KafkaSettings
from streams.errors import BrokerError
from streams.topics import admin_client
from tests.streams.security.certificates import Authority, Pair

LISTENERS = ("SASL_SSL", "SSL", "SASL_PLAINTEXT")
ADMIN = "admin"
_READY_S = 120.0

_LOG4J = """<?xml version="1.0" encoding="UTF-8"?>
<Configuration status="WARN">
  <Appenders>
    <File name="file" fileName="${sys:squall.logs}/server.log"><PatternLayout pattern="%d %-5p %m (%c{1})%n"/></File>
    <File name="rights" fileName="${sys:squall.logs}/rights.log"><PatternLayout pattern="%m%n"/></File>
  </Appenders>
  <Loggers>
    <Root level="INFO"><AppenderRef ref="file"/></Root>
    <Logger name="kafka.authorizer.logger" level="DEBUG" additivity="false"><AppenderRef ref="rights"/></Logger>
    <Logger name="org.apache.kafka.storage.internals.log" level="WARN"/>
    <Logger name="state.change.logger" level="WARN"/>
  </Loggers>
</Configuration>
"""


@dataclass(frozen=True, slots=True)
class Decision:
    """One line of the authorizer's log."""

    allowed: bool
    principal: str
    operation: str
    resource: str
    """Such as `Topic:LITERAL:squall.alerts`."""
    rule: str
    """The right that decided, in Kafka's words."""


class SecureBroker:
    """One KRaft node with listeners for SASL_SSL, SSL (mutual TLS) and SASL_PLAINTEXT, and `admin` as super user.

    Args:
        folder: for data, logs and certificates.
        users: password by name; all can log in with both kinds of SCRAM.
    """

    def __init__(self, folder: Path, users: dict[str, str]) -> None:
        self.files = BrokerFiles(folder / "broker")
        self.files.logs.mkdir(parents=True)
        self.users = users
        self.ports = {name: free_port() for name in LISTENERS}
        self.authority = Authority(folder / "tls", "squall-test-authority")
        self.stranger = Authority(folder / "tls", "another-authority")
        self._certificate = self.authority.issue("broker")
        self._running: tuple[int, str] | None = None
        self._decided = 0

    def start(self) -> None:
        runtime = find_runtime(lambda line: None)
        if not isinstance(runtime, JavaRuntime):
            pytest.skip("a broker with certificates runs on Java: apt install openjdk-17-jre-headless maven")
        self.files.log4j.write_text(_LOG4J)
        self.files.properties.write_text(self._properties(), encoding="ascii")
        users = [
            word
            for name, password in self.users.items()
            for kind in ("SCRAM-SHA-256", "SCRAM-SHA-512")
            for word in ("--add-scram", f"{kind}=[name={name},password={password}]")
        ]
        form = commands.format_arguments(runtime.libs, self.files, commands.cluster_id(self.files.root))
        done = subprocess.run([runtime.java, *form, *users], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        command = [runtime.java, *commands.kafka_arguments(runtime.libs, self.files)]
        self._running = process.spawn_detached(command, self.files.console)
        self._wait_ready()

    def stop(self) -> None:
        if self._running is not None:
            process.send_signal(*self._running, signal.SIGKILL)
            process.wait_ended(*self._running, 20)
            self._running = None

    def settings(self, protocol: str, user: str, **more: Any) -> dict[str, Any]:
        """The section `kafka` of the configuration, for a user; with SSL alone his certificate says who he is."""
        found: dict[str, Any] = {
            "bootstrap_servers": f"{LOOPBACK}:{self.ports[protocol]}",
            "security_protocol": protocol,
        }
        if protocol.endswith("SSL"):
            found["ssl_ca_file"] = str(self.authority.cert)
        if protocol == "SSL":
            pair = self.client(user)
            found |= {"ssl_cert_file": str(pair.cert), "ssl_key_file": str(pair.key)}
        else:
            found |= {"sasl_username": user, "sasl_password": self.users[user]}
        return found | more

    def client(self, user: str) -> Pair:
        """A client certificate, made at the first call."""
        path = self.authority.cert.parent / f"{user}.pem"
        return Pair(path, path.with_suffix(".key")) if path.exists() else self.authority.issue(user)

    def decisions(self) -> list[Decision]:
        """What the authorizer has decided since the last call."""
        lines = (self.files.logs / "rights.log").read_text(errors="replace").splitlines()
        fresh, self._decided = lines[self._decided :], len(lines)
        return [found for line in fresh if (found := _decision(line))]

    def _properties(self) -> str:
        plain = server_properties(self.files, port=1, controller_port=free_port(), listen_host=LOOPBACK)
        controller = next(line for line in plain.splitlines() if line.startswith("listeners=")).rpartition(",")[2]
        listeners = ",".join(f"{name}://{LOOPBACK}:{self.ports[name]}" for name in LISTENERS)
        more = {  # of a key that stands twice, Java takes the last
            "listeners": f"{listeners},{controller}",
            "advertised.listeners": listeners,
            "listener.security.protocol.map": ",".join(f"{name}:{name}" for name in LISTENERS)
            + ",CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "SSL",
            "sasl.enabled.mechanisms": "SCRAM-SHA-256,SCRAM-SHA-512",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self._certificate.together(),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self.authority.cert,
            "listener.name.ssl.ssl.client.auth": "required",
            "ssl.principal.mapping.rules": "RULE:^CN=([^,]+)$/$1/,DEFAULT",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            # Nobody has a name on the controller's own listener, which takes connections of this node alone.
            "super.users": f"User:{ADMIN};User:broker;User:ANONYMOUS",
            "connections.max.reauth.ms": 0,
        }
        for name in ("sasl_ssl", "sasl_plaintext"):
            for kind in ("256", "512"):
                login = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
                more[f"listener.name.{name}.scram-sha-{kind}.sasl.jaas.config"] = login
        return plain + "".join(f"{key}={value}\n" for key, value in more.items())

    def _wait_ready(self) -> None:
        assert self._running is not None
        kafka = KafkaSettings.model_validate(self.settings("SASL_SSL", ADMIN))
        deadline = time.monotonic() + _READY_S
        error: BrokerError | None = None
        while time.monotonic() < deadline:
            if not process.is_alive(*self._running):
                break
            try:
                with admin_client(kafka, timeout_s=5) as admin:
                    if any(not node["is_fenced"] for node in admin.describe_cluster()["brokers"]):
                        return
            except BrokerError as found:
                error = found
            time.sleep(0.2)
        self.stop()
        lines = [*tail(self.files.server_log, 15), *tail(self.files.console, 15), repr(error)]
        raise AssertionError("the secured broker does not answer:\n" + "\n".join(lines))


def _decision(line: str) -> Decision | None:
    found = re.match(
        r"Principal = (?P<principal>\S+) is (?P<word>Allowed|Denied) operation = (?P<operation>\w+) .*"
        r"on resource = (?P<resource>\S+) for request = .*?based on rule (?P<rule>.*)",
        line,
    )
    if found is None:
        return None
    named = found.groupdict()
    word = named.pop("word")
    return Decision(allowed=word == "Allowed", **named)
