"""Warm start: seeds for baselines that would begin from nothing, compared with the live state before they are sent.

The live state is looked up in the changelog of the monitor's table. It is what was saved last, so what is said of it is
a forecast; the monitor itself decides when a seed comes to it, by the same rules (`streams.monitor.seeds`).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

import msgspec
from kafka import TopicPartition
from kafka.errors import KafkaError

from streams.app.layout import split_key, state_changelog
from streams.config import Settings
from streams.errors import BrokerError, InputError
from streams.ingest.publish import Producer, kafka_producer
from streams.monitor import RuleSet
from streams.monitor.bins import from_ms, to_ms
from streams.monitor.partition import entity_of
from streams.monitor.seeds import SeedOutcome, decide, from_seeded, is_dropped, known_until_ms
from streams.monitor.state import EntityState, RuleState, decode_state
from streams.records import Seed, encode
from streams.replay.sources.partitioner import partition_of
from streams.replay.sources.topic_reader import OnProgress, Span, TopicReader, topic_consumer
from streams.topics import require_topics

_DELIVERED_WITHIN_S = 120.0

Status = Literal["alert open", "fresher", "older", "new", "there already"]
"""What a seed meets in the live state: an open alert, a fresher baseline, an older one, none, or itself."""

STATUSES: tuple[Status, ...] = get_args(Status)
"""The worst first."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """One entity's seed, and what it meets.

    Attributes:
        seed: all that was learned.
        status: the worst over its rules.
        live_until: event time up to which the live baselines know the entity; None if they know nothing.
        sending: what is to be sent: the baselines that the monitor would take; None if there are none.
    """

    seed: Seed
    status: Status
    live_until: datetime | None
    sending: Seed | None

    @property
    def is_refused(self) -> bool:
        """Some of it would overwrite what is fresher, or what an open alert rests on."""
        return self.status in ("alert open", "fresher")


def propose(
    seeds: Iterable[Seed], live: Mapping[str, EntityState], rules: RuleSet, *, force: bool = False
) -> list[Proposal]:
    """Say of each seed what it meets in the live state, and what is to be sent. Pure.

    Args:
        seeds: what was learned.
        live: the live state, by entity.
        rules: the rules in force.
        force: overwrite what is fresher; never what an open alert rests on.
    """
    in_force = {rule.alert: rule.version for rule in rules.rules}
    return [_proposal(seed, live.get(seed.entity), in_force, force=force) for seed in seeds]


def _proposal(seed: Seed, state: EntityState | None, in_force: Mapping[str, str], *, force: bool) -> Proposal:
    statuses: dict[str, Status] = {}
    known_ms = 0
    for name, outcome in decide(seed, state, in_force).items():
        memory = None if state is None else state.rules.get(name)
        if memory is not None and memory.life.state == "inactive" and is_dropped(memory, in_force.get(name)):
            memory = None  # of a rule that is not in force any more
        statuses[name] = _status(outcome, memory, seed, name)
        known_ms = max(known_ms, 0 if memory is None else known_until_ms(memory))
    wanted = ("older", "new", "fresher") if force else ("older", "new")
    sent = {name: seed.baselines[name] for name, status in statuses.items() if status in wanted}
    return Proposal(
        seed=seed,
        status=min(statuses.values(), key=STATUSES.index, default="there already"),
        live_until=from_ms(known_ms) if known_ms else None,
        sending=msgspec.structs.replace(seed, baselines=sent, force=force) if sent else None,
    )


def _status(outcome: SeedOutcome, memory: RuleState | None, seed: Seed, name: str) -> Status:
    if outcome == "alert_open":
        return "alert open"
    if memory is None or not known_until_ms(memory):
        return "new"
    learned = from_seeded(seed.baselines[name])
    if memory.seeded_until_ms == to_ms(seed.learned_until) and memory.baseline == learned.baseline:
        return "there already"
    return "fresher" if outcome == "fresher" else "older"


def require_past(seeds: Sequence[Seed], now: datetime) -> None:
    """Refuse a history that reaches beyond now: a baseline would not learn again before then.

    Raises:
        InputError: it does; it says how far.
    """
    latest = max((seed.learned_until for seed in seeds), default=now)
    if latest > now:
        msg = f"the history reaches to {latest:%Y-%m-%dT%H:%M:%SZ}, which is yet to come: leave that out with --to"
        raise InputError(msg)


def read_live(
    settings: Settings, wanted: Container[str], *, on_progress: OnProgress | None = None
) -> dict[str, EntityState]:
    """Read the live state of entities, as the monitor saved it last. Nothing if no monitor ever ran.

    What is saved in another version's shape is left out, as the monitor sets it aside.

    Args:
        settings: the configuration.
        wanted: the entities that matter.
        on_progress: told how far it is.

    Raises:
        BrokerError: Kafka cannot be reached, or stops answering.
        TopicError: a topic of the design is missing.
    """
    require_topics(settings)
    topic = state_changelog(settings)
    partitions = settings.topics.mention_partitions
    latest: dict[str, bytes] = {}
    with topic_consumer(settings) as consumer:
        there = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
        starts, ends = (
            (consumer.beginning_offsets(there), consumer.end_offsets(there)) if there else ({}, {})
        )  # nothing is missing at its beginning: the topic is compacted
        spans = {part.partition: Span(starts[part], ends[part]) for part in there}
        servers = ", ".join(settings.kafka.bootstrap_servers)
        reader = TopicReader(consumer, topic, spans, servers=servers, on_progress=on_progress)
        for number in reader.partitions:
            for record in reader.read(number):
                name = entity_of(split_key(record.key)[1])
                if name is None or name not in wanted or partition_of(name, partitions) != number:
                    continue
                if record.value is None:
                    latest.pop(name, None)
                else:
                    latest[name] = record.value
    decoded = ((name, decode_state(value)) for name, value in latest.items())
    return {name: state for name, state in decoded if state is not None}


def send_seeds(
    settings: Settings,
    seeds: Sequence[Seed],
    *,
    make_producer: Callable[[Mapping[str, object]], Producer] = kafka_producer,
) -> None:
    """Send seeds to their entities' partitions, and return when Kafka has them all.

    Args:
        settings: the configuration.
        seeds: what to send.
        make_producer: connects.

    Raises:
        BrokerError: one was not delivered; sending all of them again is safe.
    """
    topics = settings.topics
    producer = make_producer({**settings.kafka.client_options(), "client_id": "squall-warm"})
    done = 0
    try:
        deliveries = [
            producer.send(
                topics.mentions,
                value=encode(seed),
                key=seed.entity.encode(),
                partition=partition_of(seed.entity, topics.mention_partitions),
            )
            for seed in seeds
        ]
        for delivery in deliveries:
            delivery.get(timeout=_DELIVERED_WITHIN_S)
            done += 1
    except KafkaError as error:
        msg = (
            f"{done:,} of {len(seeds):,} seeds are on {topics.mentions}, then: {type(error).__name__}: {error}. "
            "Give the command again: a seed that is there already does no harm"
        )
        raise BrokerError(msg) from error
    finally:
        producer.close(timeout=10.0)
