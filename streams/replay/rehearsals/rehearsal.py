"""Topics to rehearse on: history is played into topics under a prefix of their own, and the live ones are out of reach.

They are those of the design but for two things. What is played keeps its own times on Kafka (`CreateTime`), and as
such records are as old as the history, they are kept for ever: by time, retention would delete them at once. By the
same two things a topic is known as one that may be played into and removed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from kafka import TopicPartition
from pydantic import ValidationError

from streams.app.layout import state_changelog
from streams.config import Settings, TopicSettings
from streams.errors import InputError, TopicError
from streams.replay.sources.topic_reader import topic_consumer
from streams.topics import Topic, TopicReport, admin_client, check_topics, create_topics, design

OWN_TIMES = {"message.timestamp.type": "CreateTime", "retention.ms": "-1"}
"""What sets the topics of a rehearsal apart from live ones."""

_GONE_WITHIN_S = 30.0
_LOOK_EVERY_S = 0.1


def rehearsal_settings(settings: Settings, prefix: str) -> Settings:
    """Return the settings under which a rehearsal runs: the same, with the names of its topics.

    Raises:
        InputError: the prefix is the live one (to Kafka, `.` and `_` are the same), or no name of topics.
    """
    live = settings.topics.prefix
    if _plain(prefix) == _plain(live):
        raise InputError(
            f"--prefix {prefix}: under {live} stand the live topics (topics.prefix), which are left alone; "
            "choose another, such as replay-x"
        )
    try:
        topics = TopicSettings.model_validate(settings.topics.model_dump() | {"prefix": prefix})
    except ValidationError as error:
        raise InputError(f"--prefix {prefix!r} cannot begin the names of topics: use letters, digits and -") from error
    return settings.model_copy(update={"topics": topics})


def rehearsal_design(target: Settings) -> tuple[Topic, ...]:
    """Return the topics of a rehearsal: with the partitions and copies of the settings.

    Args:
        target: from `rehearsal_settings`.
    """
    return tuple(
        replace(topic, configs={**topic.configs, **OWN_TIMES}) if topic.name in _played(target) else topic
        for topic in design(target)
    )


def make_topics(target: Settings, into: str, *, add: bool = False) -> TopicReport:
    """Make what is missing of a rehearsal's topics.

    Args:
        target: from `rehearsal_settings`.
        into: the topic that is to be played into.
        add: it may hold records already.

    Raises:
        TopicError: a topic of that name was not made for a rehearsal, has another number of partitions than the
            settings say, or holds records. None has been made then.
        BrokerError: the cluster cannot be reached.
    """
    prefix, wanted = target.topics.prefix, rehearsal_design(target)
    drifts = check_topics(target, wanted)
    _refuse_others(target, prefix, [drift.topic for drift in drifts if drift.what in OWN_TIMES])
    for drift in drifts:
        if drift.topic in _played(target) and drift.what == "partitions":
            raise TopicError(
                f"{drift.topic} has {drift.found} partitions, the settings say {drift.expected}: {drift.mend}, or "
                f"begin anew with: squall topics remove --prefix {prefix}"
            )
    missing = {drift.topic for drift in drifts if drift.what == "topic"}
    held = 0 if into in missing else _held(target, into)
    if held and not add:
        raise TopicError(
            f"{into} holds {held:,} records already, and what is older than they are would come too late. Begin anew "
            f"with: squall topics remove --prefix {prefix}; or go on behind them with --force"
        )
    return create_topics(target, wanted)


def rehearsal_topics(settings: Settings, prefix: str) -> tuple[str, ...]:
    """Return the names of a rehearsal's topics that exist, those of its worker included.

    Raises:
        InputError: the prefix is the live one.
        TopicError: topics of these names exist that were not made for a rehearsal.
        BrokerError: the cluster cannot be reached.
    """
    target = rehearsal_settings(settings, prefix)
    names = [*(topic.name for topic in design(target)), state_changelog(target)]
    with admin_client(target.kafka) as admin:
        cluster = set(admin.list_topics())
    there = tuple(name for name in names if name in cluster)
    drifts = check_topics(target, rehearsal_design(target))
    others = [drift.topic for drift in drifts if drift.what in OWN_TIMES]
    if there and not any(name in there for name in _played(target)):
        others = list(there)  # nothing says where they come from
    _refuse_others(target, prefix, others)
    return there


def remove_topics(settings: Settings, names: Sequence[str]) -> None:
    """Remove a rehearsal's topics and wait until they are gone.

    Args:
        settings: how to reach the cluster.
        names: from `rehearsal_topics`.

    Raises:
        BrokerError: the cluster refuses, or cannot be reached.
        TopicError: it has not removed them in time.
    """
    # By the topics that are played into it is known what the others are: they go last.
    last = [name for name in names if name.endswith((".messages", ".mentions"))]
    with admin_client(settings.kafka) as admin:
        for some in ([name for name in names if name not in last], last):
            if some:
                admin.delete_topics(some)
        end_s = time.monotonic() + _GONE_WITHIN_S
        while left := set(names) & set(admin.list_topics()):
            if time.monotonic() > end_s:
                raise TopicError(f"Kafka has not removed {', '.join(sorted(left))} yet; look again in a while")
            time.sleep(_LOOK_EVERY_S)


def _plain(prefix: str) -> str:
    return prefix.strip().replace(".", "_")


def _played(target: Settings) -> tuple[str, str]:
    """The topics that history is played into."""
    return target.topics.messages, target.topics.mentions


def _refuse_others(target: Settings, prefix: str, others: Sequence[str]) -> None:
    names = sorted({name for name in others if name in _played(target)} or set(others))
    if names:
        are = "was" if len(names) == 1 else "were"
        raise TopicError(
            f"{', '.join(names)} {are} not made by squall replay --to-kafka, and may be live: choose another --prefix "
            f"than {prefix}, or remove what is in the way with Kafka's own tools (kafka-topics --delete)"
        )


def _held(target: Settings, topic: str) -> int:
    with topic_consumer(target) as consumer:
        partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
        starts, ends = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
        return sum(ends[partition] - starts[partition] for partition in partitions)
