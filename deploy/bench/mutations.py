"""Records that no publisher ought to send, made from good ones by a seed: the same seed, the same records. Pure."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Mapping
from typing import Any

Fields = dict[str, Any]
OnFields = Callable[[Fields, random.Random], None]
OnBytes = Callable[[bytes, random.Random], bytes | None]

DATES = (
    "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "1969-12-31T23:59:59Z", "1999-12-31T23:59:59.999999Z",
    "2000-02-30T00:00:00Z", "2016-12-31T23:59:60Z", "2038-01-19T03:14:08Z", "2262-04-11T23:47:17Z",
    "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59-23:59", "2026-03-18", "2026-03-18T10:00:00",
    "2026-03-18 10:00:00Z", "2026-03-18T10:00Z", "2026-03-18t10:00:00z", "2026-03-18T10:00:00+25:00",
    "2026-03-18T10:00:00.123456789Z", "20260318T100000Z", "-2026-03-18T10:00:00Z", "+12026-03-18T10:00:00Z",
    "yesterday", "", "null", "1773828000", "2026-W12-3T10:00:00Z", "２０２６-03-18T10:00:00Z",
)  # fmt: skip
"""Dates of all sorts: the ends of the calendar, days that do not exist, no offset, other forms, other digits."""

STRINGS = (
    "\x00", "a\x00b", "\x1b[2J\x1b[31mred", "\r\n\r\nHTTP/1.1 200 OK", "\u202eevil\u202c", "\u200b\u200d\ufeff", " ",
    "\u0645\u0631\u062d\u0628\u0627 \u05e9\u05dc\u05d5\u05dd", "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 20,
    "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d" * 200, "\ud83d", "\udfff\ud800", "\ufffe\uffff", "\u2028\u2029",
    "$" * 5_000, "$A " * 2_000, "<script>alert(1)</script>", "&#x24;MSFT &amp;&amp; &lt;" * 50, "../../x", "NaN", "-0",
    "'; DROP TABLE mentions; --", "%s%n%x", "a" * 30_000, "http://x" * 500, "{{7*7}} ${jndi:x}", "\u1160\u2800\u3164",
    "\ud842\udfb7\u91ce\u5bb6 \u4e0b\u8dcc", "=cmd|' /C calc'!A0", "\u0130\u0131\ufb01\u1e9e" * 50, "1e999",
)  # fmt: skip
"""Texts that break what reads them: controls, escapes, right to left, joined pictographs, lone surrogates, markup."""

_NUMBERS: tuple[float, ...] = (
    0,
    -1,
    2**31,
    2**63,
    2**64,
    10**400,
    -(10**400),
    1.5,
    1e308,
    float("inf"),
    float("nan"),
    True,
)
_WRONG: tuple[Any, ...] = (None, [], {}, [[]], {"a": {"b": {}}}, 0, -1.5, False, "", ["x"] * 50, {"": ""})
_KEYS = (None, b"", b"\x00", b"\xff\xfe\xfd", b"wire", "\u202e".encode(), b"k" * 10_000, b"squall.feed-mark")
_HEADERS = (
    (),
    (("", b""),),
    (("squall-reason", b"tombstone"), ("squall-offset", b"-1")),
    (("traceparent", b"\x00\xff" * 50),),
    tuple((f"h{number}", b"x" * 100) for number in range(50)),
)


def spoil(fields: Mapping[str, Any], dice: random.Random, *, max_bytes: int = 262_144) -> bytes | None:
    """Return the bytes of a record that something has happened to; None is a tombstone.

    One in six is left as it is.

    Args:
        fields: a good record, of values that JSON has.
        dice: decides.
        max_bytes: a few records come near this size, and over it.
    """
    changed = json.loads(json.dumps(fields))
    if dice.random() < 1 / 6:
        return _dumps(changed)
    if dice.random() < 0.002:
        return _huge(changed, dice, max_bytes)
    if dice.random() < 0.6:
        for _ in range(dice.choice((1, 1, 1, 2, 3))):
            dice.choice(_ON_FIELDS)(changed, dice)
        data = _dumps(changed)
        if dice.random() < 0.9:
            return data
    else:
        data = _dumps(changed)
    return dice.choice(_ON_BYTES)(data, dice)


def odd_key(key: bytes | None, dice: random.Random) -> bytes | None:
    """Return a key as it is, or one time in ten an odd one."""
    return dice.choice(_KEYS) if dice.random() < 0.1 else key


def odd_headers(dice: random.Random) -> tuple[tuple[str, bytes], ...]:
    """Return headers, none as a rule."""
    return dice.choice(_HEADERS) if dice.random() < 0.1 else ()


def _dumps(fields: Fields) -> bytes:
    return json.dumps(fields).encode()


def _any_key(fields: Fields, dice: random.Random) -> str:
    return dice.choice(sorted(fields)) if fields else "id"


def _drop(fields: Fields, dice: random.Random) -> None:
    fields.pop(_any_key(fields, dice), None)


def _wrong_type(fields: Fields, dice: random.Random) -> None:
    fields[_any_key(fields, dice)] = dice.choice(_WRONG)


def _number(fields: Fields, dice: random.Random) -> None:
    fields[_any_key(fields, dice)] = dice.choice(_NUMBERS)


def _string(fields: Fields, dice: random.Random) -> None:
    fields[_any_key(fields, dice)] = dice.choice(STRINGS)


def _into_text(fields: Fields, dice: random.Random) -> None:
    text = str(fields.get("text", ""))
    at = dice.randrange(len(text) + 1)
    fields["text"] = text[:at] + dice.choice(STRINGS) + text[at:]


def _date(fields: Fields, dice: random.Random) -> None:
    names = [name for name in sorted(fields) if name.endswith("_at") or name in ("at", "event_time")]
    fields[dice.choice(names) if names else "published_at"] = dice.choice(DATES)


def _extra(fields: Fields, dice: random.Random) -> None:
    name = dice.choice(("", "type", "__proto__", "id ", "TEXT", "x" * 1_000, "\ud800", "schema"))
    fields[name] = dice.choice((*_WRONG, *_NUMBERS, *STRINGS))


def _deep(fields: Fields, dice: random.Random) -> None:
    nested: Any = 1
    for _ in range(dice.choice((5, 50, 400))):
        nested = {"a": nested} if dice.random() < 0.5 else [nested]
    fields[dice.choice(("extra", _any_key(fields, dice)))] = nested


def _many(fields: Fields, dice: random.Random) -> None:
    fields["symbols"] = [dice.choice(STRINGS[:10]) for _ in range(dice.choice((1, 10, 1_000)))]


def _flip(data: bytes, dice: random.Random) -> bytes:
    found = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 8, 64))):
        at = dice.randrange(len(found))
        found[at] ^= 1 << dice.randrange(8)
    return bytes(found)


def _cut(data: bytes, dice: random.Random) -> bytes:
    return data[: dice.randrange(len(data))]


def _insert(data: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(data))
    return data[:at] + dice.randbytes(dice.choice((1, 3, 40))) + data[at:]


def _deep_bytes(data: bytes, dice: random.Random) -> bytes:
    depth = dice.choice((100, 1_000, 20_000))
    return data[:-1] + b', "deep": ' + b"[" * depth + b"]" * depth + b"}"


def _other(data: bytes, dice: random.Random) -> bytes:
    return dice.choice((
        b"", b" ", b"null", b"[]", b"{}", b"NaN", b'"text"', b"\xef\xbb\xbf" + data, data.decode().encode("utf-16"),
        gzip.compress(data, mtime=0), data + data, data + b"\x00", b"[" + data + b"]", b"\x00" + data,
        dice.randbytes(300),
        data.replace(b'"', b"'"), data[:-1] + b',"id":"twice"}', b"\xff" * 40, data.replace(b":", b": \xc3\x28", 1),
        data.replace(b"\\u", b"\\x", 1), data[:-1] + b',"n":1e999999}', data[:-1] + b',"n":' + b"9" * 5_000 + b"}",
    ))  # fmt: skip


def _tombstone(_: bytes, __: random.Random) -> None:
    return None


def _huge(fields: Fields, dice: random.Random, max_bytes: int) -> bytes:
    """Return a record of about the largest size that is read: half of it, just under it, it, just over it, twice it."""
    wanted = max_bytes + dice.choice((-1, 0, 1, max_bytes, -max_bytes // 2))
    fields["text"] = str(fields.get("text", ""))
    missing = wanted - len(_dumps(fields))
    fields["text"] += dice.choice(("x", "$A ", "word ", " ")) * max(0, missing)
    fields["text"] = fields["text"][: len(fields["text"]) - max(0, len(_dumps(fields)) - wanted)]
    return _dumps(fields)


_ON_FIELDS: tuple[OnFields, ...] = (
    _drop, _wrong_type, _number, _string, _into_text, _into_text, _date, _date, _extra, _deep, _many
)  # fmt: skip
_ON_BYTES: tuple[OnBytes, ...] = (_flip, _flip, _flip, _cut, _insert, _deep_bytes, _other, _other, _tombstone)
