"""A login or a right that is missing, as whoever gives the command sees it: one error, what to do, exit status 2."""

from __future__ import annotations

import subprocess
import uuid
from typing import Any

import pytest

from streams.acls import AclRole, acl
from streams.errors import TopicError
from streams.rights import require_rights
from streams.topics import admin_client, create_topics
from tests.streams.app.harness import until
from tests.streams.security.roles import RULES, Installation, write_messages
from tests.streams.security.secure_broker import SecureBroker

pytestmark = [pytest.mark.broker, pytest.mark.timeout(600)]

COMMANDS: dict[str, tuple[str, ...]] = {
    "topics": ("topics", "check"),
    "worker": ("worker", "--role", "monitor"),
    "publisher": ("publish", "messages.csv"),
    "replay": ("replay", "kafka:", "--as-scored"),
    "operator": ("rules", "use", "rules.yaml"),
    "verdicts": ("verdict", "a1", "--verdict", "false_alarm", "--by", "anna"),
}


@pytest.fixture(scope="module")
def squalls(secure_kafka: SecureBroker, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    folder = tmp_path_factory.mktemp("refusals")
    found = Installation(secure_kafka, f"no-{uuid.uuid4().hex[:8]}", folder)
    create_topics(found.settings())
    write_messages(folder / "messages.csv")
    (folder / "rules.yaml").write_text(RULES)
    return found


def one_error(done: subprocess.CompletedProcess[str], *told: str) -> None:
    assert done.returncode == 2, done.stdout + done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("Error: ")]) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "planted" not in done.stderr + done.stdout
    for words in told:
        assert words in done.stderr, done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_password_is_one_error_of_every_command(squalls: Installation, command: str) -> None:
    kafka = {"sasl_password": "wrong-planted-password"}
    one_error(squalls.squall("lag", *COMMANDS[command], kafka=kafka), "user 'lag'", "SQUALL_KAFKA__SASL_PASSWORD")


@pytest.mark.parametrize("command", ["worker", "publisher"])
@pytest.mark.parametrize("case", ["authority", "expired", "no certificate"])
def test_so_is_a_certificate_that_will_not_do(squalls: Installation, command: str, case: str) -> None:
    broker = squalls.broker
    old = broker.authority.issue("lag", expired=True)
    cases: dict[str, tuple[dict[str, Any], str]] = {
        "authority": ({"ssl_ca_file": str(broker.stranger.cert)}, "kafka.ssl_ca_file must hold the authority"),
        "expired": ({"ssl_cert_file": str(old.cert), "ssl_key_file": str(old.key)}, "openssl x509 -noout -dates"),
        "no certificate": ({"ssl_cert_file": None, "ssl_key_file": None}, "kafka.ssl_cert_file"),
    }
    kafka, told = cases[case]
    one_error(squalls.squall("lag", *COMMANDS[command], protocol="SSL", kafka=kafka), told)


@pytest.mark.parametrize("command", COMMANDS)
def test_so_is_a_user_without_rights(squalls: Installation, command: str) -> None:
    one_error(squalls.squall("labels", *COMMANDS[command]), f"{squalls.prefix}.")


@pytest.mark.parametrize(
    ("role", "user"), [(AclRole.SCORER, "scorer"), (AclRole.MONITOR, "monitor"), (AclRole.VERDICTS, "verdicts")]
)
def test_a_worker_asks_for_each_of_its_rights_before_it_begins(squalls: Installation, role: AclRole, user: str) -> None:
    squalls.grant(role, user)
    mine = squalls.settings(user, "SASL_PLAINTEXT")

    def refusal() -> str:
        try:
            require_rights(mine, [role])
        except TopicError as error:
            return str(error)
        return ""

    until(lambda: not refusal(), "the rights are not granted", deadline_s=10)
    with admin_client(squalls.settings().kafka) as admin:
        for grant in squalls.needs(role):
            if grant.operation == "CREATE" or grant.name.endswith("-changelog"):
                continue  # of a topic that is not there Kafka does not tell
            right = acl(grant, f"User:{user}")
            admin.delete_acls([right])
            told = until(refusal, f"{grant} is not missed", deadline_s=10)
            assert f"{grant.operation} on {grant.kind} {grant.name}" in told
            assert f"squall topics acls --role {role} --principal User:{user} --apply" in told
            admin.create_acls([right])
            until(lambda: not refusal(), f"{grant} is not granted again", deadline_s=10)


def test_who_may_write_verdicts_and_not_read_them_is_told_what_taking_one_back_needs(squalls: Installation) -> None:
    squalls.grant(AclRole.VERDICTS, "warm")
    said = squalls.squall("warm", *COMMANDS["verdicts"])
    assert said.returncode == 0, said.stderr
    back = ("verdict", "a1", "--take-back", "--by", "anna")
    one_error(squalls.squall("warm", *back), f"{squalls.prefix}.labels: this user may not read", "--role labels")
    squalls.grant(AclRole.LABELS, "warm")
    done = squalls.squall("warm", *back)
    assert done.returncode == 0, done.stderr


def test_a_worker_that_lacks_one_right_says_so_and_ends(squalls: Installation) -> None:
    squalls.grant(AclRole.SCORER, "both")
    done = squalls.squall("both", "worker", "--role", "monitor")
    one_error(done, "user both lacks rights on Kafka: ", f"WRITE on topic {squalls.prefix}.alerts")
    assert f"READ on group {squalls.prefix}-deliver-*" in done.stderr
