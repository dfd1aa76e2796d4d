"""Planted secrets: a worker that talks as much as it can, through start, failures and end, tells none of them."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.kafka import free_port
from streams.acls import AclRole, apply
from streams.app.layout import state_changelog
from streams.config import Settings
from streams.topics import create_topics
from tests.streams.app.harness import until
from tests.streams.security.roles import RULES, write_messages
from tests.streams.security.secure_broker import SecureBroker

pytestmark = [pytest.mark.broker, pytest.mark.timeout(600)]

MARK = "canary"
"""In every secret, so that half of one is found too."""


class Choosy:
    """A receiver that takes nothing: it answers 500 with what it was sent, headers included, as careless ones do."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.asked.append(self.path)
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = f"no: {self.path} {dict(self.headers)}".encode()
                self.send_response(500)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> Choosy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Planted:
    """A configuration full of secrets, and everything that came out of the commands that read it."""

    def __init__(self, broker: SecureBroker, folder: Path, receiver: Choosy) -> None:
        self.broker = broker
        self.folder = folder
        chat = f"{receiver.address}/services/{MARK}-slack"
        self.port = free_port()
        self.heard: list[tuple[str, str]] = []
        password = broker.users["both"]
        key_password = f"{MARK}-key-password"
        pair = broker.authority.issue(f"{MARK}-locked", password=key_password)
        prefix = f"planted-{uuid.uuid4().hex[:8]}"
        topics = {"prefix": prefix, "message_partitions": 1, "mention_partitions": 1}
        admin = Settings.model_validate({"kafka": broker.settings("SASL_SSL", "admin"), "topics": topics})
        create_topics(admin)
        for role in (AclRole.ALL, AclRole.VERDICTS, AclRole.PUBLISHER):
            apply(role, admin, "User:both")
        assert state_changelog(admin)
        self.tokens = {"anna": f"{MARK}-token-of-anna-0123456789", "desk": f"{MARK}-api-token-0123456789"}
        (folder / "tokens.yaml").write_text(f"anna: {self.tokens['anna']}\n")
        (folder / "signing").write_text(f"{MARK}-signing-key-0123456789\n")
        (folder / "rules.yaml").write_text(RULES)
        self.values: dict[str, Any] = {
            "kafka": {
                **broker.settings("SASL_SSL", "both"),
                "ssl_cert_file": str(pair.cert),
                "ssl_key_file": str(pair.key),
                "ssl_key_password": key_password,
            },
            "topics": topics,
            "monitor": {"rules": str(folder / "rules.yaml")},
            "worker": {
                "port": self.port,
                "data_dir": str(folder / "data"),
                "log_level": "DEBUG",
                "api_token": self.tokens["desk"],
                "api_tokens_file": str(folder / "tokens.yaml"),
            },
            "delivery": {
                "webhook_url": f"{receiver.address}/hook/{MARK}-in-the-address?sig={MARK}-in-the-query",
                "webhook_token": f"{MARK}-webhook-token-0123",
                "receivers": {
                    "chat": {"type": "slack", "url": chat, "allow_private": True},
                    "teams": {
                        "type": "teams",
                        "url": f"http://127.0.0.1:{free_port()}/{MARK}-teams-that-nobody-hears",
                        "allow_private": True,
                    },
                    "signed": {
                        "type": "webhook",
                        "url": f"{receiver.address}/signed",
                        "signing_key_file": str(folder / "signing"),
                        "allow_private": True,
                    },
                    "call": {
                        "type": "pagerduty",
                        "routing_key": f"{MARK}routingkey0123456789",
                        "url": f"{receiver.address}/pd",
                        "allow_private": True,
                    },
                    "mail": {
                        "type": "email",
                        "host": "127.0.0.1",
                        "port": free_port(),
                        "sender": "squall@desk.example",
                        "to": ["desk@desk.example"],
                        "username": "squall",
                        "password": f"{MARK}-mail-password",
                        "allow_private": True,
                    },
                },
            },
        }  # fmt: skip
        self.secrets = {text for text in _texts(self.values) if MARK in text and "/tls/" not in text}
        self.secrets |= {password, *self.tokens.values(), f"{MARK}-signing-key-0123456789"}

    def config(self, name: str = "squall", **changes: Any) -> Path:
        """Write the configuration, with some keys of `kafka` or whole sections changed."""
        values = {**self.values, **changes}
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(values))
        return path

    def run(self, *arguments: str, config: Path | None = None) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "deploy.cli", "--config", str(config or self.config()), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
        self.heard.append((" ".join(arguments), done.stdout + done.stderr))
        return done

    def ask(self, path: str, *, body: Any = None, token: str | None = None) -> int:
        """Status of an answer; its text and headers are kept."""
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                status, text = answer.status, f"{answer.headers}{answer.read().decode()}"
        except urllib.error.HTTPError as error:
            status, text = error.code, f"{error.headers}{error.read().decode()}"
        except OSError:
            return 0
        self.heard.append((f"{path} -> {status}", text))
        return status

    def attempts(self) -> set[str]:
        """Receivers to whom something was tried to be delivered."""
        self.ask("/metrics")
        return set(re.findall(r'squall_delivery_attempts_total\{[^}]*receiver="([^"]+)"', self.heard[-1][1]))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, str):
        yield value


