"""A row of a user's file to a Message: column names and times as people write them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from hashlib import blake2b

from streams.errors import InputError, RecordError
from streams.ingest.decode import LATEST, Limits, check_name, is_blank
from streams.ingest.readers import Row
from streams.records import Message, encode

SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "message_id", "msg_id", "tweet_id", "guid", "uuid"),
    "source": ("source", "feed", "publisher", "provider"),
    "published_at": ("published_at", "timestamp", "created_at", "published", "datetime", "date", "time", "ts"),
    "text": ("text", "body", "content", "message", "tweet"),
    "title": ("title", "headline"),
    "author": ("author", "author_id", "user", "username"),
    "url": ("url", "link"),
    "lang": ("lang", "language"),
    "symbols": ("symbols", "symbol", "tickers", "ticker"),
}
"""Field of a Message -> column names that are taken for it, first come first served; case does not matter."""

NEEDED = (("published_at",), ("text", "title"))
"""Fields of a Message that a row must have: one of each group."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_UNITS = (("seconds", 1), ("milliseconds", 1_000), ("microseconds", 1_000_000), ("nanoseconds", 1_000_000_000))
_EPOCH_FROM_S = 946_684_800
"""2000-01-01: a smaller number of seconds is something else than a time of a message."""
_EPOCH_UNTIL_S = 100_000_000_000
"""The year 5138, beyond which the next unit begins."""

_NUMBER = re.compile(r"\d{9,19}(?:\.\d+)?")
_DEFAULT_LIMITS = Limits()
_SYMBOL_SEPARATOR = re.compile(r"[|,;\s]+")


NameOption = Callable[[str], str]
"""From a field to what a user adds to the command to name its column."""


def named_option(field: str) -> str:
    """Return the option of `squall publish` and `squall score`: --time-column, --text-column, ..."""
    return "--time-column" if field == "published_at" else f"--{field.replace('_', '-')}-column"


def message_from_row(
    row: Row,
    *,
    default_source: str,
    columns: Mapping[str, str] | None = None,
    assume_utc: bool = False,
    limits: Limits = _DEFAULT_LIMITS,
    now: datetime | None = None,
    option: NameOption = named_option,
) -> Message:
    """Make a Message of a row.

    Without an `id` it is a hash of source, time and text, the same each time the file is read. A title stands in for
    an empty text.

    Args:
        row: the row; one with an error is refused with that.
        default_source: the source of a row that names none.
        columns: field of a Message -> column, for columns that `SYNONYMS` does not know.
        assume_utc: take a time without an offset as UTC; otherwise it is refused, for a guess would shift history.
        limits: what the worker would refuse is refused here, where the line is known.
        now: the time that `limits.max_future_s` counts from, with an offset; None leaves the future unchecked.
        option: how the user names the column of a field, for the message of an error.

    Raises:
        InputError: `line N: ` and what is wrong with the row.
    """
    if row.error is not None:
        raise InputError(f"line {row.line}: {row.error}")
    try:
        fields = _fields(row.values, columns or {})
        _refuse_absent(fields, row.values, columns or {}, option)
        message = _message(fields, default_source, assume_utc)
        _check(message, limits, now)
    except ValueError as error:
        raise InputError(f"line {row.line}: {error}") from error
    except RecordError as error:
        raise InputError(f"line {row.line}: {error.detail}") from error
    return message


