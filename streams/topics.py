"""The topics of the design: what they are, made where they are missing, compared where they exist.

Nothing that exists is altered: a drift is reported, with the words that mend it, and a person decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.errors import (
    ClusterAuthorizationFailedError,
    KafkaError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    for_code,
)
from kafka.net.compat import KafkaNetClient

from streams.config import KafkaSettings, Settings
from streams.errors import BrokerError, TopicError
from streams.login import require_login

DAY_MS = 86_400_000
MESSAGES_KEPT_MS = 7 * DAY_MS
HISTORY_KEPT_MS = 400 * DAY_MS
"""More than a year, so that a replay can look at the same season of the year before."""
TAKEN_BACK_KEPT_MS = 90 * DAY_MS
"""A verdict that was taken back is a record without a value, which `squall labels import` must read before compaction
deletes it: Kafka's own day would be over before a weekly import."""
MESSAGE_BATCH_BYTES = 2 * 1024 * 1024
"""Above the largest `ingest.max_bytes`, so that a message too large for Squall arrives and is accounted for."""
DEAD_LETTER_BATCH_BYTES = 2 * MESSAGE_BATCH_BYTES
"""A dead letter carries the largest message whole, and headers."""
CONNECT_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Topic:
    """A topic as the design wants it."""

    name: str
    purpose: str
    partitions: int
    replication_factor: int
    configs: Mapping[str, str] = field(default_factory=dict)
    """Kafka's own keys; what is not named is left to the cluster."""
    partitions_setting: str | None = None
    """The setting that `partitions` comes from; None where the design fixes it."""
    may_grow: bool = False
    """More partitions can be added to the topic while it holds records."""


@dataclass(frozen=True)
class Drift:
    """One respect in which the cluster differs from the design."""

    topic: str
    what: str
    """`topic` (it is missing), `partitions`, `replication factor`, or a configuration key."""
    expected: str
    found: str
    mend: str
    """What a person can do about it."""


@dataclass(frozen=True)
class TopicReport:
    """What `create_topics` did."""

    created: tuple[str, ...]
    existing: tuple[str, ...]
    drifts: tuple[Drift, ...]
    """Of those that existed before."""


def design(settings: Settings) -> tuple[Topic, ...]:
    """Return the topics of the design for these settings.

    Messages, mentions, alerts and dead letters carry the time of their arrival at Kafka (`LogAppendTime`): it is the
    `received_at` of a message, and history that is published today with dates of ten years ago is not deleted as old.
    """
    topics = settings.topics
    copies = topics.replication_factor
    # All batches stay compressed as they were sent, and an acknowledged record is on all copies but one.
    common = {"compression.type": "producer", "min.insync.replicas": str(max(1, copies - 1))}
    arrival = {"message.timestamp.type": "LogAppendTime"}
    history = common | arrival | {"cleanup.policy": "delete", "retention.ms": str(HISTORY_KEPT_MS)}
    kept = common | {"cleanup.policy": "compact"}
    messages = history | {"retention.ms": str(MESSAGES_KEPT_MS), "max.message.bytes": str(MESSAGE_BATCH_BYTES)}
    dead = history | {"max.message.bytes": str(DEAD_LETTER_BATCH_BYTES)}
    many, keyed = topics.message_partitions, topics.mention_partitions
    of_messages, of_mentions = "topics.message_partitions", "topics.mention_partitions"
    return (
        Topic(topics.messages, "messages as sent", many, copies, messages, of_messages, may_grow=True),
        Topic(topics.mentions, "scored mentions", keyed, copies, history, of_mentions),
        Topic(topics.alerts, "alerts", keyed, copies, history, of_mentions),
        Topic(topics.labels, "verdicts", 1, copies, kept | {"delete.retention.ms": str(TAKEN_BACK_KEPT_MS)}),
        Topic(topics.dead_letters, "refused records", many, copies, dead, of_messages, may_grow=True),
        Topic(topics.control, "models, rules, silences", 1, copies, kept),
    )


