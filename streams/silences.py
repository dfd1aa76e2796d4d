"""Silences: read from the control topic, made, and ended before their time.

A silence is a record on the compacted `squall.control` under a key of its own. Monitors apply it by event time, so one
that is over is still needed for messages that are read late, and by a replay for as long as there are mentions and
alerts of its time; after that it is taken from the topic.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec
from kafka.errors import KafkaError

from streams.config import Settings
from streams.control import tell_workers
from streams.errors import BrokerError, InputError, RecordError
from streams.ingest.producer import DELIVERY_TIMEOUT_S, kafka_producer
from streams.matchers import parse_matcher
from streams.monitor.keeping import Keeper
from streams.records import Silence, SilenceMatcher, control_key, decode_control
from streams.topics import HISTORY_KEPT_MS

KEPT = timedelta(days=30)
"""How long monitors know a silence after its end: messages may be read late."""
TAKEN_AWAY_AFTER = timedelta(milliseconds=HISTORY_KEPT_MS) + KEPT
"""How long after its end it is taken from the topic: no mention or alert is left by then that was of its time."""
LONGEST = timedelta(days=366)
Standing = Literal["active", "pending", "expired"]


def standing(silence: Silence, now: datetime) -> Standing:
    """Return how a silence stands, in Alertmanager's words."""
    if now >= silence.ends_at or silence.ends_at <= silence.starts_at:
        return "expired"
    return "active" if now >= silence.starts_at else "pending"


def new_silence(
    matchers: Sequence[str], *, starts_at: datetime, ends_at: datetime, by: str, comment: str, now: datetime
) -> Silence:
    """Make a silence; none begins before now, as what was told stays told: a replay would find it silenced.

    Args:
        matchers: as a person writes them: `entity="ACME"`.
        starts_at: when it is to begin, UTC.
        ends_at: when it ends, UTC.
        by: who asks for it.
        comment: why.
        now: the present time, UTC.

    Raises:
        InputError: a matcher is none, all of them fit what has no labels at all, or it ends before it begins.
    """
    starts_at = max(starts_at, now)
    try:
        parsed = [parse_matcher(text) for text in matchers]
    except ValueError as error:
        raise InputError(str(error)) from None
    if all(matcher.matches({}) for matcher in parsed):
        msg = "a silence needs a matcher that does not fit an empty label, or it would silence everything"
        raise InputError(msg)
    if ends_at <= starts_at:
        msg = f"it would end at {ends_at:%Y-%m-%d %H:%M} UTC, and begin at {starts_at:%Y-%m-%d %H:%M} UTC only"
        raise InputError(msg)
    if ends_at - starts_at > LONGEST:
        msg = "a silence may last a year at most: what is to be quiet for good is a matter of the rules"
        raise InputError(msg)
    return Silence(
        id=secrets.token_hex(4),
        matchers=tuple(SilenceMatcher(name=one.label, op=one.operator, value=one.value) for one in parsed),
        starts_at=starts_at,
        ends_at=ends_at,
        by=by,
        comment=comment,
    )


def expired(silence: Silence, now: datetime) -> Silence:
    """Return a silence that ends now; one that had not begun never does."""
    return msgspec.structs.replace(silence, ends_at=min(silence.ends_at, now))


def read_silences(settings: Settings) -> list[Silence]:
    """Return the silences on the control topic, the earliest first; what is no record of it is passed over.

    Raises:
        BrokerError: Kafka cannot be reached, or stops answering.
        TopicError: a topic is missing.
    """
    from streams.replay.log import read_topic

    found: dict[bytes, Silence] = {}
    for record in read_topic(settings, settings.topics.control):
        if record.value is None:
            found.pop(record.key or b"", None)
            continue
        try:
            decoded = decode_control(record.value)
        except RecordError:
            continue  # the workers tell of it
        if isinstance(decoded, Silence):
            found[control_key(decoded)] = decoded
    return sorted(found.values(), key=lambda one: (one.starts_at, one.id))


def applicable(silences: Iterable[Silence]) -> list[Silence]:
    """Return those that a monitor can apply; of one that cannot be applied every worker says so."""
    found = []
    for silence in silences:
        try:
            Keeper((silence,))
        except (ValueError, ArithmeticError, TypeError, RecursionError):  # as in a worker
            continue
        found.append(silence)
    return found


def tell_silence(settings: Settings, silence: Silence, known: Iterable[Silence]) -> None:
    """Write a silence to the control topic, and take from it those that are long over.

    Args:
        settings: the configuration.
        silence: the silence.
        known: those that are on the topic.

    Raises:
        BrokerError: Kafka cannot be reached, or did not take the record.
        TopicError: a topic is missing.
    """
    tell_workers(settings, silence)
    before = datetime.now(UTC) - TAKEN_AWAY_AFTER
    over = [one for one in known if one.ends_at < before and one.id != silence.id]
    if not over:
        return
    producer = kafka_producer({**settings.kafka.client_options(), "client_id": "squall-control"})
    try:
        for one in over:
            producer.send(settings.topics.control, None, control_key(one)).get(timeout=DELIVERY_TIMEOUT_S)
    except KafkaError as error:
        msg = f"the silence is in force, but those that are long over could not be taken away: {error}"
        raise BrokerError(msg) from error
    finally:
        producer.close()
