"""What a desk may say: read, checked, keyed; and what is refused, with the place."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import InputError
from streams.records import decode_verdict, encode
from streams.verdicts import MOST_VERDICTS, Given, check_name, key_of, parse, record_of

AT = datetime(2026, 3, 18, 12, tzinfo=UTC)


def verdict(**fields: Any) -> dict[str, Any]:
    return {"verdict": "false_alarm", "alert_id": "a1"} | fields


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({}, b'["alert","a1",null,"anna"]'),
        ({"verdict": "negative", "message_id": "wire:7"}, b'["message","wire:7",null,"anna"]'),
        (
            {"verdict": "stale", "message_id": "wire:7", "entity": "ACME", "note": "old\nnews"},
            b'["message","wire:7","ACME","anna"]',
        ),
        ({"verdict": "true_alarm", "message_id": "wire:7"}, b'["alert","a1",null,"anna"]'),
    ],
)
def test_a_verdict_is_keyed_by_what_it_judges_and_who_says_it(fields: dict[str, Any], key: bytes) -> None:
    (given,) = parse(json.dumps(verdict(**fields)).encode())
    record = record_of(given, by="anna", at=AT)
    assert decode_verdict(encode(record)) == record
    assert (record.by, record.learned_at, key_of(record)) == ("anna", AT, key)


_TEXT = st.text(st.sampled_from('a/",[]\\:\u00e9'), min_size=1, max_size=4)
_PARTS = st.tuples(st.sampled_from(["negative", "false_alarm"]), _TEXT, st.none() | _TEXT, _TEXT)


@given(_PARTS, _PARTS)
def test_two_verdicts_share_a_key_only_if_they_judge_the_same_by_the_same(one: Any, other: Any) -> None:
    def key(parts: Any) -> bytes:
        kind, id_, entity, by = parts
        named = {"alert_id" if kind == "false_alarm" else "message_id": id_}
        return key_of(record_of(Given(verdict=kind, entity=entity, **named), by=by, at=AT))

    assert (key(one) == key(other)) == (one == other)


def test_one_or_many_are_taken() -> None:
    assert len(parse(json.dumps(verdict()).encode())) == 1
    assert len(parse(json.dumps([verdict(), verdict(alert_id="a2")]).encode())) == 2


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "truncated"),
        (b"{", "truncated"),
        (b"7", "got `int`"),
        (b"[]", "the list is empty"),
        (b"\xff\xfe", "malformed"),
        (b'{"verdict": "false_alarm", "alert_id": "\xff"}', "utf-8"),
        (b"[" * 100_000, "nested too deeply|Expected `object`"),
        (json.dumps([verdict()] * (MOST_VERDICTS + 1)).encode(), "1,001 verdicts at once"),
        (json.dumps(verdict(verdict="maybe")).encode(), r"Invalid enum value 'maybe' - at `\$.verdict`"),
        (json.dumps([verdict(), verdict(alert_id=7)]).encode(), r"at `\$\[1\].alert_id`"),
        (json.dumps(verdict(by="the chairman")).encode(), "unknown field `by`"),
        (json.dumps(verdict(learned_at="2020-01-01T00:00:00Z")).encode(), "unknown field `learned_at`"),
        (json.dumps(verdict(alert_id=None)).encode(), "alert_id is missing"),
        (json.dumps([verdict(), {"verdict": "stale"}]).encode(), r"message_id is missing - at `\$\[1\]`"),
        (json.dumps(verdict(alert_id="")).encode(), "length >= 1"),
        (json.dumps(verdict(alert_id="a" * 501)).encode(), "length <= 500"),
        (json.dumps(verdict(alert_id="a\r\nSet-Cookie: x")).encode(), "cannot be printed"),
        (json.dumps(verdict(note="n" * 2_001)).encode(), "length <= 2000"),
        (b'{"verdict": "false_alarm", "alert_id": "a1", "note": 1e999999}', r"note|out of range"),
        (b'{"verdict": ' + b"9" * 5_000 + b"}", r"verdict|out of range"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(body: bytes, told: str) -> None:
    with pytest.raises(InputError, match=f"(?i){told}"):
        parse(body)


def test_what_is_told_is_one_line_of_bounded_length() -> None:
    with pytest.raises(InputError) as error:
        parse(json.dumps(verdict(verdict="\r\n<script>" * 5_000)).encode())
    assert len(str(error.value)) < 400
    assert "\n" not in str(error.value)


@given(st.binary(max_size=200) | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(
    lambda value: json.dumps(value).encode()))  # fmt: skip
def test_whatever_comes_is_read_or_refused(body: bytes) -> None:
    try:
        assert parse(body)
    except InputError as error:
        assert str(error)


@pytest.mark.parametrize("name", ["", " ", "anna@desk.example", "x" * 101, "a\nb"])
def test_a_name_that_is_none_or_an_address_is_refused(name: str) -> None:
    with pytest.raises(InputError):
        check_name(name)