def check_columns(
    header: Sequence[str],
    columns: Mapping[str, str],
    needed: Iterable[tuple[str, ...]],
    synonyms: Mapping[str, tuple[str, ...]] = SYNONYMS,
    option: NameOption = named_option,
) -> None:
    """Refuse a file whose header lacks a column, once, before each of its rows is refused for it.

    Args:
        header: the names of the columns.
        columns: field of a Message -> column, as named by the user; each must be there.
        needed: fields, of each group of which one must be there, under a name of `synonyms` or of `columns`.
        synonyms: field -> column names that are taken for it.
        option: how the user names the column of a field, for the message of an error.

    Raises:
        InputError: a column is missing; it names those that are there, one of nearly the name, and the option to
            name one.
    """
    there = f"the columns are {', '.join(header) or 'none'}"
    for field, column in columns.items():
        if column not in header:
            alike = difflib.get_close_matches(column, header, n=1)
            meant = f"; did you mean {alike[0]!r}?" if alike else ""
            raise InputError(f"no column {column!r}, which {option(field)} names; {there}{meant}")
    known = {name.lower() for name in header}
    for fields in needed:
        if not any(field in columns or not known.isdisjoint(synonyms[field]) for field in fields):
            word = "time" if fields[0] == "published_at" else fields[0]
            near = _nearest(header, [name for field in fields for name in synonyms[field]])
            meant = f"; {near!r} may be meant" if near else ""
            raise InputError(f"no column for the {word}; {there}{meant}; name one with {option(fields[0])}")


def _nearest(header: Sequence[str], names: Sequence[str]) -> str | None:
    """The column that is most nearly called one of the names."""
    for column in header:
        if difflib.get_close_matches(column.lower(), names, n=1, cutoff=0.8):
            return column
    return None


def _check(message: Message, limits: Limits, now: datetime | None) -> None:
    check_name("bad_id", "id", message.id, limits.max_id_chars)
    check_name("bad_source", "source", message.source, limits.max_id_chars)
    if message.published_at < limits.oldest:
        raise ValueError(f"published {message.published_at.isoformat()}, before {limits.oldest.isoformat()}")
    if message.published_at > LATEST:
        raise ValueError(f"published {message.published_at.isoformat()}, after {LATEST.isoformat()}")
    if now is not None and message.published_at > now + timedelta(seconds=limits.max_future_s):
        raise ValueError(
            f"published {message.published_at.isoformat()}, more than {limits.max_future_s:g} s in the future "
            "(ingest.max_future_s)"
        )
    # A character is at most six bytes of JSON, and few messages are near the bound.
    if 6 * len(message.text) >= limits.max_bytes - 65_536 and len(encode(message)) > limits.max_bytes:
        raise ValueError(f"the message has {len(encode(message))} bytes, at most {limits.max_bytes} are read")


def _fields(values: Mapping[str, object], columns: Mapping[str, str]) -> dict[str, tuple[str, object]]:
    """Field of a Message -> (column, value) of those that hold one."""
    by_name = {name.lower(): (name, value) for name, value in values.items() if not _is_absent(value)}
    fields = {}
    for name, synonyms in SYNONYMS.items():
        if name in columns:
            if columns[name] not in values:
                raise ValueError(f"no column {columns[name]!r}; there is {', '.join(values) or 'none'}")
            candidates: tuple[str, ...] = (columns[name].lower(),)
        else:
            candidates = synonyms
        found = next((by_name[candidate] for candidate in candidates if candidate in by_name), None)
        if found is not None:
            fields[name] = found
    return fields


def _refuse_absent(
    fields: Mapping[str, tuple[str, object]],
    values: Mapping[str, object],
    columns: Mapping[str, str],
    option: NameOption,
) -> None:
    """Refuse a row without a time or a text, and tell an empty cell from a column that is not there."""
    for group in NEEDED:
        if any(field in fields for field in group):
            continue
        first = group[0]
        word = "time" if first == "published_at" else first
        names = {name.lower() for name in values}
        if any(field in columns or not names.isdisjoint(SYNONYMS[field]) for field in group):
            raise ValueError(f"the {word} is empty")
        raise ValueError(f"no {word}; a column is needed that is named {_one_of(first)}, or {option(first)}")


def _is_absent(value: object) -> bool:
    # NaN, unlike any other value, differs from itself: a Parquet file written by pandas is full of them.
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def _message(fields: Mapping[str, tuple[str, object]], default_source: str, assume_utc: bool) -> Message:
    column, value = fields["published_at"]
    published_at = parse_time(value, column=column, assume_utc=assume_utc)
    title = _string(fields, "title")
    text = _string(fields, "text")
    if text is None or is_blank(text):
        if title is None or is_blank(title):
            raise ValueError("the text is empty")
        text = title
    source = _string(fields, "source") or default_source
    id_ = _string(fields, "id")
    return Message(
        id=id_.strip() if id_ is not None else _hash(source, published_at, text),
        source=source.strip(),
        published_at=published_at,
        text=text,
        title=title,
        author=_string(fields, "author"),
        url=_string(fields, "url"),
        lang=_string(fields, "lang"),
        symbols=_symbols(fields.get("symbols", ("", None))[1]),
    )


