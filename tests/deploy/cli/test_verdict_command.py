"""`squall verdict` on a real broker, and `squall topics acls` where nobody is asked for rights."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from kafka import KafkaProducer

from retrain.labels.live import read_verdicts
from streams import verdicts
from streams.acls import AclRole, grants
from streams.config import Settings
from streams.records import Verdict, VerdictKind, decode_verdict, encode
from streams.verdicts import Subject
from tests.streams.app.harness import records_of

AT = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)


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


def say(settings: Settings, *subjects: Subject, verdict: VerdictKind = "stale") -> None:
    verdicts.send(
        settings,
        [
            Verdict(
                message_id=one.id if one.kind == "message" else None,
                alert_id=one.id if one.kind == "alert" else None,
                verdict=verdict if one.kind == "message" else "false_alarm",
                by=one.by,
                learned_at=AT,
                entity=one.entity,
            )
            for one in subjects
        ],
    )


def taken_back(settings: Settings) -> list[bytes]:
    return [record.key for record in records_of(settings, settings.topics.labels) if record.value is None]


@pytest.mark.broker
def test_without_a_company_all_that_a_person_said_of_it_is_taken_back_and_nothing_else(
    settings_with_topics: Settings,
) -> None:
    settings = settings_with_topics
    say(settings, Subject("message", "wire:7", "ACME", "bo"), Subject("message", "wire:7", "BYTE", "bo"))
    others = [
        Subject("message", "wire:7", "ACME", "anna"),
        Subject("message", "wire:8", "ACME", "bo"),
        Subject("alert", "wire:9", None, "bo"),
    ]
    say(settings, *others)
    done = squall("verdict", "wire:7", "--take-back", "--by", "bo", settings=settings)
    assert done.returncode == 0, done.stderr
    assert f"what bo said of wire:7 (for ACME, BYTE) is taken back on {settings.topics.labels}" in done.stdout
    assert sorted(taken_back(settings)) == [b'["message","wire:7","ACME","bo"]', b'["message","wire:7","BYTE","bo"]']
    assert {(one.message_id or one.alert_id, one.by) for one in read_verdicts(settings, on_bad=pytest.fail).said} == {
        (one.id, one.by) for one in others
    }


@pytest.mark.broker
def test_with_a_company_only_what_was_said_for_it_is_taken_back(settings_with_topics: Settings) -> None:
    settings = settings_with_topics
    say(settings, *(Subject("message", "wire:7", entity, "bo") for entity in ("ACME", "BYTE", None)))
    say(settings, Subject("alert", "wire:7", "ACME", "bo"))
    done = squall("verdict", "wire:7", "--take-back", "--by", "bo", "--entity", "ACME", settings=settings)
    assert done.returncode == 0, done.stderr
    assert taken_back(settings) == [b'["alert","wire:7","ACME","bo"]', b'["message","wire:7","ACME","bo"]']


@pytest.mark.broker
def test_a_word_is_taken_back_under_the_key_that_somebody_elses_producer_gave_it(
    settings_with_topics: Settings,
) -> None:
    settings = settings_with_topics
    producer = KafkaProducer(**settings.kafka.client_options(), acks="all")
    for key, by in ((b"wire:7/bo", "bo"), (b"wire:7/anna", "anna")):
        word = Verdict(message_id="wire:7", alert_id=None, verdict="stale", by=by, learned_at=AT, entity="ACME")
        producer.send(settings.topics.labels, key=key, value=encode(word))
    producer.send(settings.topics.labels, key=b"wire:7/x", value=b"{")
    producer.close()
    done = squall("verdict", "wire:7", "--take-back", "--by", "bo", settings=settings)
    assert done.returncode == 0, done.stderr
    assert taken_back(settings) == [b"wire:7/bo"]


@pytest.mark.broker
def test_where_there_is_nothing_to_take_back_it_says_so_and_writes_nothing(settings_with_topics: Settings) -> None:
    settings = settings_with_topics
    back = ("verdict", "wire:7", "--take-back", "--by", "bo")
    say(settings, Subject("message", "wire:7", "ACME", "bo"), Subject("message", "wire:7", None, "anna"))
    other = squall(*back, "--entity", "BYTE", settings=settings)
    assert other.returncode == 2
    assert "bo has said nothing of wire:7 for BYTE" in " ".join(other.stderr.split())
    assert "for ACME" in " ".join(other.stderr.split())
    assert taken_back(settings) == []
    assert squall(*back, settings=settings).returncode == 0
    twice = squall(*back, settings=settings)
    assert twice.returncode == 2
    assert "bo has said nothing of wire:7" in " ".join(twice.stderr.split())
    assert len(taken_back(settings)) == 1


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
