"""Everything at a cluster that trusts nobody: each role with its own user and its least rights, by every protocol."""

from __future__ import annotations

import signal
import uuid
from collections.abc import Iterator

import pytest
from kafka import KafkaProducer

from streams.acls import AclRole
from streams.config import Settings
from tests.streams.app.harness import Receiver, WorkerProcess, end_of, records_of, until
from tests.streams.security.roles import RULES, Installation, plain, refused, resource, taken_out, write_messages
from tests.streams.security.secure_broker import Decision, SecureBroker

pytestmark = [pytest.mark.broker, pytest.mark.timeout(600)]

USERS = {
    AclRole.ADMIN: "topics",
    AclRole.PUBLISHER: "publisher",
    AclRole.SCORER: "scorer",
    AclRole.MONITOR: "monitor",
    AclRole.REPLAY: "replay",
    AclRole.OPERATOR: "operator",
    AclRole.WARM: "warm",
}


@pytest.fixture(scope="module")
def squalls(secure_kafka: SecureBroker, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    found = Installation(secure_kafka, f"sec-{uuid.uuid4().hex[:8]}", tmp_path_factory.mktemp("secured"))
    for role, user in USERS.items():
        done = found.squall("admin", "topics", "acls", "--role", role, "--principal", f"User:{user}", "--apply")
        assert done.returncode == 0, done.stderr
        assert f"{len(found.needs(role))} rights of {role} are granted to User:{user}" in done.stdout
    return found


def worker(squalls: Installation, role: str, protocol: str, receiver: Receiver, **kafka: str) -> WorkerProcess:
    rules = squalls.folder / "rules.yaml"
    rules.write_text(RULES)
    settings: Settings = squalls.settings(
        role,
        protocol,
        kafka=kafka,
        monitor={"rules": str(rules)},
    )
    folder = squalls.folder / role
    folder.mkdir(exist_ok=True)
    secrets = {"SQUALL_DELIVERY__WEBHOOK_URL": receiver.url, "SQUALL_DELIVERY__WEBHOOK_TOKEN": "desk-token"}
    return WorkerProcess(settings, folder, role=role, secrets=secrets | taken_out(plain(settings)))


def send_noise(settings: Settings, topic: str) -> None:
    """Send something that must be refused."""
    producer = KafkaProducer(**settings.kafka.client_options(), acks="all")
    producer.send(topic, key=b"wire", value=b"no record of ours").get(timeout=30)
    producer.close()


@pytest.fixture(scope="module")
def lived(squalls: Installation) -> Iterator[list[Decision]]:
    """The whole story, from topics to alerts, a kill and a recovery; what the authorizer decided meanwhile."""
    squalls.broker.decisions()
    made = squalls.squall("topics", "topics", "create", protocol="SASL_PLAINTEXT")
    assert made.returncode == 0, made.stderr
    checked = squalls.squall("topics", "topics", "check", protocol="SSL")
    assert checked.returncode == 0, checked.stderr
    settings = squalls.settings()
    feed = squalls.folder / "messages.csv"
    count = write_messages(feed)
    with (
        Receiver() as receiver,
        worker(squalls, "scorer", "SASL_SSL", receiver, sasl_mechanism="SCRAM-SHA-256") as scorer,
        worker(squalls, "monitor", "SSL", receiver) as monitor,
    ):
        published = squalls.squall("publisher", "publish", str(feed), protocol="SASL_PLAINTEXT")
        assert published.returncode == 0, published.stderr
        assert f"{count} messages are on {settings.topics.messages}" in published.stdout
        send_noise(squalls.settings("publisher"), settings.topics.messages)
        send_noise(settings, settings.topics.mentions)
        for process in (scorer, monitor):
            until(lambda process=process: process.metric("squall_dead_letters_total"), "no dead letter")  # type: ignore[misc]
        until(lambda: receiver.payloads or monitor.must_live() or scorer.must_live(), "no alert is delivered")
        before = end_of(settings, f"{squalls.prefix}-monitor-state-changelog")
        assert before
        until(lambda: monitor.metric("squall_waiting_records") == 0, "mentions wait")
        monitor.send(signal.SIGKILL)
        monitor.start().wait_ready()
        watermark = until(lambda: monitor.metric("squall_watermark_seconds"), "the state is not recovered")
        assert watermark > 0
        scorer.wait_ready()
        rules = squalls.squall("operator", "rules", "use", str(squalls.folder / "rules.yaml"))
        assert rules.returncode == 0, rules.stderr
        silenced = squalls.squall("operator", "silences", "list", protocol="SSL")
        assert silenced.returncode == 0, silenced.stderr
        listed = squalls.squall("operator", "dead-letters", "list", protocol="SSL")
        assert listed.returncode == 0, listed.stderr
        replay = ("replay", "kafka:", "--as-scored", "--check", "--rules", str(squalls.folder / "rules.yaml"))
        replayed = squalls.squall("replay", *replay, protocol="SASL_PLAINTEXT")
        assert "that were raised, byte for byte" in replayed.stderr, replayed.stderr
        assert replayed.returncode == 1  # for the record that is none
        raw = squalls.squall("replay", "replay", "kafka:", "--out", str(squalls.folder / "run"))
        assert (squalls.folder / "run" / "alerts.jsonl").exists(), raw.stdout + raw.stderr
        again = squalls.squall("operator", "dead-letters", "send-again", "--yes", protocol="SASL_PLAINTEXT")
        assert again.returncode == 0, again.stdout + again.stderr
        warmed = squalls.squall("warm", "warm", str(feed))
        assert warmed.returncode == 0, warmed.stderr
        for process in (scorer, monitor):
            assert process.send(signal.SIGTERM) == 0, process.log.read_text()[-4000:]
    assert len(list(records_of(settings, settings.topics.alerts))) > 0
    yield squalls.broker.decisions()


def test_every_role_works_with_its_rights_and_asks_for_nothing_more(lived: list[Decision]) -> None:
    # kafka-python asks what it may do with the cluster when it asks which one it is, and takes no for an answer.
    asked = {("User:replay", "DESCRIBE", "Cluster:LITERAL:kafka-cluster")}
    assert refused(lived) - asked == set()


@pytest.mark.parametrize("role", USERS)
def test_every_right_is_made_use_of(squalls: Installation, lived: list[Decision], role: AclRole) -> None:
    used = {(one.operation, one.resource) for one in lived if one.allowed and one.principal == f"User:{USERS[role]}"}
    needed = {(grant.operation, resource(grant)) for grant in squalls.needs(role) if not grant.prefixed}
    if role is AclRole.OPERATOR:  # `squall notify` reads the alerts that were given up, and none was
        needed -= {("READ", f"Topic:LITERAL:{squalls.prefix}.alerts")}
    assert {right for right in needed if right not in used} == set(), sorted(used)
