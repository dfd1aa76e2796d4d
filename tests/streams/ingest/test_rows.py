"""A row becomes a message, whatever its columns are called, or is refused with its line."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import InputError
from streams.ingest.decode import Decoder, Limits
from streams.ingest.readers import Row
from streams.ingest.rows import check_columns, message_from_row, parse_time
from streams.records import Message, encode

T = datetime(2026, 3, 2, 14, 0, 0, tzinfo=UTC)
GOOD: dict[str, object] = {"id": "1", "timestamp": "2026-03-02T14:00:00Z", "text": "Acme falls"}


def message(values: dict[str, object], **options: object) -> Message:
    return message_from_row(Row(7, values), default_source="file", **options)  # type: ignore[arg-type]


def complaint(values: dict[str, object], **options: object) -> str:
    with pytest.raises(InputError, match=r"^line 7: ") as caught:
        message(values, **options)
    return str(caught.value)


@pytest.mark.parametrize("time", ["published_at", "timestamp", "created_at", "date", "time", "Timestamp"])
@pytest.mark.parametrize("text", ["text", "body", "content", "TEXT"])
@pytest.mark.parametrize("symbols", ["symbol", "symbols", "ticker", "tickers"])
def test_columns_are_found_by_their_usual_names(time: str, text: str, symbols: str) -> None:
    found = message({time: "2026-03-02T14:00:00Z", text: "Acme falls", symbols: "ACME"})
    assert (found.published_at, found.text, found.symbols) == (T, "Acme falls", ("ACME",))


def test_every_field_is_taken_over() -> None:
    found = message(
        GOOD
        | {
            "source": "wire",
            "author_id": 925751546159169536,
            "link": "https://a.example",
            "headline": "Acme",
            "lang": "en",
        }
    )
    assert (found.source, found.author, found.url) == ("wire", "925751546159169536", "https://a.example")
    assert (found.title, found.lang) == ("Acme", "en")


def test_a_named_column_wins_over_the_usual_ones() -> None:
    values = GOOD | {"summary": "Borealis beats", "When": "2026-03-02T15:00:00Z"}
    found = message(values, columns={"text": "summary", "published_at": "When"})
    assert (found.text, found.published_at) == ("Borealis beats", T + timedelta(hours=1))


def test_a_named_column_that_is_not_there_is_told_with_those_that_are() -> None:
    assert "no column 'summary'; there is id, timestamp, text" in complaint(GOOD, columns={"text": "summary"})


def test_a_row_without_the_columns_says_which_are_needed() -> None:
    assert "no text; a column is needed that is named text, body" in complaint({"timestamp": GOOD["timestamp"]})
    assert "no time; a column is needed that is named published_at" in complaint({"text": "Acme falls"})
    assert "the text is empty" in complaint(GOOD | {"note": " "}, columns={"text": "note"})


def test_a_time_beyond_the_allowed_future_is_refused_when_the_time_now_is_given() -> None:
    limits = Limits(max_future_s=60)
    assert message(GOOD, limits=limits, now=T - timedelta(seconds=60)).published_at == T
    refused = complaint(GOOD, limits=limits, now=T - timedelta(seconds=61))
    assert "more than 60 s in the future (ingest.max_future_s)" in refused
    assert message(GOOD, limits=limits).published_at == T


@pytest.mark.parametrize(
    ("header", "columns", "expected"),
    [
        (["id", "note"], {}, "no column for the time; the columns are id, note; name one with --time-column"),
        (["Date", "note"], {}, "no column for the text; the columns are Date, note; name one with --text-column"),
        (["date", "text"], {"id": "key"}, "no column 'key', which --id-column names; the columns are date, text"),
    ],
)
def test_a_missing_column_is_told_with_those_there_and_the_option(
    header: list[str], columns: dict[str, str], expected: str
) -> None:
    with pytest.raises(InputError) as caught:
        check_columns(header, columns, (("published_at",), ("text", "title")))
    assert str(caught.value) == expected


@pytest.mark.parametrize("header", [["Date", "BODY"], ["date", "headline"], ["date", "note"]])
def test_columns_that_do_are_let_pass(header: list[str]) -> None:
    columns = {"text": "note"} if "note" in header else {}
    check_columns(header, columns, (("published_at",), ("text", "title")))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("ACME|BLX", ("ACME", "BLX")),
        ("$ACME, BLX ;COB", ("ACME", "BLX", "COB")),
        ("ACME|ACME", ("ACME",)),
        (["ACME", " BLX "], ("ACME", "BLX")),
        ("", ()),
        (None, ()),
    ],
)
def test_symbols_come_in_many_ways(written: object, expected: tuple[str, ...]) -> None:
    assert message(GOOD | {"symbols": written}).symbols == expected


@pytest.mark.parametrize(
    "written",
    [
        "2026-03-02T14:00:00Z", "2026-03-02 22:00:00+08:00", " 2026-03-02T14:00:00.000+00:00 ", "20260302T140000Z",
        "Mon, 02 Mar 2026 14:00:00 GMT", "Mon Mar 02 14:00:00 +0000 2026", 1772460000, "1772460000", 1772460000.0,
        1772460000000, "1772460000000", 1772460000000000, "1772460000000000000", T,
        T.astimezone(timezone(timedelta(hours=8))),
    ],
)  # fmt: skip
def test_a_time_is_understood_in_its_usual_forms(written: object) -> None:
    found = parse_time(written, column="t", assume_utc=False)
    assert found == T
    assert found.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "written", ["2026-03-02T14:00:00", "2026-03-02 14:00", "2026-03-02", datetime(2026, 3, 2), date(2026, 3, 2)]
)
def test_a_time_without_an_offset_is_refused_unless_utc_is_to_be_assumed(written: object) -> None:
    with pytest.raises(ValueError, match=r"t: .* has no offset .* --assume-utc"):
        parse_time(written, column="t", assume_utc=False)
    found = parse_time(written, column="t", assume_utc=True)
    assert (found.date(), found.tzinfo) == (date(2026, 3, 2), UTC)


@pytest.mark.parametrize(
    "written",
    ["yesterday", "", "20260302", "12", 12, -1, True, 1e300, float("inf"), ["2026"], "2026-13-01T00:00:00Z", "9" * 20],
)
def test_what_is_no_time_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match=r"^t: "):
        parse_time(written, column="t", assume_utc=False)


@given(st.integers(946_684_800_000, 99_999_999_999_000 // 10))
def test_milliseconds_lose_nothing(milliseconds: int) -> None:
    expected = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    assert parse_time(milliseconds, column="t", assume_utc=False) == expected
    assert parse_time(str(milliseconds), column="t", assume_utc=False) == expected


def test_an_id_is_made_of_source_time_and_text_and_is_the_same_each_time() -> None:
    values = {name: value for name, value in GOOD.items() if name != "id"}
    first, again = message(values), message(dict(values))
    assert first.id == again.id
    for change in ({"text": "other"}, {"timestamp": "2026-03-02T14:00:01Z"}, {"source": "wire"}):
        assert message(values | change).id != first.id


@pytest.mark.parametrize(("id_", "expected"), [(7, "7"), (7.0, "7"), (" a ", "a")])
def test_an_id_may_be_a_whole_number(id_: object, expected: str) -> None:
    assert message(GOOD | {"id": id_}).id == expected


def test_an_id_that_lost_its_last_digits_as_a_float_is_refused() -> None:
    assert "no identifier" in complaint(GOOD | {"id": 4.18157421951460035e17})


def test_nan_as_pandas_writes_it_is_an_absent_value() -> None:
    found = message(GOOD | {"author": float("nan"), "lang": float("nan")})
    assert (found.author, found.lang) == (None, None)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"text": ""}, "the text is empty"),
        ({"text": "\u200b"}, "the text is empty"),
        ({"text": 5}, "text: a text is needed, not the number 5"),
        ({"text": ["a"]}, "text: a text is needed, not list"),
        ({"timestamp": None}, "the time is empty"),
        ({"timestamp": "soon"}, "timestamp: 'soon' is no time"),
        ({"timestamp": "1999-12-31T00:00:00Z"}, "before 2000-01-01"),
        ({"id": "a\x00b"}, "id has the control character U+0000"),
        ({"source": "x" * 300}, "source has 300 characters"),
        ({"symbols": 7}, "symbols: a text or a list is needed"),
        ({"symbols": [7]}, "symbols: each must be a text"),
        ({"text": "涨" * 100_000}, "at most 262144 are read"),
    ],
)
def test_a_bad_row_is_refused_with_its_line_and_what_is_wrong(changes: dict[str, object], expected: str) -> None:
    assert expected in complaint(GOOD | changes)


def test_a_row_that_could_not_be_read_keeps_its_reason() -> None:
    with pytest.raises(InputError, match=r"^line 3: not UTF-8$"):
        message_from_row(Row(3, error="not UTF-8"), default_source="file")


def test_a_title_stands_in_for_the_text() -> None:
    assert message({"timestamp": "2026-03-02T14:00:00Z", "title": "Acme falls"}).text == "Acme falls"


@given(
    st.dictionaries(
        st.sampled_from(["id", "text", "time", "source", "symbols", "title", "author"]), st.text(max_size=20)
    )
)
def test_what_is_made_of_a_row_the_worker_accepts(values: dict[str, object]) -> None:
    try:
        made = message(values | {"time": "2026-03-02T14:00:00Z"}, limits=Limits())
    except InputError:
        return
    Decoder().decode(encode(made), received_at=T)


@pytest.mark.parametrize(
    ("header", "columns", "expected"),
    [
        (
            ["pubished_at", "text"],
            {},
            "the columns are pubished_at, text; 'pubished_at' may be meant",
        ),
        (["time", "Conten"], {}, "'Conten' may be meant; name one with --text-column"),
        (["time", "summary"], {"text": "sumary"}, "the columns are time, summary; did you mean 'summary'\\?"),
    ],
)
def test_a_column_of_nearly_the_right_name_is_offered(
    header: list[str], columns: dict[str, str], expected: str
) -> None:
    with pytest.raises(InputError, match=expected):
        check_columns(header, columns, (("published_at",), ("text", "title")))
