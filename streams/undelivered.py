"""Alerts that a receiver did not take, as the dead letters keep them, and what of them is worth sending again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from streams.config import Settings
from streams.dead_letters import OnBad, Query, read_letters
from streams.errors import BrokerError, RecordError
from streams.records import Alert, decode_alert

REASON = "undelivered"
_POLL_MS = 1_000

Transition = tuple[str, int]
"""Id of an alert, and the number of a transition."""


@dataclass(frozen=True, slots=True)
class Undelivered:
    """One transition that a receiver did not take."""

    receiver: str
    why: str
    at: datetime
    """When it was given up, UTC."""
    alert: Alert
    partition: int
    """Of the alerts topic; so is `offset`."""
    offset: int

    @property
    def transition(self) -> Transition:
        """What a receiver de-duplicates by."""
        return self.alert.id, self.alert.transition


@dataclass(frozen=True, slots=True)
class AgainPlan:
    """What sending again would send."""

    send: tuple[Undelivered, ...]
    """In the order in which it happened; of each alert the newest transition alone."""
    superseded: tuple[Undelivered, ...]
    """Left out, as the alert went on since: one that is over would fire again."""


def read_undelivered(
    settings: Settings,
    *,
    receiver: str | None = None,
    since: datetime | None = None,
    on_bad: OnBad | None = None,
) -> Iterator[Undelivered]:
    """Yield what receivers did not take.

    Args:
        settings: the configuration.
        receiver: of this one only.
        since: given up at this time or later, with an offset.
        on_bad: told of each record that is none.

    Raises:
        BrokerError: Kafka cannot be reached, or stops answering.
        TopicError: a topic is missing.
    """
    for kept in read_letters(settings, Query(frozenset({REASON}), since=since), on_bad=on_bad):
        letter = kept.letter
        if letter.receiver is None or (receiver is not None and letter.receiver != receiver):
            continue
        try:
            alert = decode_alert(letter.value or b"")
        except RecordError as error:
            if on_bad is not None:
                on_bad(f"dead letter {kept.place} is no alert: {error.detail}")
            continue
        yield Undelivered(letter.receiver, letter.detail, kept.at, alert, letter.partition, letter.offset)


def plan_again(found: Iterable[Undelivered], newest: Mapping[str, int]) -> AgainPlan:
    """Decide what is worth sending to one receiver again: of each alert the newest transition, if it knows none newer.

    Pure. An older one would fire what is over, or tell what the newest one says as well.

    Args:
        found: what it did not take.
        newest: number of the newest transition that the receiver is called for, by alert.
    """
    once = {one.transition: one for one in found}
    known = dict(newest)
    for id_, transition in once:
        known[id_] = max(known.get(id_, -1), transition)
    ordered = sorted(once.values(), key=lambda one: (one.alert.at, one.transition))
    send = tuple(one for one in ordered if one.alert.transition == known[one.alert.id])
    return AgainPlan(send, tuple(one for one in ordered if one.alert.transition != known[one.alert.id]))


def newest_transitions(
    settings: Settings, found: Iterable[Undelivered], wanted: Callable[[Alert], bool]
) -> dict[str, int]:
    """Return how far alerts have gone by now: the number of the newest transition of each.

    Args:
        settings: the configuration.
        found: which alerts.
        wanted: whether somebody is called for a transition.

    Raises:
        BrokerError: Kafka cannot be reached.
    """
    firsts: dict[TopicPartition, int] = {}
    newest: dict[str, int] = {}
    for one in found:
        place = TopicPartition(settings.topics.alerts, one.partition)
        firsts[place] = min(firsts.get(place, one.offset), one.offset)
        newest[one.alert.id] = max(newest.get(one.alert.id, -1), one.alert.transition)
    if not firsts:
        return {}
    try:
        for alert in _alerts(settings, firsts):
            if alert.id in newest and wanted(alert):
                newest[alert.id] = max(newest[alert.id], alert.transition)
    except KafkaError as error:
        servers = ", ".join(settings.kafka.bootstrap_servers)
        raise BrokerError(f"Kafka at {servers}: {settings.topics.alerts} cannot be read: {error}") from error
    return newest


def _alerts(settings: Settings, firsts: Mapping[TopicPartition, int]) -> Iterator[Alert]:
    """Yield the alerts from these offsets on, up to the ends that there are now."""
    consumer: Any = KafkaConsumer(
        **settings.kafka.client_options(),
        client_id="squall-notify",
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    try:
        ends = consumer.end_offsets(list(firsts))
        for partition, first in firsts.items():
            consumer.assign([partition])
            consumer.seek(partition, first)
            while consumer.position(partition) < ends[partition]:
                for record in consumer.poll(timeout_ms=_POLL_MS).get(partition, []):
                    try:
                        yield decode_alert(record.value)
                    except RecordError:
                        continue
    finally:
        consumer.close(autocommit=False)
