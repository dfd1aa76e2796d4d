"""The scoring stage: raw records in, mentions and dead letters out. Synchronous, made to run in a worker thread.

Three steps that the app may overlap for successive batches: `prepare` (decode, normalise, redact, link), `score` (the
classifier) and `finish` (mentions). A text's score depends on the text alone, so it does not matter how records fall
into batches.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from models.labels import TOPIC_IDS
from models.prediction import Prediction, Scorer
from streams.errors import RecordError
from streams.ingest.decode import Decoder, Limits, message_id
from streams.ingest.duplicates import SeenMessages
from streams.ingest.entities import Link, Linker
from streams.ingest.language import UNDETERMINED, LanguageDetector
from streams.ingest.normalise import normalise
from streams.ingest.redact import Redactor
from streams.records import (
    FEED_MARK_KEY,
    DeadLetter,
    FeedMark,
    Mention,
    Message,
    ModelVersion,
    Origin,
    decode_feed_mark,
)
from streams.scoring.answers import score_in_languages
from streams.scoring.turns import Turns
from streams.whole_text import with_title

TOPICS_KEPT = 5
"""A mention carries this many of the likeliest topics."""
_TOPIC_FLOOR = 0.01
_MOST_CHARS = 20_000
"""What lies beyond is neither linked nor scored: a bound on the time that one hostile text can take."""


@dataclass(frozen=True, slots=True)
class RawRecord:
    """One record of `squall.messages` as it came."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    received_at: datetime


@dataclass(frozen=True, slots=True)
class StageOptions:
    """What the stage can be told."""

    limits: Limits
    topic: str
    """Name of the messages topic, for the dead letters."""
    refused_by: str
    """`squall` and its version."""
    min_relevance: float = 0.2
    mention_text_chars: int = 2_000
    pseudonymous_authors: bool = False
    """Replace authors' names by a hash, which still counts as one author."""
    duplicate_horizon_s: float = 86_400.0
    languages: frozenset[str] | None = None
    """Languages that have a model; a text whose language is not known is taken for one of them. None: all have."""


@dataclass(frozen=True, slots=True)
class _Ready:
    """A message that is about at least one company, ready for the classifier."""

    record: RawRecord
    message: Message
    message_id: str
    clamped: bool
    text: str
    title: str | None
    link: str | None
    """The first link that stood in the text."""
    lang: str
    links: tuple[Link, ...]

    @property
    def scored_text(self) -> str:
        """What the classifier reads: the title before the text, unless it says the same, and a link at the end.

        The link is there because the classifier learned from texts with links, of which it sees that there is one.
        """
        text = with_title(self.title, self.text)
        return f"{text} {self.link}" if self.link else text


@dataclass(slots=True)
class Prepared:
    """A batch before the classifier."""

    records: Sequence[RawRecord]
    ready: list[_Ready] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    marks: list[tuple[int, FeedMark]] = field(default_factory=list)
    """Feed marks, with their partitions."""
    times: list[tuple[int, datetime, datetime]] = field(default_factory=list)
    """Of every good message: partition, published at, received at."""
    heard: dict[str, datetime] = field(default_factory=dict)
    """When the last readable message of each source arrived, repeated ones included."""
    repeated: int = 0
    ahead: int = 0
    """Good messages that were taken before their turn: see `ScoringStage.prepare_ahead`."""
    was_taken_ahead: bool = False
    """It holds messages that were taken before their turn."""
    ahead_to: dict[int, datetime] = field(default_factory=dict)
    """By partition, the highest event time that was read before its turn."""
    unsettled: bool = False
    """Something that is passed over, as taken ahead or repeated, was not delivered yet when this batch was prepared."""
    unlinked: int = 0
    """Good messages that are about no company of the table."""

    def extend(self, other: Prepared) -> None:
        """Take in what was prepared after it."""
        self.records = [*self.records, *other.records]
        self.ready += other.ready
        self.dead += other.dead
        self.marks += other.marks
        self.times += other.times
        for source, at in other.heard.items():
            self.heard[source] = max(at, self.heard.get(source, at))
        self.repeated += other.repeated
        self.ahead += other.ahead
        self.unlinked += other.unlinked
        self.unsettled = self.unsettled or other.unsettled

    @property
    def texts(self) -> list[str]:
        """What the classifier is to score."""
        return [ready.scored_text for ready in self.ready]

    @property
    def languages(self) -> list[str]:
        """The language of each of the texts."""
        return [ready.lang for ready in self.ready]


@dataclass(slots=True)
class Outcome:
    """What a batch came to."""

    mentions: list[Mention]
    dead: list[DeadLetter]


