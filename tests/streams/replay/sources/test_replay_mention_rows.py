"""A row or a line of scored history: what it becomes, and what is refused of it."""

from __future__ import annotations

import json
from datetime import UTC
from pathlib import Path
from typing import Any

import msgspec
import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from streams.ingest.decode import Limits
from streams.records import Mention
from streams.replay.sources.mention_rows import BadRow, MentionRows
from streams.replay.sources.source import BadRecord
from tests.streams.replay.sources.scored_rows import (
    AT,
    CONFIG,
    MINUTE,
    complaint,
    lines,
    mentions,
    opened,
    read,
    row,
    table,
)


def test_a_given_story_is_taken_on_request_only(tmp_path: Path) -> None:
    path = lines(tmp_path / "m.jsonl", [row(1), row(2, story=""), row(3, story=17)])
    given, _ = read(opened(path, trust=True))
    assert [item.story for item in mentions(given)] == ["story-0", msgspec.UNSET, "17"]
    found, _ = read(opened(path))
    assert {item.story for item in mentions(found)} == {msgspec.UNSET}
    assert opened(path).facts.identity != opened(path, trust=True).facts.identity


def test_stories_to_be_trusted_must_be_there(tmp_path: Path) -> None:
    bare = {key: value for key, value in row(1).items() if key != "story"}
    assert "no column for the story" in complaint(lines(tmp_path / "m.jsonl", [bare]), trust=True)


@pytest.mark.parametrize("value", [-0.1, 1.5, 85, "high", None, True])
def test_what_is_no_probability_is_a_bad_row(tmp_path: Path, value: Any) -> None:
    path = lines(tmp_path / "m.jsonl", [row(1), row(2, negative=value)])
    records, bad = read(opened(path))
    assert len(mentions(records)) == 1
    assert [item.where for item in bad] == [f"{path}:2"]
    assert "negative" in bad[0].detail


@pytest.mark.parametrize("value", ["nan", "NaN", "inf", "1.01", ""])
def test_what_is_no_probability_in_a_table_is_a_bad_row(tmp_path: Path, value: str) -> None:
    path = table(tmp_path / "m.csv", [row(1), row(2, negative=value)])
    records, bad = read(opened(path))
    assert len(mentions(records)) == 1
    assert [item.where for item in bad] == [f"{path}:3"]
    assert "negative" in bad[0].detail


def test_nan_in_parquet_is_a_bad_row(tmp_path: Path) -> None:
    parquet.write_table(pyarrow.Table.from_pylist([row(1), row(2, negative=float("nan"))]), tmp_path / "m.parquet")
    records, bad = read(opened(tmp_path / "m.parquet"))
    assert len(mentions(records)) == 1
    assert "a probability from 0 to 1 is needed, not nan" in bad[0].detail


def test_what_is_not_given_of_the_sentiments_is_what_the_others_leave(tmp_path: Path) -> None:
    bare = {key: value for key, value in row(1).items() if key not in ("neutral", "positive")}
    path = lines(
        tmp_path / "m.jsonl", [bare, {**bare, "id": "n2", "positive": 0.5}, {**bare, "id": "n3", "neutral": 0.5}]
    )
    records, _ = read(opened(path))
    assert [(item.neutral, item.positive) for item in mentions(records)] == [(0.75, 0.0), (0.25, 0.5), (0.5, 0.25)]


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
@pytest.mark.parametrize(
    ("negative", "neutral", "positive", "total"),
    [(0.9, 0.9, 0.9, "2.7"), (0.3, 0.3, 0.3, "0.9"), (0.0, 0.0, 0.0, "0"), (0.4, 0.3, 0.33, "1.03")],
)
def test_probabilities_that_do_not_come_to_1_are_a_bad_row(
    tmp_path: Path, kind: str, negative: float, neutral: float, positive: float, total: str
) -> None:
    rows = [row(1), row(2, negative=negative, neutral=neutral, positive=positive)]
    path = (lines if kind == "jsonl" else table)(tmp_path / f"m.{kind}", rows)
    records, bad = read(opened(path))
    assert len(mentions(records)) == 1
    ((where, reason, detail),) = bad
    assert (where, reason) == (f"{path}:{2 if kind == 'jsonl' else 3}", "bad_row")
    given = f"negative {negative:g}, neutral {neutral:g} and positive {positive:g}"
    assert detail == f"{given} come to {total}: the probabilities of one message come to 1"


def test_two_probabilities_that_leave_nothing_for_the_third_are_a_bad_row(tmp_path: Path) -> None:
    bare = {key: value for key, value in row(2, negative=0.9).items() if key != "positive"}
    _, (bad,) = read(opened(lines(tmp_path / "m.jsonl", [row(1), bare])))
    assert "negative 0.9, neutral 0.5 and positive 0 come to 1.4" in bad.detail