@contextmanager
def admin_client(kafka: KafkaSettings, timeout_s: float = CONNECT_TIMEOUT_S) -> Iterator[KafkaAdminClient]:
    """Connect to the cluster for administration.

    Raises:
        BrokerError: no broker can be reached, or it ends the connection (wrong protocol, password or certificate).
            It names the servers. Kafka's errors inside the block come out as BrokerError too.
        ConfigError: a certificate or key cannot be loaded.
    """
    servers = ", ".join(kafka.bootstrap_servers)
    require_login(kafka, timeout_s=min(timeout_s, 5.0))
    made: list[KafkaNetClient] = []

    def remember(**options: Any) -> KafkaNetClient:
        made.append(KafkaNetClient(**options))
        return made[-1]

    try:
        admin = KafkaAdminClient(
            **kafka.client_options(),
            client_id="squall-admin",
            bootstrap_timeout_ms=int(timeout_s * 1000),
            request_timeout_ms=30_000,
            kafka_client=remember,
        )
    except (KafkaError, OSError, ValueError) as error:
        # kafka-python 3.0.12 leaves its thread and sockets open when the first connection fails.
        for client in made:
            client.close()
        msg = (
            f"cannot speak to Kafka at {servers} as {kafka.security_protocol}: {_words(error)}. "
            f"Check kafka.security_protocol, the password and the certificates"
        )
        raise BrokerError(msg) from error
    try:
        yield admin
    except KafkaError as error:
        msg = f"Kafka at {servers}: {_words(error)}"
        raise BrokerError(msg) from error
    finally:
        # close() of kafka-python 3.0.12 stops the thread but leaves the loop's own pair of sockets to the collector.
        admin.close()
        made[0].close()


def create_topics(settings: Settings, wanted: Sequence[Topic] | None = None) -> TopicReport:
    """Make the topics that are missing, wait until they can be used, and compare the others with the design.

    Args:
        settings: how to reach the cluster, and the names and sizes of the topics.
        wanted: other topics than those of the design.

    Raises:
        BrokerError: the cluster cannot be reached.
        TopicError: the cluster refuses to make a topic (rights, replication factor); it says which and why.
    """
    wanted = tuple(wanted or design(settings))
    with admin_client(settings.kafka) as admin:
        there = _describe(admin, wanted)
        missing = [topic for topic in wanted if topic.name not in there]
        created = [topic for topic in missing if _create(admin, topic)]
        if created:
            admin.wait_for_topics([topic.name for topic in created], timeout_ms=30_000)
        existing = [topic for topic in wanted if topic not in created]
        drifts = _compare(admin, existing)
    return TopicReport(tuple(t.name for t in created), tuple(t.name for t in existing), tuple(drifts))


def check_topics(settings: Settings, wanted: Sequence[Topic] | None = None) -> list[Drift]:
    """Compare the cluster's topics with the design; an empty list means that all is as it should be.

    Args:
        settings: how to reach the cluster, and the names and sizes of the topics.
        wanted: other topics than those of the design.

    Raises:
        BrokerError: the cluster cannot be reached.
    """
    with admin_client(settings.kafka) as admin:
        return _compare(admin, tuple(wanted or design(settings)))


def require_topics(settings: Settings) -> None:
    """Refuse to go on without the topics; for a worker's start.

    Raises:
        BrokerError: the cluster cannot be reached.
        TopicError: a topic is missing, or messages or mentions have another number of partitions than the settings
            say: then no bin would close where nobody tells how far the feed has come. Other drifts do not keep a
            worker from its work.
    """
    with admin_client(settings.kafka) as admin:
        there = _describe(admin, design(settings))
    missing = [topic.name for topic in design(settings) if topic.name not in there]
    if missing:
        msg = f"missing topics: {', '.join(missing)}. Make them with: squall topics create"
        raise TopicError(msg)
    for topic in design(settings):
        partitions = len(there[topic.name]["partitions"])
        if topic.name in (settings.topics.messages, settings.topics.mentions) and partitions != topic.partitions:
            mend = _mend_partitions(topic, partitions)
            msg = f"{topic.name} has {partitions} partitions, the settings say {topic.partitions}: {mend}"
            raise TopicError(msg)


