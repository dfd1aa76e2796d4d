"""`squall verdict` on a real broker, and `squall topics acls` where nobody is asked for rights."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from streams.acls import AclRole, grants
from streams.config import Settings
from streams.records import decode_verdict
from tests.streams.app.harness import records_of


def squall(*arguments: str, settings: Settings | None = None) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SQUALL_")}
    if settings is not None:
        environ["SQUALL_KAFKA__BOOTSTRAP_SERVERS"] = ",".join(settings.kafka.bootstrap_servers)
        environ["SQUALL_TOPICS__PREFIX"] = settings.topics.prefix
    command = [sys.executable, "-m", "deploy.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environ, timeout=120, check=False)


@pytest.mark.broker
def test_a_verdict_is_on_record_with_who_judged(settings_with_topics: Settings) -> None:
    settings = settings_with_topics
    alert = squall("verdict", "2929662a07e4834b", "--verdict", "false_alarm", "--by", "anna", settings=settings)
    assert alert.returncode == 0, alert.stderr
    assert f"false_alarm of alert 2929662a07e4834b by anna is on {settings.topics.labels}" in alert.stdout
    words = ("--verdict", "not_negative", "--by", "bo", "--alert", "2929662a07e4834b", "--entity", "ACME")
    message = squall("verdict", "wire:7", *words, "--note", "a joke", settings=settings)
    assert message.returncode == 0, message.stderr
    first, second = [
        (record.key, decode_verdict(record.value)) for record in records_of(settings, settings.topics.labels)
    ]
    assert first[0] == b'["alert","2929662a07e4834b",null,"anna"]'
    assert (first[1].alert_id, first[1].message_id, first[1].by) == ("2929662a07e4834b", None, "anna")
    assert second[0] == b'["message","wire:7","ACME","bo"]'
    assert (second[1].message_id, second[1].alert_id, second[1].note) == ("wire:7", "2929662a07e4834b", "a joke")


@pytest.mark.broker
def test_a_verdict_is_taken_back_under_its_own_key(settings_with_topics: Settings) -> None:
    settings = settings_with_topics
    for words in (("--verdict", "stale"), ("--take-back",)):
        done = squall("verdict", "wire:7", *words, "--by", "bo", "--entity", "ACME", settings=settings)
        assert done.returncode == 0, done.stderr
    assert f"what bo said of wire:7 for ACME is taken back on {settings.topics.labels}" in done.stdout
    said, of_message, of_alert = records_of(settings, settings.topics.labels)
    assert (of_message.key, of_message.value) == (said.key, None)
    assert (of_alert.key, of_alert.value) == (b'["alert","wire:7","ACME","bo"]', None)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("a1", "--by", "anna"), "give --verdict, or --take-back"),
        (("a1", "--verdict", "stale", "--take-back", "--by", "anna"), "give --verdict, or --take-back"),
        (("a\n1", "--take-back", "--by", "anna"), "cannot be printed"),
        (("a1", "--verdict", "maybe", "--by", "anna"), "'maybe' is none of"),
        (("a1", "--verdict", "stale", "--by", "anna@desk.example"), "no e-mail address"),
        (("a1", "--verdict", "false_alarm", "--by", "anna", "--alert", "a2"), "--alert"),
        (("a\n1", "--verdict", "stale", "--by", "anna"), "cannot be printed"),
        (("", "--verdict", "stale", "--by", "anna"), "length >= 1"),
    ],
)
def test_what_is_no_verdict_is_refused(arguments: tuple[str, ...], told: str) -> None:
    done = squall("verdict", *arguments)
    assert done.returncode == 2
    assert told in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


@pytest.mark.broker
def test_a_cluster_without_an_authorizer_is_told(settings_with_topics: Settings) -> None:
    done = squall("topics", "acls", "--role", "scorer", "--apply", settings=settings_with_topics)
    assert done.returncode == 2
    assert "has no authorizer" in done.stderr


@pytest.mark.parametrize("role", AclRole)
def test_the_commands_of_a_role_come_without_asking_kafka(role: AclRole) -> None:
    done = squall("topics", "acls", "--role", role, "--principal", "User:CN=a b", "--commands")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert all(line.startswith("kafka-acls.sh ") and "'User:CN=a b'" in line for line in lines)
    resources = {(one.kind, one.name) for one in grants(role, Settings())}
    assert len(lines) == len(resources)


def test_the_table_names_each_right() -> None:
    done = squall("topics", "acls", "--role", "verdicts")
    assert done.returncode == 0, done.stderr
    assert "squall.labels" in done.stdout
    assert "--allow-principal User:verdicts --operation Write --topic squall.labels" in done.stdout