class ScoringStage:
    """Makes mentions of messages.

    Args:
        scorer: the classifier.
        linker: finds companies.
        redactor: takes personal data out.
        options: bounds and names.
    """

    def __init__(self, scorer: Scorer, linker: Linker, redactor: Redactor, options: StageOptions) -> None:
        self._scorer = scorer
        self._linker = linker
        self._redactor = redactor
        self._options = options
        self._decoder = Decoder(options.limits)
        self._languages = LanguageDetector()
        self._seen = SeenMessages(timedelta(seconds=options.duplicate_horizon_s))
        self.turns = Turns()
        self.watches = linker.watches
        """Whether any company is on a watch list."""

    def prepare(self, records: Sequence[RawRecord]) -> Prepared:
        """Decode, validate, normalise, redact and link a batch; what is refused becomes a dead letter."""
        batch = Prepared(records)
        taken: set[str] = set()
        for record in records:
            ahead = self.turns.in_turn(record.partition, record.offset)
            try:
                if record.key == FEED_MARK_KEY:
                    batch.marks.append((record.partition, self._mark(record)))
                    continue
                self._take(batch, record, taken, ahead=ahead)
            except RecordError as error:
                batch.dead.append(self._refused(record, error.reason, error.detail))
        return batch

    def prepare_ahead(self, records: Sequence[RawRecord]) -> Prepared:
        """Take from records whose turn has not come the messages about companies on a watch list, and prepare them.

        All else of them is left to `prepare`, which passes over what was taken here. To be called in turn with
        `prepare`, not beside it; records whose turn has come are passed over.
        """
        taken: list[RawRecord] = []
        batch = Prepared(taken, was_taken_ahead=True)
        for record in records:
            if record.key == FEED_MARK_KEY or not self.turns.is_to_come(record.partition, record.offset):
                continue
            try:
                message, clamped = self._decoder.decode(record.value, received_at=record.received_at)
                name = message_id(message.source, message.id)
                before = batch.ahead_to.get(record.partition, message.published_at)
                batch.ahead_to[record.partition] = max(before, message.published_at)
                ready = self._linked(record, message, name, clamped, only_watched=True)
            except RecordError:
                continue  # it is refused when its turn comes
            if ready is None or not self._is_read(ready.lang) or self._is_repeat(record, name):
                continue
            self.turns.begin(name, record.partition, record.offset, watched=True)
            self.turns.take_ahead(record.partition, record.offset)
            taken.append(record)
            batch.ready.append(ready)
        return batch

    def score(
        self, batch: Prepared, *, overloaded: bool = False, part: slice = slice(None)
    ) -> list[Prediction | Exception]:
        """Score a batch; a message that the classifier cannot score gets its error, and the others their scores.

        Args:
            batch: from `prepare`.
            overloaded: give quick answers to what is about no company on a watch list.
            part: of its texts, which to score.

        Raises:
            Exception: the classifier scores nothing at all: it is broken, and the messages are not to blame.
        """
        quickly = [overloaded and not any(link.watched for link in ready.links) for ready in batch.ready[part]]
        return score_in_languages(self._scorer, batch.texts[part], batch.languages[part], quickly=quickly)

    def finish(self, batch: Prepared, predictions: Sequence[Prediction | Exception], *, scored_at: datetime) -> Outcome:
        """Make the mentions of a scored batch."""
        outcome = Outcome(mentions=[], dead=list(batch.dead))
        for ready, prediction in zip(batch.ready, predictions, strict=True):
            if isinstance(prediction, Exception):
                outcome.dead.append(self._refused(ready.record, "unscorable", repr(prediction)))
            else:
                model = prediction.model or self._scorer.model  # of several models each says its own
                version = ModelVersion(name=model.name, version=model.version)
                found = self._mentions(ready, prediction, version, scored_at)
                if batch.was_taken_ahead:
                    found = [msgspec.structs.replace(mention, ahead=True) for mention in found]
                outcome.mentions.extend(found)
        return outcome

    def delivered(self, batch: Prepared) -> None:
        """Remember a batch's messages, now that all that follows from them is on Kafka."""
        for ready in batch.ready:
            self.remember(ready.message_id, ready.message.published_at)
            self.turns.end(ready.message_id)

    def remember(self, message_id: str, published_at: datetime) -> None:
        """Remember a message that was delivered before this stage was made, as by the process that it goes on for."""
        self._seen.remember(message_id, published_at)

    def _mark(self, record: RawRecord) -> FeedMark:
        """Decode a feed mark, within the bounds of a message's time: one from far ahead would close every bin."""
        mark = decode_feed_mark(record.value)
        if mark.event_time is None:
            return mark
        event_time, _ = self._decoder.event_time(mark.event_time, record.received_at)
        return msgspec.structs.replace(mark, event_time=event_time)

    def _take(self, batch: Prepared, record: RawRecord, taken: set[str], *, ahead: bool) -> None:
        message, clamped = self._decoder.decode(record.value, received_at=record.received_at)
        batch.heard[message.source] = max(record.received_at, batch.heard.get(message.source, record.received_at))
        name = message_id(message.source, message.id)
        batch.unsettled = batch.unsettled or self.turns.is_open(name)
        if ahead:
            batch.ahead += 1
            batch.times.append((record.partition, message.published_at, record.received_at))
            return
        if name in taken or self._is_repeat(record, name):
            batch.repeated += 1
            return
        ready = self._linked(record, message, name, clamped)
        taken.add(name)
        batch.times.append((record.partition, message.published_at, record.received_at))
        if ready is None:
            batch.unlinked += 1
        elif not self._is_read(ready.lang):
            detail = f"no model reads {ready.lang!r}: name one under classifier.languages, and send the message again"
            batch.dead.append(self._refused(record, "no_model", detail))
        else:
            watched = any(link.watched for link in ready.links)
            self.turns.begin(name, record.partition, record.offset, watched=watched)
            batch.ready.append(ready)

    def _is_repeat(self, record: RawRecord, name: str) -> bool:
        return self.turns.is_under_way(name, record.partition, record.offset) or name in self._seen

    def _is_read(self, language: str) -> bool:
        languages = self._options.languages
        return languages is None or language == UNDETERMINED or language in languages

    def _linked(
        self, record: RawRecord, message: Message, name: str, clamped: bool, *, only_watched: bool = False
    ) -> _Ready | None:
        """Return a message with the companies that it is about; None if there are none, or no watched one is wanted."""
        body = normalise(message.text[:_MOST_CHARS])
        text = self._redactor.redact(body.text)
        title = None
        if message.title is not None:
            title = self._redactor.redact(normalise(message.title[:_MOST_CHARS]).text) or None
        text = text or title or ""
        if not text:
            raise RecordError("empty_text", "nothing is left of text and title without links and mark-up")
        links = tuple(
            link
            for link in self._linker.link(text, title=title, symbols=message.symbols)
            if link.relevance >= self._options.min_relevance
        )
        if not links or (only_watched and not any(link.watched for link in links)):
            return None
        return _Ready(
            record=record,
            message=message,
            message_id=name,
            clamped=clamped,
            text=text,
            title=title,
            link=body.links[0] if body.links else None,
            lang=self._languages.detect(text, declared=message.lang),
            links=links,
        )

    def _mentions(
        self, ready: _Ready, prediction: Prediction, model: ModelVersion, scored_at: datetime
    ) -> list[Mention]:
        message, options = ready.message, self._options
        likeliest = _likeliest_topics(prediction)
        author = message.author
        if author is not None and options.pseudonymous_authors:
            author = "author-" + hashlib.blake2b(author.encode(), digest_size=6).hexdigest()
        return [
            Mention(
                message_id=ready.message_id,
                entity=link.entity,
                relevance=round(link.relevance, 4),
                source=message.source,
                published_at=message.published_at,
                received_at=ready.record.received_at,
                scored_at=scored_at,
                text=ready.text[: options.mention_text_chars],
                negative=prediction.negative,
                neutral=prediction.neutral,
                positive=prediction.positive,
                topic=prediction.topic,
                topics=likeliest,
                model=model,
                origin=Origin(partition=ready.record.partition, offset=ready.record.offset),
                title=ready.title,
                author=author,
                url=message.url or ready.link,
                lang=ready.lang,
                truncated=prediction.truncated,
                clamped=ready.clamped,
                watched=link.watched,
                tier=prediction.tier if prediction.tier != "transformer" else msgspec.UNSET,
                degraded=prediction.degraded or msgspec.UNSET,
                abstained=prediction.abstained or msgspec.UNSET,
                own_topics=dict(prediction.own_topics) or msgspec.UNSET,
            )
            for link in ready.links
        ]

    def _refused(self, record: RawRecord, reason: str, detail: str) -> DeadLetter:
        return DeadLetter(
            value=record.value,
            key=record.key,
            reason=reason,
            detail=detail,
            topic=self._options.topic,
            partition=record.partition,
            offset=record.offset,
            refused_by=self._options.refused_by,
        )


def _likeliest_topics(prediction: Prediction) -> dict[str, float]:
    """The likeliest topics first, equal ones by name."""
    if not prediction.topics:
        return {}  # a model without topics
    ranked = sorted(
        (-probability, name)
        for name, probability in zip(TOPIC_IDS, prediction.topics, strict=True)
        if probability >= _TOPIC_FLOOR
    )
    return {name: -negated for negated, name in ranked[:TOPICS_KEPT]}
