"""Whether a user may do what a role needs, asked at the start: later a missing right is a worker that stands still."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kafka.admin import KafkaAdminClient
from kafka.errors import GroupAuthorizationFailedError, KafkaError, TopicAuthorizationFailedError, for_code

from streams.acls import AclRole, Grant, grants
from streams.config import Settings
from streams.errors import TopicError
from streams.topics import admin_client

_ANY = "webhook"
"""Of the groups whose names begin alike, one to ask for."""


def require_rights(settings: Settings, roles: Sequence[AclRole]) -> None:
    """Refuse to go on where Kafka says that a right of these roles is missing.

    What it does not say is taken for granted: an old broker, a topic that is still to be made.

    Raises:
        BrokerError: the cluster cannot be reached.
        TopicError: it names every missing right, and the command that grants them.
    """
    needed = {(one.kind, one.name, one.operation): one for role in roles for one in grants(role, settings)}
    with admin_client(settings.kafka) as admin:
        missing = [*_of_topics(admin, needed.values()), *_of_groups(admin, needed.values())]
    if not missing:
        return
    name = settings.kafka.sasl_username
    who = "the user of this certificate" if name is None else f"user {name}"
    listed = "; ".join(f"{one.operation} on {one.kind} {one.name}{'*' if one.prefixed else ''}" for one in missing)
    commands = " and ".join(
        f"squall topics acls --role {role} --principal User:{name or '...'} --apply" for role in dict.fromkeys(roles)
    )
    msg = f"{who} lacks rights on Kafka: {listed}. Somebody with ALTER on the cluster grants them: {commands}"
    raise TopicError(msg)


def _of_topics(admin: KafkaAdminClient, needed: Iterable[Grant]) -> list[Grant]:
    wanted = [one for one in needed if one.kind == "topic"]
    missing = []
    for entry in admin.describe_topics(sorted({one.name for one in wanted})):
        error, allowed = for_code(entry["error_code"]), set(entry["authorized_operations"] or ())
        if error is TopicAuthorizationFailedError:
            allowed = {"nothing"}
        elif entry["error_code"]:
            continue
        missing += [one for one in wanted if one.name == entry["name"] and allowed and one.operation not in allowed]
    return missing


def _of_groups(admin: KafkaAdminClient, needed: Iterable[Grant]) -> list[Grant]:
    missing = []
    for one in needed:
        if one.kind != "group":
            continue
        name = f"{one.name}{_ANY}" if one.prefixed else one.name
        try:
            error = admin.describe_groups([name])[name]["error"] or ""
        except GroupAuthorizationFailedError:
            missing.append(one)
        except KafkaError:
            continue  # no coordinator yet: on a new cluster it is made when it is first asked for
        else:
            missing += [one] if GroupAuthorizationFailedError.__name__ in error else []
    return missing