def test_rounded_probabilities_are_taken_as_they_are(tmp_path: Path) -> None:
    rows = [
        row(1, negative=0.33, neutral=0.33, positive=0.33),
        row(2, negative=0.34, neutral=0.34, positive=0.335),
        row(3, negative=0.5, neutral=0.25, positive=0.27),
    ]
    for path in (lines(tmp_path / "m.jsonl", rows), table(tmp_path / "m.csv", rows)):
        records, bad = read(opened(path))
        assert not bad
        assert [[item.negative, item.neutral, item.positive] for item in mentions(records)] == [
            [item["negative"], item["neutral"], item["positive"]] for item in rows
        ]


def test_mixed_time_zones_come_out_in_utc_and_a_time_without_one_is_refused_unless_told(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "m.jsonl",
        [
            row(1, published_at="2026-03-02T22:00:00+08:00"),
            row(2, published_at="2026-03-02T09:01:00-05:00"),
            row(3, published_at="2026-03-02T14:02:00"),
            row(4, published_at=1_772_460_180),
        ],
    )
    records, bad = read(opened(path))
    assert [item.published_at for item in mentions(records)] == [AT, AT + MINUTE, AT + 3 * MINUTE]
    assert all(item.published_at.tzinfo is UTC for item in mentions(records))
    assert "has no offset such as Z or +08:00; with --assume-utc" in bad[0].detail
    assumed, none = read(opened(path, assume_utc=True))
    assert [item.published_at for item in mentions(assumed)][2] == AT + 2 * MINUTE
    assert none == []


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_a_time_behind_which_the_calendar_ends_is_a_bad_row(tmp_path: Path, name: str) -> None:
    rows = [row(1), row(2, published_at="9999-12-31T23:59:59Z")]
    path = (lines if name.endswith("jsonl") else table)(tmp_path / name, rows)
    bad: list[BadRecord] = []
    records = list(opened(path).records(0, on_bad=bad.append))
    assert len([item for item in records if isinstance(item.record, Mention)]) == 1
    assert [item.detail for item in bad] == ["published 9999-12-31T23:59:59+00:00, after 2200-01-01T00:00:00+00:00"]


def test_control_characters_do_not_reach_the_monitor(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "m.jsonl", [row(1, text="Brindlemoor\x1b[2J Foods\nfalls", author="\x07Ines ", title="\x1b]0;x")]
    )
    (found,) = mentions(read(opened(path))[0])
    assert (found.text, found.author, found.title) == ("Brindlemoor[2J Foods\nfalls", "Ines", "]0;x")


def test_a_long_text_is_cut_as_the_scorer_cuts_it(tmp_path: Path) -> None:
    (found,) = mentions(read(opened(lines(tmp_path / "m.jsonl", [row(1, text="x" * 5_000)])))[0])
    assert len(found.text) == CONFIG.ingest.mention_text_chars


_words = st.text(st.sampled_from("aZ9 $%:\x07\n\x9fé果\ufeff"), max_size=6)
_maybe = st.one_of(st.none(), _words)
_times = st.sampled_from(
    ["2026-03-02T14:00:00Z", "2026-03-02T14:00:00.25+08:00", "2026-03-02T14:00:00", "1999-01-01T00:00:00Z", "soon"]
)
_numbers = st.one_of(st.floats(-0.2, 1.2), st.integers(-1, 2), st.none())


@given(
    st.fixed_dictionaries(
        {
            "id": _words,
            "entity": _words,
            "source": _words,
            "published_at": _times,
            "negative": _numbers,
            "text": _words,
        },
        optional={
            "neutral": _numbers,
            "positive": _numbers,
            "author": _maybe,
            "story": _maybe,
            "topic": _maybe,
            "title": _maybe,
            "url": _maybe,
            "lang": _maybe,
            "received_at": st.one_of(st.none(), _times),
            "user": _words,
        },
    )
)
def test_the_short_way_takes_nothing_that_the_long_way_would_take_otherwise(values: dict[str, Any]) -> None:
    rows = MentionRows(limits=Limits(), text_chars=2_000, trust_stories=True)
    line = json.dumps(values).encode()
    quick = rows.quick(line, 7)
    if quick is None:
        return
    try:
        assert quick == rows.from_line(line, 7, default_source="file")
    except BadRow as error:
        pytest.fail(f"the short way takes what is bad: {error}")


def test_nearly_all_lines_go_the_short_way() -> None:
    rows = MentionRows(limits=Limits(), text_chars=2_000, trust_stories=True)
    for item in (row(1), row(2, text="two\nlines — 果仁"), row(3, published_at="2026-03-02T14:00:00+08:00")):
        assert rows.quick(json.dumps(item).encode(), 1) == rows.from_line(
            json.dumps(item).encode(), 1, default_source="file"
        )
