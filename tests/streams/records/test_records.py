"""Records on the wire: golden bytes per version, what is refused and by which word, UTC on both ways."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import RecordError
from streams.records import (
    DeadLetter,
    FeedMark,
    Mention,
    Message,
    ModelVersion,
    Origin,
    Progress,
    Seed,
    SeededBaseline,
    Verdict,
    decode_alert,
    decode_feed_mark,
    decode_mention,
    decode_message,
    decode_verdict,
    encode,
)
from tests.streams.invented_alert import AT, STORIES, sample_alert

GOLDEN = Path(__file__).parent / "golden"

MESSAGE = Message(
    id="881",
    source="newswire-1",
    published_at=AT,
    text="Brindlemoor Foods pulls three frozen lines; 果仁 found — “sorry”, it says",
    title="Brindlemoor recalls",
    author="Ines Vallor",
    url="https://wire.example/881",
    lang="en",
    symbols=("BRMFD",),
)
FEED_MARK = FeedMark(feed="history-2026", event_time=AT)
MENTION = Mention(
    message_id="newswire-1:881",
    entity="BRMFD",
    relevance=0.95,
    source="newswire-1",
    published_at=AT,
    received_at=AT + timedelta(seconds=2),
    scored_at=AT + timedelta(seconds=3, milliseconds=250),
    text="Brindlemoor Foods pulls three frozen lines",
    negative=0.91,
    neutral=0.07,
    positive=0.02,
    topic="company-news",
    topics={"company-news": 0.81, "legal": 0.12},
    model=ModelVersion(name="squall-minilm", version="0123456789ab"),
    origin=Origin(partition=3, offset=17),
    title="Brindlemoor recalls",
    author="Ines Vallor",
    url="https://wire.example/881",
    lang="en",
    truncated=True,
    watched=True,
)
PROGRESS = Progress(partition=3, partitions=4, event_time=AT, idle=True)
SEED = Seed(
    entity="BRMFD",
    learned_until=AT,
    learned_at=AT + timedelta(minutes=86),
    baselines={
        "NegativeShareSurge": SeededBaseline(
            rule_version="a1b2c3d4e5f6", votes=412.5, negative=99.25, at=AT - timedelta(minutes=1)
        )
    },
    identity="00aa11bb22cc33dd",
    force=True,
)
ALERT = sample_alert(
    id="0011223344556677",
    rule="NegativeShareSurge",
    rule_version="a1b2c3d4e5f6",
    labels={"alertname": "NegativeShareSurge", "entity": "BRMFD"},
    annotations={"summary": "BRMFD: 62% of 39 stories from 5 sources are negative, usually 24%"},
    starts_at=AT - timedelta(minutes=38),
    observed={"stories": 39},
    baseline={"low": 0.2, "high": 0.28, "votes": 412.5},
    e_value=51840.0,
    onset=AT - timedelta(minutes=60),
    delay_s=3600.0,
    topics={"company-news": 0.8, "legal": 0.2},
    counterfactual={"e_value": 12000.0, "fires": False},
    messages=(
        msgspec.structs.replace(
            STORIES[0], text="Brindlemoor Foods pulls three frozen lines", story="9f0c9f0c9f0c9f0c"
        ),
    ),
    quality={"late": 1, "truncated": 2, "capped": 3},
    versions={"squall": "0.1.0", "model": "squall-minilm@0123456789ab"},
    replay="squall replay --entity BRMFD --until 2026-03-18T10:04:00Z",
)
VERDICT = Verdict(
    message_id="newswire-1:881",
    alert_id="0011223344556677",
    verdict="false_alarm",
    by="desk-2",
    learned_at=AT + timedelta(hours=1),
    entity="BRMFD",
    note="old news",
)
LETTER = DeadLetter(
    value=b'{"id": "881", "text": 7}\xff',
    key=b"newswire-1",
    reason="wrong_type",
    detail="Expected `str`, got `int` - at `$.text` — 果",
    topic="squall.messages",
    partition=3,
    offset=17,
    refused_by="squall 0.1.0",
)

Decode = Callable[[bytes | None], Any]
RECORDS: dict[str, tuple[Any, Decode]] = {
    "message": (MESSAGE, decode_message),
    "feed_mark": (FEED_MARK, decode_feed_mark),
    "mention": (MENTION, decode_mention),
    "progress": (PROGRESS, decode_mention),
    "seed": (SEED, decode_mention),
    "alert": (ALERT, decode_alert),
    "verdict": (VERDICT, decode_verdict),
}
every_record = pytest.mark.parametrize("name", RECORDS)


def golden(name: str) -> bytes:
    return (GOLDEN / f"{name}.v1.json").read_bytes().rstrip(b"\n")


def changed(name: str, **fields: Any) -> bytes:
    """The golden record with other fields."""
    return json.dumps({**json.loads(golden(name)), **fields}).encode()


def refused(decode: Decode, data: bytes | None) -> str:
    with pytest.raises(RecordError) as error:
        decode(data)
    assert error.value.detail
    return error.value.reason


@every_record
def test_the_golden_bytes_of_a_version_are_read_and_written_for_ever(name: str) -> None:
    record, decode = RECORDS[name]
    assert decode(golden(name)) == record
    assert encode(record) == golden(name)


@every_record
def test_a_field_of_a_later_version_is_ignored(name: str) -> None:
    record, decode = RECORDS[name]
    assert decode(changed(name, mood={"deep": [1, {"er": None}]})) == record


@every_record
def test_a_newer_schema_is_refused_by_name_and_not_guessed_at(name: str) -> None:
    _, decode = RECORDS[name]
    with pytest.raises(RecordError, match=r"newer_schema: schema 2 .* upgrade"):
        decode(changed(name, schema=2, verdict="a word of version 2", text=None))


@every_record
@pytest.mark.parametrize("schema", [0, -1, "1", 1.5, None, [1]])
def test_a_schema_that_is_no_version_is_a_wrong_type(name: str, schema: object) -> None:
    assert refused(RECORDS[name][1], changed(name, schema=schema)) == "wrong_type"


@every_record
def test_a_record_without_a_schema_is_of_version_1(name: str) -> None:
    record, decode = RECORDS[name]
    fields = json.loads(golden(name))
    del fields["schema"]
    assert decode(json.dumps(fields).encode()) == record


@every_record
def test_a_tombstone_is_no_record(name: str) -> None:
    assert refused(RECORDS[name][1], None) == "tombstone"


@every_record
@pytest.mark.parametrize("data", [b"", b"{", b"hello", b'{"id": }', b"{} {}", b"[" * 100_000, b'{"a":' * 100_000])
def test_what_is_no_json_is_called_so(name: str, data: bytes) -> None:
    assert refused(RECORDS[name][1], data) in {"not_json", "wrong_type"}


@pytest.mark.parametrize("data", [b'{"id": }', b"{", b""])
def test_broken_json_is_not_called_a_wrong_type(data: bytes) -> None:
    assert refused(decode_message, data) == "not_json"


def test_nesting_without_end_is_refused_and_does_not_end_the_process() -> None:
    deep = golden("message")[:-1] + b',"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}"
    with pytest.raises(RecordError, match="not_json: nested too deeply"):
        decode_message(deep)


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("message", b"Vallor"),
        ("feed_mark", b"history"),
        ("mention", b"Vallor"),
        ("alert", b"stories"),
        ("verdict", b"desk"),
    ],
)
def test_bytes_that_are_not_utf8_are_named_with_their_place(name: str, word: bytes) -> None:
    bad = golden(name).replace(word, b"\xff" + word, 1)
    place = bad.index(b"\xff")
    with pytest.raises(RecordError, match=f"not_utf8: byte {place} "):
        RECORDS[name][1](bad)


@every_record
@pytest.mark.parametrize("data", [b"null", b"[]", b"7", b'"text"', b"{}"])
def test_json_that_is_no_such_record_is_a_wrong_type(name: str, data: bytes) -> None:
    assert refused(RECORDS[name][1], data) == "wrong_type"


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("message", "text", 7),
        ("message", "published_at", "yesterday"),
        ("message", "published_at", 1_700_000_000),
        ("message", "symbols", "AURL"),
        ("message", "symbols", [None]),
        ("mention", "negative", 1.01),
        ("mention", "negative", -0.01),
        ("mention", "relevance", None),
        ("mention", "origin", {"partition": "3", "offset": 1}),
        ("mention", "type", "rumour"),
        ("progress", "idle", "yes"),
        ("progress", "partition", 1.5),
        ("alert", "state", "worried"),
        ("alert", "severity", "loud"),
        ("alert", "transition", "1"),
        ("verdict", "verdict", "maybe"),
        ("feed_mark", "type", "mention"),
    ],
)
def test_a_field_of_the_wrong_type_is_named(name: str, field: str, value: object) -> None:
    with pytest.raises(RecordError) as error:
        RECORDS[name][1](changed(name, **{field: value}))
    assert error.value.reason == "wrong_type"
    assert field in error.value.detail or "Invalid value" in error.value.detail


TIMES = [
    ("message", "published_at"),
    ("feed_mark", "event_time"),
    ("mention", "published_at"),
    ("mention", "received_at"),
    ("mention", "scored_at"),
    ("progress", "event_time"),
    ("alert", "at"),
    ("alert", "starts_at"),
    ("alert", "fired_at"),
    ("alert", "ends_at"),
    ("verdict", "learned_at"),
]


@pytest.mark.parametrize(("name", "field"), TIMES)
def test_a_time_without_an_offset_is_refused(name: str, field: str) -> None:
    assert refused(RECORDS[name][1], changed(name, **{field: "2026-03-18T10:04:00"})) == "wrong_type"


@pytest.mark.parametrize(("name", "field"), [pair for pair in TIMES if pair[0] not in {"message", "feed_mark"}])
def test_within_squall_a_time_of_another_zone_is_refused(name: str, field: str) -> None:
    with pytest.raises(RecordError, match=r"wrong_type: .* is not in UTC"):
        RECORDS[name][1](changed(name, **{field: "2026-03-18T12:04:00+02:00"}))


@pytest.mark.parametrize("name", ["message", "feed_mark"])
def test_publishers_may_write_any_offset(name: str) -> None:
    _, decode = RECORDS[name]
    field = "published_at" if name == "message" else "event_time"
    assert getattr(decode(changed(name, **{field: "2026-03-18T12:04:00+02:00"})), field) == AT


@pytest.mark.parametrize("path", ["onset", "observed.window_start", "observed.window_end", "messages.0.published_at"])
def test_times_within_the_evidence_are_in_utc_as_well(path: str) -> None:
    fields = json.loads(golden("alert"))
    inner: Any = fields["evidence"]
    *outer, last = path.split(".")
    for step in outer:
        inner = inner[int(step)] if isinstance(inner, list) else inner[step]
    inner[last] = "2026-03-18T12:04:00+02:00"
    with pytest.raises(RecordError, match="is not in UTC"):
        decode_alert(json.dumps(fields).encode())


def test_a_record_cannot_be_made_with_a_time_of_another_zone() -> None:
    elsewhere = AT.astimezone(timezone(timedelta(hours=2)))
    with pytest.raises(ValueError, match=r"2026-03-18T12:04:00\+02:00 is not in UTC: convert it"):
        msgspec.structs.replace(MENTION, scored_at=elsewhere)
    with pytest.raises(ValueError, match="is not in UTC"):
        msgspec.structs.replace(VERDICT, learned_at=AT.replace(tzinfo=None))


def test_a_verdict_judges_a_message_or_an_alert() -> None:
    assert refused(decode_verdict, changed("verdict", message_id=None, alert_id=None)) == "wrong_type"
    assert decode_verdict(changed("verdict", message_id=None)).alert_id == VERDICT.alert_id


def test_a_mention_and_a_progress_are_told_apart_on_their_topic() -> None:
    assert isinstance(decode_mention(golden("mention")), Mention)
    assert isinstance(decode_mention(golden("progress")), Progress)
    fields = json.loads(golden("mention"))
    del fields["type"]
    assert refused(decode_mention, json.dumps(fields).encode()) == "wrong_type"


def test_equal_records_are_equal_bytes_whatever_the_order_of_their_dictionaries() -> None:
    turned = dict(reversed(list(MENTION.topics.items())))
    assert encode(msgspec.structs.replace(MENTION, topics=turned)) == encode(MENTION)


def test_a_dead_letter_of_version_1_is_written_and_read_as_its_golden_headers_say() -> None:
    headers = {name: text.encode() for name, text in json.loads(golden("dead_letter")).items()}
    assert dict(LETTER.headers()) == headers
    assert DeadLetter.from_headers(headers.items(), key=LETTER.key, value=LETTER.value) == LETTER


@given(
    value=st.none() | st.binary(),
    key=st.none() | st.binary(),
    detail=st.text(),
    reason=st.sampled_from(["tombstone", "unscorable", "not_utf8"]),
    partition=st.integers(0, 10_000),
    offset=st.integers(0, 2**63 - 1),
)
def test_a_dead_letter_comes_back_from_its_headers_with_its_very_bytes(
    value: bytes | None, key: bytes | None, detail: str, reason: str, partition: int, offset: int
) -> None:
    letter = msgspec.structs.replace(
        LETTER, value=value, key=key, detail=detail, reason=reason, partition=partition, offset=offset
    )
    assert DeadLetter.from_headers(letter.headers(), key=key, value=value) == letter


def test_a_detail_that_cannot_be_written_in_utf8_loses_only_what_cannot_be_written() -> None:
    letter = msgspec.structs.replace(LETTER, detail="a\udcffb")
    assert dict(letter.headers())["squall-detail"] == b"a?b"


@pytest.mark.parametrize("missing", [name for name, _ in LETTER.headers()])
def test_headers_that_are_not_all_there_are_refused(missing: str) -> None:
    headers = [(name, value) for name, value in LETTER.headers() if name != missing]
    with pytest.raises(RecordError, match=f"wrong_type: .*{missing}"):
        DeadLetter.from_headers(headers, key=None, value=b"")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("squall-offset", b"many"),
        ("squall-schema", b""),
        ("squall-detail", b"\xff"),
        ("squall-partition", None),
        ("squall-reason", None),
    ],
)
def test_headers_that_say_something_else_are_refused(name: str, value: bytes | None) -> None:
    headers: list[tuple[str, Any]] = [*LETTER.headers(), (name, value)]
    with pytest.raises(RecordError, match="wrong_type: not the headers of a dead letter"):
        DeadLetter.from_headers(headers, key=None, value=b"")


def test_a_dead_letter_of_a_newer_schema_is_refused_by_name() -> None:
    with pytest.raises(RecordError, match="newer_schema"):
        DeadLetter.from_headers([*LETTER.headers(), ("squall-schema", b"2")], key=None, value=b"")


def test_a_story_is_written_only_where_one_is_given() -> None:
    assert b"story" not in encode(MENTION)
    given = msgspec.structs.replace(MENTION, story="wire-7")
    assert decode_mention(encode(given)) == given
    assert json.loads(encode(given))["story"] == "wire-7"


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"votes": -1.0}, "votes"),
        ({"negative": 500.0}, "more than the 412.5 votes"),
        ({"at": "2026-03-18T10:05:00Z"}, "after 2026-03-18T10:04:00"),
        ({"at": "2026-03-18T10:03:00"}, "at"),
        ({"votes": "412"}, "votes"),
    ],
)
def test_a_seed_of_numbers_that_cannot_be_is_refused(fields: dict[str, Any], why: str) -> None:
    baselines = json.loads(golden("seed"))["baselines"]
    baselines["NegativeShareSurge"].update(fields)
    with pytest.raises(RecordError, match=why) as error:
        decode_mention(changed("seed", baselines=baselines))
    assert error.value.reason == "wrong_type"
