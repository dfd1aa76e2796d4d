"""Bytes become a valid message in UTC, or are refused with a reason."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import RecordError
from streams.ingest.decode import Decoded, Decoder, Limits, is_blank, message_id
from streams.records.dead_letter import REASONS

NOW = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)
GOOD = {"id": "1", "source": "wire", "published_at": "2026-03-02T13:59:00Z", "text": "Acme Widgets falls"}


def decode(limits: Limits | None = None, **changes: object) -> Decoded:
    value = json.dumps(GOOD | changes).encode()
    return Decoder(limits).decode(value, received_at=NOW)


def reason(value: bytes | None, limits: Limits | None = None) -> str:
    with pytest.raises(RecordError) as caught:
        Decoder(limits).decode(value, received_at=NOW)
    assert caught.value.reason in REASONS
    assert caught.value.detail
    return caught.value.reason


def refused(limits: Limits | None = None, **changes: object) -> str:
    return reason(json.dumps(GOOD | changes).encode(), limits)


def test_a_good_message_comes_through_with_all_its_fields() -> None:
    message, clamped = decode(
        title="Acme", author="ann", url="https://a.example/1", lang="en", symbols=["ACME", "BLX"], unknown={"a": [1]}
    )
    assert (message.id, message.source, message.text, message.title) == ("1", "wire", "Acme Widgets falls", "Acme")
    assert (message.author, message.url, message.lang) == ("ann", "https://a.example/1", "en")
    assert message.symbols == ("ACME", "BLX")
    assert not clamped


def test_any_offset_becomes_utc() -> None:
    message = decode(published_at="2026-03-02T21:59:00+08:00").message
    assert message.published_at == datetime(2026, 3, 2, 13, 59, tzinfo=UTC)
    assert message.published_at.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "tombstone"),
        (b"", "not_json"),
        (b"{", "not_json"),
        (b"\xff\xfe", "not_utf8"),
        (b'{"text":"\xe9"}', "not_utf8"),
        (b"[]", "wrong_type"),
        (b"null", "wrong_type"),
        (b"{}", "wrong_type"),
        (b"[" * 100_000, "wrong_type"),
        (b'{"a":' + b"[" * 100_000, "not_json"),
        (json.dumps(GOOD | {"schema": 99}).encode(), "newer_schema"),
    ],
)
def test_bytes_that_are_no_message_are_refused_by_name(value: bytes | None, expected: str) -> None:
    assert reason(value) == expected


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", 7),
        ("source", None),
        ("text", ["a"]),
        ("published_at", "yesterday"),
        ("published_at", 12),
        ("symbols", "A"),
    ],
)
def test_a_field_of_the_wrong_type_is_refused(field: str, value: object) -> None:
    assert reason(json.dumps(GOOD | {field: value}).encode()) == "wrong_type"


def test_a_time_without_an_offset_is_refused_rather_than_guessed() -> None:
    assert refused(published_at="2026-03-02T13:59:00") == "wrong_type"


def test_a_record_is_measured_before_it_is_parsed() -> None:
    limits = Limits(max_bytes=1_024)
    assert reason(b"{" * 1_025, limits) == "too_large"
    assert reason(b"{" * 1_024, limits) == "not_json"


def test_a_long_text_within_the_bound_is_kept_whole() -> None:
    assert len(decode(text="Acme falls. " * 5_000).message.text) == 60_000


@pytest.mark.parametrize("text", ["", "  \n\t", "\u200b\u200d\ufeff", "\u3164\u2800", "\u0301", "\x00\x01", "\u202e"])
def test_a_text_that_shows_nothing_is_refused(text: str) -> None:
    assert refused(text=text) == "empty_text"
    assert refused(text=text, title=text) == "empty_text"


def test_a_title_stands_in_for_an_empty_text() -> None:
    message = decode(text=" \u200b", title="Acme warns").message
    assert (message.text, message.title) == ("Acme warns", "Acme warns")


@pytest.mark.parametrize("text", ["涨", "📉", "?", "-5%"])
def test_a_short_text_that_shows_something_is_kept(text: str) -> None:
    assert decode(text=text).message.text == text


def test_control_characters_are_taken_out_of_texts_but_white_space_stays() -> None:
    message = decode(text="Ac\x00me\x1b[2J\nfalls\t5%", title="\x07Acme", author="a\x1b[31mnn\n", url="\x00").message
    assert message.text == "Acme[2J\nfalls\t5%"
    assert (message.title, message.author, message.url) == ("Acme", "a[31mnn", None)


@pytest.mark.parametrize("value", ["", " ", "\u200b", "a\x00b", "a\nb", "x" * 257])
def test_a_bad_id_or_source_is_refused(value: str) -> None:
    assert refused(id=value) == "bad_id"
    assert refused(source=value) == "bad_source"


def test_blank_side_fields_are_absent() -> None:
    message = decode(title=" ", author="", lang="x" * 40, symbols=["", " ACME ", "\x00"]).message
    assert (message.title, message.author, message.lang, message.symbols) == (None, None, None, ("ACME",))


def test_a_message_before_the_oldest_allowed_time_is_refused() -> None:
    assert refused(published_at="1999-12-31T23:59:59Z") == "too_old"
    assert decode(published_at="2000-01-01T00:00:00Z").message.published_at.year == 2000


def test_the_first_and_last_day_of_the_calendar_are_refused_not_crashed_on() -> None:
    assert refused(published_at="0001-01-01T00:00:00+23:00") == "too_old"
    assert refused(published_at="9999-12-31T23:59:59-23:00") == "in_the_future"


def test_a_time_in_the_near_future_is_clamped_and_marked() -> None:
    message, clamped = decode(published_at="2026-03-02T14:01:01Z")
    assert clamped
    assert message.published_at == NOW + timedelta(seconds=60)


def test_a_time_within_the_skew_is_believed() -> None:
    message, clamped = decode(published_at="2026-03-02T14:01:00Z")
    assert not clamped
    assert message.published_at == NOW + timedelta(seconds=60)


def test_a_time_in_the_far_future_is_refused() -> None:
    assert decode(published_at="2026-03-03T14:00:00Z").clamped
    assert refused(published_at="2026-03-03T14:00:01Z") == "in_the_future"


def test_the_arrival_may_be_given_in_any_offset() -> None:
    east = NOW.astimezone(datetime.strptime("+0800", "%z").tzinfo)
    message = Decoder().decode(json.dumps(GOOD | {"published_at": "2026-03-02T14:30:00Z"}).encode(), received_at=east)
    assert message.message.published_at == NOW + timedelta(seconds=60)
    assert message.message.published_at.utcoffset() == timedelta(0)


def test_limits_that_refuse_everything_are_refused() -> None:
    for bad in ({"max_bytes": 0}, {"max_future_s": -1}, {"oldest": datetime(2000, 1, 1)}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            Limits(**bad)


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused_with_a_known_reason(value: bytes) -> None:
    try:
        Decoder().decode(value, received_at=NOW)
    except RecordError as error:
        assert error.reason in REASONS


@given(st.text(max_size=8), st.text(max_size=8), st.text(max_size=8), st.text(max_size=8))
def test_message_ids_are_equal_only_for_equal_pairs(source: str, id_: str, other_source: str, other_id: str) -> None:
    same = (source, id_) == (other_source, other_id)
    assert (message_id(source, id_) == message_id(other_source, other_id)) == same


def test_a_colon_in_the_source_does_not_make_two_messages_one() -> None:
    assert message_id("wire", "7") == "wire:7"
    assert message_id("a:b", "c") != message_id("a", "b:c")
    assert message_id("a%3Ab", "c") != message_id("a:b", "c")


def test_blankness_is_decided_by_what_can_be_seen() -> None:
    assert is_blank("")
    assert not is_blank("\u200bx")
