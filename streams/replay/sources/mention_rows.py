"""A row or a line of scored history to a Mention, or a line of the mentions' log to what stands there.

Two ways lead to the same Mention. Nearly all lines are taken by the short one: JSON with the usual names and types,
decoded once by msgspec. Whatever it does not take goes the long way, which knows the names and times that people
write, and which says what is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

import msgspec

from streams.errors import InputError, RecordError
from streams.ingest.decode import LATEST, Limits, check_name, clean_text, clean_word, is_blank, message_id
from streams.ingest.readers import Row
from streams.ingest.rows import NEEDED, SYNONYMS, message_from_row, parse_time
from streams.records import LogEntry, Mention, ModelVersion, Origin, decode_mention
from streams.records.mention import Probability

MENTION_SYNONYMS: Mapping[str, tuple[str, ...]] = {
    **SYNONYMS,
    "entity": ("entity", "symbol", "ticker"),
    "negative": ("negative",),
    "neutral": ("neutral",),
    "positive": ("positive",),
    "topic": ("topic",),
    "story": ("story", "story_id"),
    "relevance": ("relevance",),
    "received_at": ("received_at", "arrived_at"),
}
"""Field -> column names that are taken for it, as in `streams.ingest.rows.SYNONYMS`."""

NEEDED_OF_MENTIONS: tuple[tuple[str, ...], ...] = (("entity",), ("negative",), *NEEDED)

GIVEN = ModelVersion(name="given", version="1")
"""The model of scores that were given, not computed."""
UNKNOWN_TOPIC = "unknown"

SUM_TOLERANCE = 0.02
"""How far the three probabilities may be from 1 in sum: each was perhaps rounded to two decimals."""
_LEAST_SUM, _GREATEST_SUM = 1.0 - SUM_TOLERANCE, 1.0 + SUM_TOLERANCE

_RECORD_TYPES = ("mention", "progress", "seed")
_RECORD_START = b'{"type":"'


def is_log_record(line: bytes) -> bool:
    """Whether a line is a record as `squall.mentions` holds it, which brings all fields or is refused by itself."""
    return line.startswith(_RECORD_START)


class _Scored(msgspec.Struct, forbid_unknown_fields=True):
    """A line as it mostly is; another field might be a synonym of one of these, so it goes the long way."""

    id: str
    entity: str
    source: str
    published_at: datetime
    negative: Probability
    text: str
    neutral: Probability | None = None
    positive: Probability | None = None
    author: str | None = None
    story: str | None = None
    topic: str | None = None
    title: str | None = None
    url: str | None = None
    lang: str | None = None
    received_at: datetime | None = None


class BadRow(Exception):  # noqa: N818  # it never leaves streams.replay: it becomes a BadRecord
    """A row or line that cannot be used.

    Args:
        reason: a word for counting.
        detail: what is wrong with it.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class MentionRows:
    """Makes mentions of rows and lines.

    Args:
        limits: bounds of a message, which hold for a mention's too.
        text_chars: longest text that a mention keeps.
        columns: field -> column, as in `FileOptions`.
        assume_utc: take a time without an offset as UTC.
        trust_stories: take the story that a row names.
    """

    def __init__(
        self,
        *,
        limits: Limits,
        text_chars: int,
        columns: Mapping[str, str] | None = None,
        assume_utc: bool = False,
        trust_stories: bool = False,
    ) -> None:
        self._limits = limits
        self._text_chars = text_chars
        # A text near the bound of a record's bytes goes the long way, which counts them.
        self._quick_chars = min(text_chars, (limits.max_bytes - 65_536) // 6)
        self._columns = dict(columns or {})
        self._message_columns = {field: column for field, column in self._columns.items() if field in SYNONYMS}
        self._assume_utc = assume_utc
        self._trust = trust_stories
        self._scored = msgspec.json.Decoder(_Scored)
        self._any = msgspec.json.Decoder()
        self.needed: Sequence[tuple[str, ...]] = (*NEEDED_OF_MENTIONS, *((("story",),) if trust_stories else ()))
        """Fields of which a file must have one of each group."""

    def quick(self, line: bytes, number: int) -> LogEntry | None:
        """Take a line the short way; None if it has to go the long way.

        Args:
            line: one JSON object.
            number: the row's number, from 1.
        """
        if self._columns:
            return None
        if line.startswith(_RECORD_START):
            try:
                return decode_mention(line)
            except RecordError:
                return None
        try:
            row = self._scored.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        source, text = row.source, row.text
        at = _utc(row.published_at)
        arrived = at if row.received_at is None else _utc(row.received_at)
        if at is None or arrived is None:
            return None
        limits = self._limits
        most = limits.max_id_chars
        if not (
            _is_plain(row.id, most)
            and _is_plain(source, most)
            and _is_plain(row.entity, most)
            and row.entity[0] != "$"
            and not is_blank(text)
            and len(text) <= self._quick_chars
            and limits.oldest <= at <= LATEST
            and (row.topic is None or _is_plain(row.topic, most))
        ):
            return None
        negative = row.negative
        neutral, positive = _others(negative, row.neutral, row.positive)
        if not _LEAST_SUM <= negative + neutral + positive <= _GREATEST_SUM:
            return None
        author = row.author
        if author is not None and not _is_plain(author, most):
            author = clean_word(author)
        return Mention(
            message_id=f"{source}:{row.id}" if ":" not in source and "%" not in source else message_id(source, row.id),
            entity=row.entity,
            relevance=1.0,
            source=source,
            published_at=at,
            received_at=arrived,
            scored_at=arrived,
            text=text if text.isprintable() else clean_text(text),
            negative=negative,
            neutral=neutral,
            positive=positive,
            topic=row.topic or UNKNOWN_TOPIC,
            topics={},
            model=GIVEN,
            origin=Origin(partition=0, offset=number),
            title=_title(row.title),
            author=author,
            url=clean_word(row.url),
            lang=clean_word(row.lang),
            story=self._story(clean_word(row.story)) if self._trust else msgspec.UNSET,
        )

    def values_of(self, line: bytes) -> dict[str, object] | None:
        """The fields of a line that is a JSON object and no record; None for any other line."""
        try:
            values = self._any.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        return values if isinstance(values, dict) and values.get("type") not in _RECORD_TYPES else None

    def from_line(self, line: bytes, number: int, *, default_source: str) -> LogEntry:
        """Take a line the long way.

        Raises:
            BadRow: it cannot be used.
        """
        try:
            values = self._any.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadRow("not_json", f"not JSON: {error}") from error
        if not isinstance(values, dict):
            raise BadRow("wrong_type", "a JSON object is needed")
        if values.get("type") in _RECORD_TYPES:
            try:
                return decode_mention(line)
            except RecordError as error:
                raise BadRow(error.reason, error.detail) from error
        return self.from_row(Row(1, values), number, default_source=default_source)

    def from_row(self, row: Row, number: int, *, default_source: str) -> Mention:
        """Take a row the long way.

        Raises:
            BadRow: it cannot be used.
        """
        try:
            return self._mention(row, number, default_source)
        except InputError as error:
            raise BadRow("bad_row", str(error).partition(": ")[2]) from error
        except RecordError as error:
            raise BadRow(error.reason, error.detail) from error
        except ValueError as error:
            raise BadRow("bad_row", str(error)) from error

    def _mention(self, row: Row, number: int, default_source: str) -> Mention:
        message = message_from_row(
            row,
            default_source=default_source,
            columns=self._message_columns,
            assume_utc=self._assume_utc,
            limits=self._limits,
        )
        fields = self._fields(row.values)
        entity = _text(fields, "entity")
        if entity is None:
            raise ValueError("the entity is empty: a mention is of a company")
        entity = entity.removeprefix("$")
        check_name("bad_entity", "entity", entity, self._limits.max_id_chars)
        negative = _probability(fields, "negative")
        if negative is None:
            raise ValueError("negative is empty: it is the probability that the message is negative")
        neutral, positive = _others(negative, _probability(fields, "neutral"), _probability(fields, "positive"))
        if not _LEAST_SUM <= (total := negative + neutral + positive) <= _GREATEST_SUM:
            given = f"negative {negative:g}, neutral {neutral:g} and positive {positive:g}"
            raise ValueError(f"{given} come to {total:.4g}: the probabilities of one message come to 1")
        relevance = _probability(fields, "relevance")
        arrived = message.published_at
        if "received_at" in fields:
            column, value = fields["received_at"]
            arrived = parse_time(value, column=column, assume_utc=self._assume_utc)
        return Mention(
            message_id=message_id(message.source, message.id),
            entity=entity,
            relevance=1.0 if relevance is None else relevance,
            source=message.source,
            published_at=message.published_at,
            received_at=arrived,
            scored_at=arrived,
            text=clean_text(message.text[: self._text_chars]),
            negative=negative,
            neutral=neutral,
            positive=positive,
            topic=_text(fields, "topic") or UNKNOWN_TOPIC,
            topics={},
            model=GIVEN,
            origin=Origin(partition=0, offset=number),
            title=_title(message.title),
            author=clean_word(message.author),
            url=clean_word(message.url),
            lang=clean_word(message.lang),
            story=self._story(_text(fields, "story")),
        )

    def _fields(self, values: Mapping[str, object]) -> dict[str, tuple[str, object]]:
        """Field of a mention that no message has -> (column, value) of those that hold one."""
        by_name = {name.lower(): (name, value) for name, value in values.items() if not _is_absent(value)}
        found = {}
        for field, names in MENTION_SYNONYMS.items():
            if field in SYNONYMS:
                continue
            named = self._columns.get(field)
            for name in (named.lower(),) if named is not None else names:
                if name in by_name:
                    found[field] = by_name[name]
                    break
        return found

    def _story(self, story: str | None) -> str | msgspec.UnsetType:
        return story if self._trust and story else msgspec.UNSET


def _utc(time: datetime) -> datetime | None:
    """The time in UTC; None for one without an offset, or at the edges of the calendar."""
    if time.tzinfo is UTC:
        return time
    return time.astimezone(UTC) if time.tzinfo is not None and 1 < time.year < 9999 else None


def _others(negative: float, neutral: float | None, positive: float | None) -> tuple[float, float]:
    """Neutral and positive; what is not given is what the others leave, and all of it neutral if both are not."""
    if neutral is None:
        neutral = max(0.0, 1.0 - negative - (positive or 0.0))
    if positive is None:
        positive = max(0.0, 1.0 - negative - neutral)
    return neutral, positive


def _probability(fields: Mapping[str, tuple[str, object]], field: str) -> float | None:
    if field not in fields:
        return None
    column, value = fields[field]
    number: float | None = None
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        number = float(value)
    elif isinstance(value, str):
        try:
            number = float(Decimal(value.strip()))
        except InvalidOperation:
            number = None
    if number is None or math.isnan(number) or not 0.0 <= number <= 1.0:
        raise ValueError(f"{column}: a probability from 0 to 1 is needed, not {_shown(value)}")
    return number


def _text(fields: Mapping[str, tuple[str, object]], field: str) -> str | None:
    if field not in fields:
        return None
    column, value = fields[field]
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise ValueError(f"{column}: a text is needed, not {type(value).__name__}")
    return clean_word(value)


def _title(title: str | None) -> str | None:
    if title is None:
        return None
    title = clean_text(title)
    return None if is_blank(title) else title


def _is_plain(name: str, most: int) -> bool:
    """Whether a name needs no cleaning: printable ASCII without outer blanks, of a length that is allowed."""
    return 0 < len(name) <= most and name.isascii() and name.isprintable() and name[0] != " " and name[-1] != " "


def _is_absent(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _shown(value: object) -> str:
    return repr(value)[:40]