@pytest.fixture(scope="module")
def planted(secure_kafka: SecureBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    """All that was heard of a worker's life, and of commands that fail."""
    with Choosy() as receiver:
        found = Planted(secure_kafka, tmp_path_factory.mktemp("planted"), receiver)
        log = found.folder / "worker.log"
        command = [sys.executable, "-m", "deploy.cli", "--debug", "--config", str(found.config()), "worker"]
        with log.open("wb") as output:
            worker = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
            try:
                live(found, worker, log, receiver)
            finally:
                worker.kill()
                worker.wait()
        found.heard.append(("life", log.read_text()))
        fail(found)
        yield found


def live(found: Planted, worker: subprocess.Popen[bytes], log: Path, receiver: Choosy) -> None:
    """Start, alerts that nobody takes, right and wrong tokens, and the end."""

    def alive() -> bool:
        assert worker.poll() is None, log.read_text()[-4000:]
        return False

    until(lambda: found.ask("/readyz") == 200 or alive(), "the worker is not ready")
    feed = found.folder / "messages.csv"
    write_messages(feed)
    assert found.run("publish", str(feed)).returncode == 0, found.heard[-1]
    wanted = ("/hook/", "/services/", "/signed", "/pd")
    until(lambda: all(any(path.startswith(one) for path in receiver.asked) for one in wanted) or alive(), "deliveries")
    until(lambda: found.attempts() >= {"mail", "teams"} or alive(), "neither mail nor teams is tried")
    verdict = {"verdict": "false_alarm", "alert_id": "a1", "note": f"{MARK} is no secret here"}
    statuses = [found.ask("/verdicts", body=verdict, token=token) for token in (*found.tokens.values(), "a-guess")]
    assert statuses == [202, 202, 401]
    assert found.ask("/verdicts", body={"verdict": "maybe"}, token=found.tokens["anna"]) == 400
    for path in ("/metrics", "/healthz", "/readyz", "/verdicts", "/nothing"):
        found.ask(path)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=60) == 0, log.read_text()[-4000:]


def fail(found: Planted) -> None:
    """Commands that end with an error each, and those that show the configuration."""
    kafka = found.values["kafka"]
    delivery, worker = found.values["delivery"], found.values["worker"]
    wrong = {
        "password": {"kafka": kafka | {"sasl_password": f"{MARK}-wrong-password"}},
        "key": {"kafka": kafka | {"ssl_key_password": f"{MARK}-wrong-key-password"}},
        "address": {"delivery": delivery | {"webhook_url": f"gopher://{MARK}-address"}},
        "weak": {"worker": worker | {"api_token": f"{MARK}-short"}},
        "number": {"kafka": kafka | {"sasl_password": [f"{MARK}-in-a-list"]}},
        "unknown": {"kafka": kafka | {"sasl_pasword": f"{MARK}-misspelt"}},
    }
    for name, changes in wrong.items():
        config = found.config(name, **changes)
        done = found.run("topics", "check", config=config)
        assert done.returncode == 2, (name, done.stderr)
        assert "Traceback" not in done.stderr, (name, done.stderr)
        command = [sys.executable, "-m", "deploy.cli", "--debug", "--config", str(config), "worker"]
        debug = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
        found.heard.append((f"--debug worker, {name}", debug.stdout + debug.stderr))
    broken = found.folder / "broken.yaml"
    broken.write_text(f"kafka:\n  sasl_password: '{MARK}-unfinished\n")
    assert found.run("config", "show", config=broken).returncode == 2
    for arguments in (("config", "show"), ("config", "schema"), ("topics", "acls", "--role", "all"), ("version",)):
        assert found.run(*arguments).returncode == 0, found.heard[-1]
    with socket.create_server(("127.0.0.1", found.port)):
        assert found.run("worker").returncode == 2


def test_no_secret_is_told_anywhere(planted: Planted) -> None:
    assert len(planted.secrets) >= 11
    for where, text in planted.heard:
        for secret in planted.secrets:
            assert secret not in text, where


def test_no_part_of_a_secret_is_told_either(planted: Planted) -> None:
    for where, text in planted.heard:
        lines = [line for line in text.splitlines() if MARK in line and f"{MARK}-locked" not in line]
        assert lines == [], where


def test_what_was_heard_is_worth_searching(planted: Planted) -> None:
    heard = dict(planted.heard)
    assert "DEBUG" in heard["life"]
    assert "stopped" in heard["life"].splitlines()[-1]
    assert "# HELP squall_messages_total" in heard["/metrics -> 200"]
    assert "**********" in heard["config show"]
    for failure in ("password", "key", "address", "weak", "number", "unknown"):
        assert heard[f"--debug worker, {failure}"]
