"""Each role has the least rights: without any of them something of its own fails; what is others' is refused."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import GroupAuthorizationFailedError, KafkaError, TopicAuthorizationFailedError, for_code
from kafka.structs import OffsetAndMetadata

from streams.acls import AclRole, Grant, acl, grants
from streams.app.layout import group, state_changelog
from streams.config import Settings
from streams.errors import BrokerError, ConfigError, TopicError
from streams.topics import Topic, admin_client, create_topics, design, require_topics
from tests.streams.app.harness import until
from tests.streams.security.roles import Installation
from tests.streams.security.secure_broker import SecureBroker

pytestmark = [pytest.mark.broker, pytest.mark.timeout(300)]

USERS = {
    AclRole.PUBLISHER: "publisher",
    AclRole.SCORER: "scorer",
    AclRole.MONITOR: "monitor",
    AclRole.ALL: "both",
    AclRole.VERDICTS: "verdicts",
    AclRole.OPERATOR: "operator",
    AclRole.REPLAY: "replay",
    AclRole.WARM: "warm",
    AclRole.LAG: "lag",
    AclRole.LABELS: "labels",
    AclRole.ADMIN: "topics",
}
IMPLIED = {"READ": {"READ", "DESCRIBE"}, "WRITE": {"WRITE", "DESCRIBE"}, "DESCRIBE_CONFIGS": {"DESCRIBE_CONFIGS"}}


@pytest.fixture(scope="module")
def squalls(secure_kafka: SecureBroker, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    found = Installation(secure_kafka, f"least-{uuid.uuid4().hex[:8]}", tmp_path_factory.mktemp("least"))
    settings = found.settings()
    changelog = Topic(state_changelog(settings), "state", 2, 1)
    create_topics(settings, (*design(settings), changelog))
    producer = KafkaProducer(**settings.kafka.client_options(), acks="all")
    for name in topics(settings):  # something to read
        producer.send(name, b"here", b"key", partition=0).get(timeout=30)
    producer.close()
    for role, user in USERS.items():
        found.grant(role, user)
    return found


def topics(settings: Settings) -> list[str]:
    return [*(topic.name for topic in design(settings)), state_changelog(settings)]


@contextmanager
def consumer(settings: Settings, **options: Any) -> Iterator[KafkaConsumer]:
    made = KafkaConsumer(**settings.kafka.client_options(), enable_auto_commit=False, **options)
    try:
        yield made
    finally:
        made.close(autocommit=False)


def read(settings: Settings, name: str) -> None:
    describe(settings, name)  # without this the consumer waits for the topic to appear
    with consumer(settings) as made:
        made.assign([TopicPartition(name, 0)])
        made.seek(TopicPartition(name, 0), 0)
        until(lambda: made.poll(timeout_ms=200), "neither a record nor a refusal", deadline_s=20)


def write(settings: Settings, name: str) -> None:
    producer = KafkaProducer(**settings.kafka.client_options(), acks="all", enable_idempotence=True)
    try:
        producer.send(name, b"tried", b"key").get(timeout=20)
    finally:
        producer.close()


def create(settings: Settings, name: str) -> None:
    with admin_client(settings.kafka) as admin:
        answer = admin.create_topics({name: {"num_partitions": 1, "replication_factor": 1}}, raise_errors=False)
    if for_code(answer["topics"][0]["error_code"]) is TopicAuthorizationFailedError:
        raise TopicAuthorizationFailedError


def describe(settings: Settings, name: str) -> None:
    with admin_client(settings.kafka) as admin:
        (found,) = admin.describe_topics([name])
    if found["error_code"]:
        raise for_code(found["error_code"])


def describe_configs(settings: Settings, name: str) -> None:
    with admin_client(settings.kafka) as admin:
        wanted = [ConfigResource(ConfigResourceType.TOPIC, name, ["cleanup.policy"])]
        found = admin.describe_configs(wanted, config_filter="all")
    if not found.get("topic", {}).get(name):
        raise TopicAuthorizationFailedError


def commit(settings: Settings, name: str) -> None:
    """Commit an offset: who shares partitions does, and needs READ on both, the group and a topic."""
    prefix = settings.topics.prefix
    of = {"scorer": settings.topics.messages, "monitor": settings.topics.mentions}
    topic = of.get(name.removeprefix(f"{prefix}-"), settings.topics.alerts)
    with consumer(settings, group_id=name) as made:
        made.assign([TopicPartition(topic, 0)])
        made.commit({TopicPartition(topic, 0): OffsetAndMetadata(0, "", -1)})


def look_at_offsets(settings: Settings, name: str) -> None:
    with admin_client(settings.kafka) as admin:
        admin.list_group_offsets({name: None})


TRIES: dict[tuple[str, str], Callable[[Settings, str], None]] = {
    ("topic", "READ"): read,
    ("topic", "WRITE"): write,
    ("topic", "CREATE"): create,
    ("topic", "DESCRIBE"): describe,
    ("topic", "DESCRIBE_CONFIGS"): describe_configs,
    ("group", "READ"): commit,
    ("group", "DESCRIBE"): look_at_offsets,
}


def is_allowed(settings: Settings, grant: Grant) -> bool:
    """Try what a right is for."""
    name = f"{grant.name}webhook" if grant.prefixed else grant.name
    try:
        TRIES[grant.kind, grant.operation](settings, name)
    except (TopicAuthorizationFailedError, GroupAuthorizationFailedError):
        return False
    except (BrokerError, KafkaError) as error:
        assert "AuthorizationFailed" in repr(error) + repr(error.__cause__), repr(error)
        return False
    return True


@pytest.mark.parametrize("role", [role for role in USERS if role is not AclRole.ALL])
def test_without_any_one_of_its_rights_something_of_a_roles_own_fails(squalls: Installation, role: AclRole) -> None:
    user = USERS[role]
    mine = squalls.settings(user, "SASL_PLAINTEXT")
    with admin_client(squalls.settings().kafka) as admin:
        for grant in squalls.needs(role):
            assert is_allowed(mine, grant), f"{role} may not {grant}"
            right = acl(grant, f"User:{user}")
            (_, deleted, _), *_ = admin.delete_acls([right])
            assert deleted
            until(lambda grant=grant: not is_allowed(mine, grant), f"{role} needs no {grant}", deadline_s=10)  # type: ignore[misc]
            admin.create_acls([right])
            until(lambda grant=grant: is_allowed(mine, grant), f"{grant} is not granted", deadline_s=10)  # type: ignore[misc]


def allowed_on_topics(settings: Settings) -> dict[str, set[str]]:
    """What Kafka itself says that a user may do; nothing where one may not even look."""
    with admin_client(settings.kafka) as admin:
        found = admin.describe_topics(topics(settings))
    return {
        entry["name"]: set() if entry["error_code"] else set(entry["authorized_operations"] or ()) for entry in found
    }


@pytest.mark.parametrize("role", USERS)
def test_a_role_may_do_what_its_table_says_and_nothing_else(squalls: Installation, role: AclRole) -> None:
    expected: dict[str, set[str]] = {name: set() for name in topics(squalls.settings())}
    for grant in squalls.needs(role):
        if grant.kind == "topic":
            expected[grant.name] |= IMPLIED.get(grant.operation, {grant.operation})
    assert allowed_on_topics(squalls.settings(USERS[role])) == expected


@pytest.mark.parametrize(
    ("role", "operation", "topic"),
    [
        (AclRole.PUBLISHER, "READ", "alerts"),
        (AclRole.PUBLISHER, "READ", "messages"),
        (AclRole.PUBLISHER, "WRITE", "control"),
        (AclRole.SCORER, "WRITE", "alerts"),
        (AclRole.SCORER, "WRITE", "messages"),
        (AclRole.SCORER, "WRITE", "control"),
        (AclRole.MONITOR, "WRITE", "mentions"),
        (AclRole.MONITOR, "WRITE", "labels"),
        (AclRole.MONITOR, "READ", "messages"),
        (AclRole.REPLAY, "WRITE", "mentions"),
        (AclRole.REPLAY, "WRITE", "alerts"),
        (AclRole.OPERATOR, "WRITE", "alerts"),
        (AclRole.VERDICTS, "READ", "labels"),
        (AclRole.ADMIN, "READ", "messages"),
        (AclRole.ADMIN, "WRITE", "control"),
        (AclRole.LAG, "READ", "mentions"),
    ],
)
def test_what_is_others_is_refused(squalls: Installation, role: AclRole, operation: Any, topic: str) -> None:
    settings = squalls.settings(USERS[role])
    name = getattr(settings.topics, topic)
    assert not is_allowed(settings, Grant("topic", name, operation, ""))


@pytest.mark.parametrize("role", [AclRole.REPLAY, AclRole.PUBLISHER, AclRole.OPERATOR, AclRole.LAG, AclRole.VERDICTS])
@pytest.mark.parametrize("of", ["scorer", "monitor", "deliver-webhook"])
def test_only_workers_move_their_groups_offsets(squalls: Installation, role: AclRole, of: str) -> None:
    settings = squalls.settings(USERS[role])
    assert not is_allowed(settings, Grant("group", group(settings, of), "READ", ""))


def test_the_scorer_and_the_monitor_leave_each_others_groups_alone(squalls: Installation) -> None:
    for user, other in (("scorer", "monitor"), ("monitor", "scorer")):
        settings = squalls.settings(user)
        assert not is_allowed(settings, Grant("group", group(settings, other), "READ", ""))


def test_a_missing_right_is_told_with_the_topic(squalls: Installation) -> None:
    with pytest.raises(TopicError, match=rf"topic {squalls.prefix}\.\S+: this user may not look at it"):
        require_topics(squalls.settings("publisher"))


def test_who_may_not_grant_is_told_who_may(squalls: Installation) -> None:
    done = squalls.squall("scorer", "topics", "acls", "--role", "admin", "--principal", "User:scorer", "--apply")
    assert done.returncode == 2
    assert "To grant rights one needs ALTER on the cluster" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("principal", ["scorer", "User:*", "User:", "User: a", "User:a\nb", "Group:x"])
def test_what_is_no_principal_is_refused(squalls: Installation, principal: str) -> None:
    from streams.acls import commands

    with pytest.raises(ConfigError, match="is no principal"):
        commands(AclRole.SCORER, squalls.settings(), principal)


def test_the_commands_grant_each_right_once(squalls: Installation) -> None:
    from streams.acls import commands

    settings = squalls.settings()
    for role in AclRole:
        lines = commands(role, settings, "User:CN=a name")
        assert sum(line.count("--operation") for line in lines) == len(grants(role, settings))
        assert all("--allow-principal 'User:CN=a name'" in line for line in lines)