def _one_of(name: str) -> str:
    return " or ".join((", ".join(SYNONYMS[name][:-1]), SYNONYMS[name][-1]))


def _string(fields: Mapping[str, tuple[str, object]], name: str) -> str | None:
    if name not in fields:
        return None
    column, value = fields[name]
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{column}: a text is needed, not {type(value).__name__}")
    if name == "text" or name == "title":
        raise ValueError(f"{column}: a text is needed, not the number {value}")
    if isinstance(value, float):
        if not value.is_integer() or abs(value) > 2**53:
            # A reader that took ids for floats has lost their last digits, and would merge messages.
            raise ValueError(f"{column}: {value} is no identifier; write the column as text or whole numbers")
        value = int(value)
    return str(value)


def _symbols(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        parts: list[object] = list(_SYMBOL_SEPARATOR.split(value))
    elif isinstance(value, list | tuple):
        parts = list(value)
    else:
        raise ValueError(f"symbols: a text or a list is needed, not {type(value).__name__}")
    if not all(isinstance(part, str) for part in parts):
        raise ValueError("symbols: each must be a text")
    names = (str(part).strip().lstrip("$") for part in parts)
    return tuple(dict.fromkeys(name for name in names if name))


def _hash(source: str, published_at: datetime, text: str) -> str:
    digest = blake2b(digest_size=12)
    for part in (source, published_at.isoformat(), text):
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.hexdigest()


def parse_time(value: object, *, column: str, assume_utc: bool) -> datetime:
    """A time as files have it, in UTC.

    Understood: ISO 8601, RFC 2822 (`Mon, 02 Mar 2026 14:00:00 GMT`), a number of seconds, milliseconds, micro- or
    nanoseconds since 1970, and the times and dates of Parquet.

    Args:
        value: the cell.
        column: its column, for the message of an error.
        assume_utc: take a time without an offset, or a date, as UTC.

    Raises:
        ValueError: it is no time, or one without an offset.
    """
    if isinstance(value, bool):
        raise ValueError(f"{column}: {value} is no time")
    if isinstance(value, int | float):
        return _from_epoch(Decimal(value), value, column)
    if isinstance(value, str):
        text = value.strip()
        if _NUMBER.fullmatch(text):
            return _from_epoch(Decimal(text), text, column)
        time = _from_text(text, column)
    elif isinstance(value, datetime):
        time = value
    elif isinstance(value, date):
        time = datetime(value.year, value.month, value.day)
    else:
        raise ValueError(f"{column}: {value!r} is no time")
    if time.tzinfo is None:
        if not assume_utc:
            raise ValueError(
                f"{column}: {value} has no offset such as Z or +08:00; with --assume-utc it is taken as UTC"
            )
        return time.replace(tzinfo=UTC)
    try:
        return time.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{column}: {value} is out of range") from error


def _from_epoch(number: Decimal, written: object, column: str) -> datetime:
    for _, per_second in _EPOCH_UNITS:
        if number.is_finite() and _EPOCH_FROM_S * per_second <= number < _EPOCH_UNTIL_S * per_second:
            return _EPOCH + timedelta(microseconds=round(number * 1_000_000 / per_second))
    units = ", ".join(unit for unit, _ in _EPOCH_UNITS)
    raise ValueError(f"{column}: {written} is no time after 2000 in {units} since 1970")


def _from_text(text: str, column: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    try:
        return parsedate_to_datetime(text)
    except ValueError as error:
        raise ValueError(f"{column}: {text[:40]!r} is no time; write it as 2026-03-02T14:00:00Z") from error
