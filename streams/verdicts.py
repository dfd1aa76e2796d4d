"""What a desk may say, checked, and on its way to `squall.labels`: for POST /verdicts and for `squall verdict`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal, NamedTuple

import msgspec
from kafka.errors import KafkaError

from streams.acls import AclRole
from streams.config import Settings
from streams.errors import BrokerError, InputError
from streams.ingest.producer import DELIVERY_TIMEOUT_S, kafka_producer
from streams.records import Verdict, VerdictKind, encode
from streams.rights import require_rights

MOST_VERDICTS = 1_000
OF_ALERTS: frozenset[VerdictKind] = frozenset({"true_alarm", "false_alarm"})
"""These judge an alert, all others a message."""
_MOST_TOLD_CHARS = 300

_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
_Note = Annotated[str, msgspec.Meta(max_length=2_000)]


class Given(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A verdict as a desk sends it. Who gave it and when is not the sender's to say."""

    verdict: VerdictKind
    alert_id: _Id | None = None
    message_id: _Id | None = None
    entity: _Name | None = None
    note: _Note | None = None


_decoder: msgspec.json.Decoder[Given | list[Given]] = msgspec.json.Decoder(Given | list[Given])


def parse(data: bytes) -> list[Given]:
    """Read one verdict or a list of them, JSON. Pure.

    Raises:
        InputError: what is wrong and where, such as `$[3].verdict`.
    """
    try:
        found = _decoder.decode(data)
    except RecursionError:
        raise InputError("the JSON is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(_readable(str(error))) from None
    given = found if isinstance(found, list) else [found]
    if not given:
        raise InputError("the list is empty: send one verdict at least")
    if len(given) > MOST_VERDICTS:
        raise InputError(f"{len(given):,} verdicts at once; {MOST_VERDICTS:,} are the most")
    for number, one in enumerate(given):
        where = f" - at `$[{number}]`" if isinstance(found, list) else ""
        check(one, where)
    return given


def from_values(values: Mapping[str, str | None]) -> Given:
    """Return one verdict of plain values, with the same checks. Raises InputError."""
    (given,) = parse(msgspec.json.encode(values))
    return given


def check(given: Given, where: str = "") -> None:
    """Raise InputError unless a verdict names what it judges, in characters that a log line can hold."""
    needed = "alert_id" if given.verdict in OF_ALERTS else "message_id"
    if getattr(given, needed) is None:
        raise InputError(f"{given.verdict} judges {'an alert' if given.verdict in OF_ALERTS else 'a message'}: "
                         f"{needed} is missing{where}")  # fmt: skip
    for name in ("alert_id", "message_id", "entity"):
        text = getattr(given, name)
        if text is not None and not text.isprintable():
            raise InputError(f"{name} holds characters that cannot be printed{where}")


def check_name(by: str) -> None:
    """Raise InputError unless a name says who judged, without being an e-mail address: labels are kept for ever."""
    if not by.strip() or len(by) > 100 or not by.isprintable():
        raise InputError("who judged is a name of 1 to 100 printable characters")
    if "@" in by:
        raise InputError("who judged is a name or an account, no e-mail address: labels are kept for ever")


def record_of(given: Given, *, by: str, at: datetime) -> Verdict:
    """Return the record of a verdict. Pure.

    Args:
        given: what is said.
        by: who says it.
        at: when it became known, UTC.
    """
    return Verdict(
        message_id=given.message_id,
        alert_id=given.alert_id,
        verdict=given.verdict,
        by=by,
        learned_at=at,
        entity=given.entity,
        note=given.note,
    )


def key_of(verdict: Verdict) -> bytes:
    """Return the key on `squall.labels`: what is judged, for which company, and by whom. Pure.

    It is a JSON array of the kind of thing, its id, the company or null, and who judged, such as
    `["message","wire:7",null,"anna"]`: ids and names may hold any sign, and no two readings share a key.

    The topic is compacted: under the message alone the second person's word would be the end of the first one's, and
    nobody would learn that they disagree; and one message may be judged for each of the companies that it names.
    """
    of_alert = verdict.verdict in OF_ALERTS
    whole = verdict.alert_id if of_alert else verdict.message_id
    return msgspec.json.encode(["alert" if of_alert else "message", whole, verdict.entity, verdict.by])


class Subject(NamedTuple):
    """What a key on `squall.labels` stands for: whose word on what."""

    kind: Literal["message", "alert"]
    id: str
    entity: str | None
    by: str


_subject_decoder: msgspec.json.Decoder[Subject] = msgspec.json.Decoder(Subject)


def subject_of(key: bytes) -> Subject | None:
    """Return what a key of `key_of` stands for; None for any other bytes. Pure."""
    try:
        return _subject_decoder.decode(key)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def send(settings: Settings, verdicts: Sequence[Verdict]) -> None:
    """Write verdicts to `squall.labels`, and return when all replicas have them.

    Raises:
        BrokerError: Kafka cannot be reached, or did not take one; sending all of them again is safe.
        TopicError: this user may not write them.
    """
    _send(settings, [(key_of(verdict), encode(verdict)) for verdict in verdicts])


def take_back(settings: Settings, keys: Sequence[bytes]) -> None:
    """Take words back: write a record without a value under each one's key, which `squall labels import` heeds.

    Raises:
        BrokerError, TopicError: as `send`.
    """
    _send(settings, [(key, None) for key in keys])


def _send(settings: Settings, records: Sequence[tuple[bytes, bytes | None]]) -> None:
    topic = settings.topics.labels
    require_rights(settings, [AclRole.VERDICTS])
    producer = kafka_producer({**settings.kafka.client_options(), "client_id": "squall-verdict"})
    try:
        deliveries = [producer.send(topic, value, key) for key, value in records]
        for delivery in deliveries:
            delivery.get(timeout=DELIVERY_TIMEOUT_S)
    except KafkaError as error:
        msg = (
            f"{topic} did not take the verdict: {type(error).__name__}: {error}. Is the topic there (squall topics "
            f"check), and may this user write to it (squall topics acls --role verdicts)? Then give the command again"
        )
        raise BrokerError(msg) from error
    finally:
        producer.close()


def _readable(text: str) -> str:
    """What a decoder says may quote the sender: on one line, of bounded length."""
    shown = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text[:_MOST_TOLD_CHARS])
    return shown if len(text) <= _MOST_TOLD_CHARS else f"{shown}..."
