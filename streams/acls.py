"""What each role may do on Kafka, as data: the least with which it works.

The table of deploy/docs/SECURITY.md, the commands that `squall topics acls` prints and what it applies are all made of
this. Kafka's READ and WRITE on a topic imply DESCRIBE, so DESCRIBE stands only where it is all there is.

An idempotent producer asks for no right of its own since Kafka 3.0 (KIP-679): WRITE on any topic is enough.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from kafka.admin import ACL, ACLOperation, ACLPermissionType, ACLResourcePatternType, ResourcePattern, ResourceType
from kafka.errors import KafkaError, SecurityDisabledError

from streams.app.layout import group, state_changelog
from streams.config import Settings
from streams.errors import ConfigError, TopicError
from streams.topics import admin_client, design


class AclRole(StrEnum):
    """Who asks Kafka for something."""

    PUBLISHER = "publisher"
    SCORER = "scorer"
    MONITOR = "monitor"
    ALL = "all"
    VERDICTS = "verdicts"
    OPERATOR = "operator"
    REPLAY = "replay"
    WARM = "warm"
    LABELS = "labels"
    LAG = "lag"
    ADMIN = "admin"


PURPOSES: Mapping[AclRole, str] = {
    AclRole.PUBLISHER: "squall publish, and whoever else sends messages",
    AclRole.SCORER: "squall worker --role scorer",
    AclRole.MONITOR: "squall worker --role monitor, which also delivers",
    AclRole.ALL: "squall worker: both of the above",
    AclRole.VERDICTS: "squall verdict, and a worker that takes POST /verdicts beside its own role",
    AclRole.OPERATOR: "squall rules use, models use, silences, retrain, dead-letters and notify",
    AclRole.REPLAY: "squall replay kafka: and what else looks at history; it only reads",
    AclRole.WARM: "squall warm",
    AclRole.LABELS: "squall labels: what was said, of which alerts and texts",
    AclRole.LAG: "KEDA and other watchers of consumer lag",
    AclRole.ADMIN: "squall topics create and check",
}

Operation = Literal["READ", "WRITE", "CREATE", "DESCRIBE", "DESCRIBE_CONFIGS"]


@dataclass(frozen=True, slots=True)
class Grant:
    """One right: one operation on one resource."""

    kind: Literal["topic", "group"]
    name: str
    operation: Operation
    why: str
    prefixed: bool = False
    """The right holds for all names that begin so."""


def grants(role: AclRole, settings: Settings) -> tuple[Grant, ...]:
    """Return what a role needs, each right once, topics before groups. Pure.

    Args:
        role: the role.
        settings: for the names of topics and groups.
    """
    found = {(one.kind, one.name, one.operation): one for one in _RIGHTS[role](settings)}
    implied = {
        (kind, name, "DESCRIBE") for kind, name, operation in found if operation in ("READ", "WRITE")
    }  # Kafka gives DESCRIBE to whoever may read or write
    kept = [one for key, one in found.items() if key not in implied]
    return tuple(sorted(kept, key=lambda one: (one.kind == "group", one.name, one.operation)))


def commands(role: AclRole, settings: Settings, principal: str) -> list[str]:
    """Return the kafka-acls.sh command lines that grant a role, one per resource.

    Raises:
        ConfigError: the principal is none.
    """
    check_principal(principal)
    servers = ",".join(settings.kafka.bootstrap_servers)
    lines = []
    for (kind, name, prefixed), operations in _by_resource(grants(role, settings)).items():
        words = ["kafka-acls.sh", "--bootstrap-server", servers, "--command-config", "admin.properties", "--add"]
        words += ["--allow-principal", principal]
        words += [word for operation in operations for word in ("--operation", _kafka_word(operation))]
        words += [f"--{kind}", name]
        words += ["--resource-pattern-type", "prefixed"] if prefixed else []
        lines.append(shlex.join(words))
    return lines


def apply(role: AclRole, settings: Settings, principal: str) -> int:
    """Grant a role to a principal, and return how many rights that are. Granting what is granted changes nothing.

    Raises:
        ConfigError: the principal is none.
        BrokerError: the cluster cannot be reached, or has no authorizer.
        TopicError: a right was not granted, for want of ALTER on the cluster as a rule.
    """
    check_principal(principal)
    wanted = [acl(one, principal) for one in grants(role, settings)]
    with admin_client(settings.kafka) as admin:
        answer = admin.create_acls(wanted)
    failed: list[type[KafkaError]] = answer["failed"]
    if SecurityDisabledError in failed:
        servers = ", ".join(settings.kafka.bootstrap_servers)
        msg = f"Kafka at {servers} has no authorizer (authorizer.class.name): everybody may do everything there already"
        raise TopicError(msg)
    if failed:
        reasons = ", ".join(sorted({error.__name__ for error in failed}))
        msg = (
            f"{len(failed)} of {len(wanted)} rights of {role} were not granted to {principal}: {reasons}. "
            f"To grant rights one needs ALTER on the cluster: give the command as Kafka's own administrator"
        )
        raise TopicError(msg)
    return len(wanted)


def acl(grant: Grant, principal: str) -> ACL:
    """Return a right in the words of kafka-python."""
    pattern = ACLResourcePatternType.PREFIXED if grant.prefixed else ACLResourcePatternType.LITERAL
    return ACL(
        principal=principal,
        host="*",
        operation=ACLOperation[grant.operation],
        permission_type=ACLPermissionType.ALLOW,
        resource_pattern=ResourcePattern(ResourceType[grant.kind.upper()], grant.name, pattern),
    )


def check_principal(principal: str) -> None:
    """Raise ConfigError unless a principal reads like Kafka's: `User:name`, or a certificate's `User:CN=...`."""
    name = principal.removeprefix("User:")
    if name == principal or not name.isprintable() or name.strip() != name or name in ("", "*"):
        msg = f"{principal!r} is no principal: write User:NAME, or User:CN=... of a certificate; not everybody (*)"
        raise ConfigError(msg)


def _by_resource(rights: Iterable[Grant]) -> dict[tuple[str, str, bool], list[str]]:
    found: dict[tuple[str, str, bool], list[str]] = {}
    for one in rights:
        found.setdefault((one.kind, one.name, one.prefixed), []).append(one.operation)
    return found


def _kafka_word(operation: str) -> str:
    """`DESCRIBE_CONFIGS` as kafka-acls.sh spells it: `DescribeConfigs`."""
    return "".join(part.capitalize() for part in operation.split("_"))


_LOOKED_AT = "the start looks whether the topics are there"


def _all_described(settings: Settings) -> list[Grant]:
    return [Grant("topic", topic.name, "DESCRIBE", _LOOKED_AT) for topic in design(settings)]


def _publisher(settings: Settings) -> list[Grant]:
    return [Grant("topic", settings.topics.messages, "WRITE", "sends messages")]


def _worker(settings: Settings) -> list[Grant]:
    topics = settings.topics
    return [
        *_all_described(settings),
        Grant("topic", topics.control, "READ", "which model and rules are in force"),
        Grant("topic", topics.dead_letters, "WRITE", "sets aside what is refused"),
    ]


def _scorer(settings: Settings) -> list[Grant]:
    topics = settings.topics
    return [
        *_worker(settings),
        Grant("topic", topics.messages, "READ", "reads messages"),
        Grant("topic", topics.mentions, "WRITE", "writes mentions"),
        Grant("topic", topics.labels, "READ", "holds the model's answers against the desk's verdicts"),
        Grant("group", group(settings, "scorer"), "READ", "shares the partitions, commits offsets"),
    ]


def _monitor(settings: Settings) -> list[Grant]:
    topics, changelog = settings.topics, state_changelog(settings)
    return [
        *_worker(settings),
        Grant("topic", topics.mentions, "READ", "reads mentions"),
        Grant("topic", topics.alerts, "WRITE", "writes alerts"),
        Grant("topic", topics.alerts, "READ", "delivers alerts"),
        Grant("topic", changelog, "CREATE", "makes its changelog at the first start"),
        Grant("topic", changelog, "WRITE", "saves its state"),
        Grant("topic", changelog, "READ", "recovers its state"),
        Grant("group", group(settings, "monitor"), "READ", "shares the partitions, commits offsets"),
        Grant("group", group(settings, "deliver-"), "READ", "a group per receiver of alerts", prefixed=True),
    ]


def _verdicts(settings: Settings) -> list[Grant]:
    return [Grant("topic", settings.topics.labels, "WRITE", "writes verdicts")]


def _operator(settings: Settings) -> list[Grant]:
    topics = settings.topics
    return [
        *_all_described(settings),
        Grant("topic", topics.control, "WRITE", "tells the workers which model or rules to use, and what is silenced"),
        Grant("topic", topics.control, "READ", "lists what is silenced"),
        Grant("topic", topics.dead_letters, "READ", "looks at what was refused"),
        Grant("topic", topics.messages, "WRITE", "sends it again"),
        Grant("topic", topics.alerts, "READ", "sends again what a receiver did not take"),
    ]


def _replay(settings: Settings) -> list[Grant]:
    topics = settings.topics
    return [
        *_all_described(settings),
        Grant("topic", topics.messages, "READ", "replays messages"),
        Grant("topic", topics.mentions, "READ", "replays mentions"),
        Grant("topic", topics.alerts, "READ", "holds what was raised against the log (--check)"),
        Grant("topic", topics.control, "READ", "knows what was silenced"),
    ]


def _warm(settings: Settings) -> list[Grant]:
    topics, changelog = settings.topics, state_changelog(settings)
    return [
        *_all_described(settings),
        Grant("topic", topics.mentions, "WRITE", "sends baselines"),
        Grant("topic", changelog, "READ", "sees what the live monitor has learned"),
    ]


def _labels(settings: Settings) -> list[Grant]:
    topics = settings.topics
    return [
        Grant("topic", topics.labels, "READ", "collects verdicts"),
        Grant("topic", topics.alerts, "READ", "finds the messages behind an alert"),
        Grant("topic", topics.mentions, "READ", "finds their texts"),
    ]


def _lag(settings: Settings) -> list[Grant]:
    topics = settings.topics
    return [
        Grant("topic", topics.messages, "DESCRIBE", "end offsets"),
        Grant("topic", topics.mentions, "DESCRIBE", "end offsets"),
        Grant("group", group(settings, "scorer"), "DESCRIBE", "committed offsets"),
        Grant("group", group(settings, "monitor"), "DESCRIBE", "committed offsets"),
    ]


def _admin(settings: Settings) -> list[Grant]:
    operations: Sequence[tuple[Operation, str]] = (
        ("CREATE", "makes what is missing"),
        ("DESCRIBE", "looks what is there"),
        ("DESCRIBE_CONFIGS", "holds it against the design"),
    )
    return [Grant("topic", topic.name, operation, why) for topic in design(settings) for operation, why in operations]


_RIGHTS: Mapping[AclRole, Callable[[Settings], list[Grant]]] = {
    AclRole.PUBLISHER: _publisher,
    AclRole.SCORER: _scorer,
    AclRole.MONITOR: _monitor,
    AclRole.ALL: lambda settings: [*_scorer(settings), *_monitor(settings)],
    AclRole.VERDICTS: _verdicts,
    AclRole.OPERATOR: _operator,
    AclRole.REPLAY: _replay,
    AclRole.WARM: _warm,
    AclRole.LABELS: _labels,
    AclRole.LAG: _lag,
    AclRole.ADMIN: _admin,
}