def _describe(admin: KafkaAdminClient, topics: tuple[Topic, ...] | list[Topic]) -> dict[str, dict[str, Any]]:
    """Return the cluster's metadata of those topics that exist, by name."""
    found: dict[str, dict[str, Any]] = {}
    for entry in admin.describe_topics([topic.name for topic in topics]):
        error = for_code(entry["error_code"])
        if error is UnknownTopicOrPartitionError:
            continue
        if error is TopicAuthorizationFailedError:
            msg = f"topic {entry['name']}: this user may not look at it; squall topics acls says what each role needs"
            raise TopicError(msg)
        found[entry["name"]] = entry
    return found


def _create(admin: KafkaAdminClient, topic: Topic) -> bool:
    """Make one topic; False if somebody else was first."""
    wanted = {
        "num_partitions": topic.partitions,
        "replication_factor": topic.replication_factor,
        "configs": dict(topic.configs),
    }
    answer = admin.create_topics({topic.name: wanted}, raise_errors=False)["topics"][0]
    error = for_code(answer["error_code"])
    if error is TopicAlreadyExistsError:
        return False
    if error in (TopicAuthorizationFailedError, ClusterAuthorizationFailedError):
        msg = f"topic {topic.name}: this user may not make it; grant CREATE on it, or let an administrator make it"
        raise TopicError(msg)
    if answer["error_code"]:
        msg = f"topic {topic.name} cannot be made: {answer.get('error_message') or error.__name__}"
        raise TopicError(msg)
    return True


def _compare(admin: KafkaAdminClient, topics: tuple[Topic, ...] | list[Topic]) -> list[Drift]:
    if not topics:
        return []
    there = _describe(admin, topics)
    present = [topic for topic in topics if topic.name in there]
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic.name, list(topic.configs)) for topic in present]
    configs = admin.describe_configs(resources, config_filter="all").get("topic", {}) if resources else {}
    drifts: list[Drift] = []
    for topic in topics:
        if topic.name not in there:
            drifts.append(Drift(topic.name, "topic", "present", "missing", "squall topics create"))
            continue
        partitions = there[topic.name]["partitions"]
        if not configs.get(topic.name):
            msg = f"topic {topic.name}: this user may not look at its configuration; grant DESCRIBE_CONFIGS"
            raise TopicError(msg)
        found = {key: str(entry["value"]) for key, entry in configs[topic.name].items()}
        drifts += differences(topic, len(partitions), min(len(p["replica_nodes"]) for p in partitions), found)
    return drifts


def differences(topic: Topic, partitions: int, replication_factor: int, configs: Mapping[str, str]) -> Iterator[Drift]:
    """Compare a topic of the design with what a cluster has. Pure.

    Args:
        topic: as it should be.
        partitions: as found.
        replication_factor: the least of its partitions, as found.
        configs: as found, by Kafka's key; a key that is not there counts as unknown to the cluster.
    """
    if partitions != topic.partitions:
        mend = _mend_partitions(topic, partitions)
        yield Drift(topic.name, "partitions", str(topic.partitions), str(partitions), mend)
    if replication_factor != topic.replication_factor:
        mend = f"kafka-reassign-partitions, or set topics.replication_factor to {replication_factor}"
        expected, found = str(topic.replication_factor), str(replication_factor)
        yield Drift(topic.name, "replication factor", expected, found, mend)
    for key, expected in topic.configs.items():
        found = configs.get(key, "unknown to this cluster")
        if found != expected:
            mend = f"kafka-configs --alter --topic {topic.name} --add-config {key}={expected}"
            yield Drift(topic.name, key, expected, found, mend)


def _mend_partitions(topic: Topic, found: int) -> str:
    if topic.partitions_setting is None:
        return f"make {topic.name} anew: it must have one partition, and Kafka cannot take partitions away"
    if topic.may_grow and found < topic.partitions:
        return (
            f"stop the workers, then: kafka-topics --alter --topic {topic.name} --partitions {topic.partitions} "
            f"(or set {topic.partitions_setting} to {found})"
        )
    why = "Kafka cannot take partitions away" if topic.may_grow else "an entity's state stays on its partition"
    return f"set {topic.partitions_setting} to {found}: {why}"


def _words(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text and not text.startswith(type(error).__name__) else text
