"""What the desk said on squall.labels, with what it was said of: alerts from squall.alerts, texts from the mentions.

Partitions are assigned, no group is joined and nothing is committed: verdicts are few and the topic is compacted, so
each import reads all of them, and the store knows what it has.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from kafka.errors import TopicAuthorizationFailedError

from retrain.labels.choose import Candidate
from retrain.labels.said import Said
from retrain.labels.taken_back import NOTHING, TakenBack
from streams.config import Settings
from streams.errors import BrokerError, InputError, RecordError, TopicError
from streams.foremost import Foremost
from streams.records import Alert, Mention, Verdict, decode_alert, decode_verdict
from streams.replay.sources.open_source import open_mentions
from streams.replay.sources.source import BadRecord
from streams.replay.sources.topic_reader import TopicReader, partitions_of, topic_consumer, whole
from streams.verdicts import OF_ALERTS
from streams.whole_text import whole_text

MOST_CANDIDATES = 50_000
"""Messages among which the next ones to be labelled are chosen."""

OnBad = Callable[[str], None]
"""Told where a record stands that is none of its kind, and why it is none."""

LIVE = ("kafka:",)
"""The mentions topic, as a source."""


@dataclass(frozen=True, slots=True)
class Heard:
    """The verdicts on squall.labels.

    Attributes:
        said: what they say.
        taken_back: words that were said there and hold no longer.
    """

    said: tuple[Said, ...]
    taken_back: TakenBack = NOTHING


def read_verdicts(settings: Settings, *, on_bad: OnBad) -> Heard:
    """Read all verdicts there are now, and which were taken back.

    Raises:
        BrokerError: Kafka cannot be reached.
        TopicError: the topic is missing.
    """
    by_key: dict[str, list[Said]] = defaultdict(list)
    taken_back: set[str] = set()
    for where, raw_key, value in _records(settings, settings.topics.labels):
        key = None if raw_key is None else raw_key.decode("utf-8", "backslashreplace")
        if value is None:
            if key is not None:
                by_key.pop(key, None)
                taken_back.add(key)
            continue
        try:
            verdict = decode_verdict(value)
        except RecordError as error:
            on_bad(f"{where}: {error.detail}")
            continue
        by_key[key or ""].append(
            Said(
                where=where,
                by=verdict.by,
                learned_at=verdict.learned_at,
                verdict=verdict.verdict,
                message_id=verdict.message_id,
                alert_id=verdict.alert_id,
                entity=verdict.entity,
                note=verdict.note,
                record_key=key,
            )
        )
    said = tuple(one for words in by_key.values() for one in words)
    held = {key: [one.learned_at for one in by_key.get(key, ())] for key in taken_back}
    return Heard(said, TakenBack(held))


def words_of(settings: Settings, what: str, *, by: str, entity: str | None = None) -> dict[bytes, Verdict]:
    """Return what one person says of an alert or a message now, by its key on squall.labels.

    Args:
        settings: the configuration.
        what: id of the alert or the message.
        by: who says it.
        entity: what is said for this company alone; None for all that is said, with a company or without.

    Raises:
        BrokerError: Kafka cannot be reached.
        TopicError: the topic is missing, or this user may not read it.
        InputError: such a word shares its key with another one, as somebody else's producer may have it.
    """
    held: dict[bytes, list[Verdict]] = defaultdict(list)
    try:
        for _, key, value in _records(settings, settings.topics.labels):
            if key is None:
                continue  # nothing can take its place, nor take it back
            if value is None:
                held.pop(key, None)
                continue
            try:
                held[key].append(decode_verdict(value))
            except RecordError:
                continue  # who imports labels tells of it
    except BrokerError as error:
        if not isinstance(error.__cause__, TopicAuthorizationFailedError):
            raise
        msg = (
            f"{settings.topics.labels}: this user may not read it, and what is taken back is looked up there. Somebody "
            "with ALTER on the cluster grants it: squall topics acls --role labels"
        )
        raise TopicError(msg) from error
    found: dict[bytes, Verdict] = {}
    for key, words in held.items():
        own = [_is_word(word, what, by, entity) for word in words]
        if any(own) and not all(own):
            raise InputError(f"{settings.topics.labels}: the key {key!r} holds other words too, which would go with it")
        if any(own):
            found[key] = words[-1]
    return found


def _is_word(verdict: Verdict, what: str, by: str, entity: str | None) -> bool:
    judged = verdict.alert_id if verdict.verdict in OF_ALERTS else verdict.message_id
    return judged == what and verdict.by == by and entity in (None, verdict.entity)


def find_alerts(settings: Settings, ids: Collection[str]) -> dict[str, Alert]:
    """Return the alerts of these ids, each as it last fired: with the evidence that people saw.

    Raises:
        BrokerError: Kafka cannot be reached.
        TopicError: the topic is missing.
    """
    found: dict[str, Alert] = {}
    if not ids:
        return found
    for _, _, value in _records(settings, settings.topics.alerts):
        if value is None:
            continue
        try:
            alert = decode_alert(value)
        except RecordError:
            continue  # who reads alerts tells of it; here it is about labels
        before = found.get(alert.id)
        if alert.id in ids and (before is None or (alert.state == "firing" and alert.is_news)):
            found[alert.id] = alert
    return found


def find_mentions(
    settings: Settings,
    ids: Collection[str],
    sources: Sequence[str] = LIVE,
    *,
    on_progress: Callable[[int], None] | None = None,
) -> dict[str, Mention]:
    """Return a mention of each of these messages, as far as the sources hold them.

    Args:
        settings: the configuration.
        ids: message ids.
        sources: files, folders or Kafka, as `squall replay --as-scored` takes them.
        on_progress: told from time to time how many records were read.

    Raises:
        InputError: a source is missing or cannot be understood.
        BrokerError: Kafka cannot be reached.
        TopicError: there is no such topic.
    """
    wanted, found = set(ids), {}
    if not wanted:
        return {}
    for mention in _mentions(settings, sources, on_progress):
        if mention.message_id in wanted:
            found[mention.message_id] = mention
            wanted.discard(mention.message_id)
            if not wanted:
                break
    return found


def candidates(
    settings: Settings,
    sources: Sequence[str] = LIVE,
    *,
    most: int = MOST_CANDIDATES,
    known: Collection[str] = (),
    langs: Collection[str] = (),
    on_progress: Callable[[int], None] | None = None,
) -> list[Candidate]:
    """Return what could be labelled: each message once, with the model's sentiments.

    Of a long history the messages that the model is least sure of; what it is sure of would not be chosen.

    Args:
        settings: the configuration.
        sources: as for `find_mentions`.
        most: how many are held at most.
        known: message ids that are labelled already.
        langs: languages that the annotators read, ISO 639; all of them if it is empty.
        on_progress: told from time to time how many records were read.

    Raises:
        InputError, BrokerError, TopicError: as `find_mentions`.
    """
    found: Foremost[Candidate] = Foremost(most)
    for mention in _mentions(settings, sources, on_progress):
        if mention.message_id in known:
            continue
        if langs and mention.lang is not None and mention.lang not in langs:
            continue
        probabilities = (mention.negative, mention.neutral, mention.positive)
        one = Candidate(
            message_id=mention.message_id,
            text=whole_text(mention),
            probabilities=probabilities,
            model=f"{mention.model.name}@{mention.model.version}",
            entity=mention.entity,
            source=mention.source,
            lang=mention.lang,
        )
        _, second, first = sorted(probabilities)
        found.add(mention.message_id, second - first, one)
    return list(found)


def _mentions(
    settings: Settings, sources: Sequence[str], on_progress: Callable[[int], None] | None
) -> Iterator[Mention]:
    source = open_mentions(sources, settings)
    read = 0
    for partition in source.partitions:
        for numbered in source.records(partition, on_bad=_pass_over):
            read += 1
            if on_progress is not None and read % 1_000 == 0:
                on_progress(read)
            if isinstance(numbered.record, Mention):
                yield numbered.record


def _pass_over(_: BadRecord) -> None:
    """What is no mention cannot be asked about; `squall replay` tells of it."""


def _records(settings: Settings, topic: str) -> Iterator[tuple[str, bytes | None, bytes | None]]:
    """Yield where each record stands, its key and its value."""
    servers = ", ".join(settings.kafka.bootstrap_servers)
    with topic_consumer(settings) as consumer:
        spans = whole(consumer, partitions_of(consumer, topic))
        reader = TopicReader(consumer, topic, spans, servers=servers)
        for number in sorted(spans):
            for record in reader.read(number):
                yield f"{topic}[{number}]@{record.offset}", record.key, record.value
