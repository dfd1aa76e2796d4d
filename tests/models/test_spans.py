"""Positions in the prepared text lead back to the characters that were given."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.bounds import MOST_CHARACTERS, shorten
from models.spans import align, words_of
from models.text import prepare

PIECES = st.sampled_from([
    "&amp;", "&amp", "&lt;b&gt;", "&notit;", "&semi;", "&fjlig;", "&#36;", "&#x1F642;", "&#1;", "&#xD800;", "&&", "&;",
    "https://t.co/aB9", "WWW.example.org/x?a=1&amp;b=2", "https:&#47;&#47;q.example", " ", "\n\t", "\u3000", "$OSTM",
    "S&P", "3.5%", "&#" + "9" * 700 + ";",
    "🙈", "👩‍👩‍👧", "负面消息", "é", "e\u0301", "\u200b", "\u202e", "\ud800", "falls", "!",
])  # fmt: skip
TEXTS = st.lists(PIECES | st.text(max_size=4), max_size=12).map("".join)


@given(TEXTS)
@example("&semi; rest")
@example("&#1; &#1;")
def test_an_aligned_text_is_the_prepared_one_and_its_characters_keep_their_order(text: str) -> None:
    aligned = align(text)
    assert aligned.text == prepare(shorten(text))
    assert len(aligned.starts) == len(aligned.ends) == len(aligned.text)
    assert list(aligned.starts) == sorted(aligned.starts)
    assert all(0 <= start < end <= len(text) for start, end in zip(aligned.starts, aligned.ends, strict=True))


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="&"), max_size=40))
def test_what_preparation_leaves_alone_stands_where_it_stood(text: str) -> None:
    aligned = align(text)
    for at, character in enumerate(aligned.text):
        start, end = aligned.original(at, at + 1)
        if end == start + 1 and character not in " http":
            assert text[start:end] == character


@pytest.mark.parametrize(
    ("text", "prepared", "original"),
    [
        ("S&amp;P falls", "&", "&amp;"),
        ("see  https://t.co/aB9 now", "http", "https://t.co/aB9"),
        ("see  https://t.co/aB9 now", "now", "now"),
        ("a \n\t b", " ", " \n\t "),
        ("🙈&#36;OSTM 🙈", "$OSTM", "&#36;OSTM"),
        ("&notit; x", "¬", "&not"),
        ("&fjlig;ord", "fj", "&fjlig;"),
        ("&semi;", ";", "&semi;"),
        ("负&nbsp;面", "面", "面"),
        ("go www.x.example/?a&amp;b=2 up", "http", "www.x.example/?a&amp;b=2"),
    ],
)
def test_a_replaced_stretch_stands_for_all_that_it_replaced(text: str, prepared: str, original: str) -> None:
    aligned = align(text)
    at = aligned.text.index(prepared)
    start, end = aligned.original(at, at + len(prepared))
    assert text[start:end] == original


def test_an_empty_stretch_or_one_beyond_the_text_is_refused() -> None:
    aligned = align("abc")
    for start, end in ((1, 1), (2, 1), (-1, 2), (0, 4)):
        with pytest.raises(ValueError, match="no stretch of 3"):
            aligned.original(start, end)


def test_a_word_is_what_a_reader_takes_for_one() -> None:
    text = "$OSTM: S&P cuts 3.5% of Moody's #short-sell @desk_x (e-mail), 负面 ok. naïve 1,200.50"
    assert [text[start:end] for start, end in words_of(text)] == [
        "$OSTM", "S&P", "cuts", "3.5%", "of", "Moody's", "#short-sell", "@desk_x", "e-mail", "ok", "naïve",
        "1,200.50",
    ]  # fmt: skip


def test_of_a_megabyte_what_is_looked_at_is_aligned() -> None:
    aligned = align("&amp; a&" * 125_000)
    assert aligned.text == "& a&" * (MOST_CHARACTERS // 8)
    assert aligned.original(len(aligned.text) - 1, len(aligned.text)) == (MOST_CHARACTERS - 1, MOST_CHARACTERS)


def test_a_number_too_long_to_be_converted_keeps_what_follows_in_its_place() -> None:
    text = "a &#" + "9" * 700 + "; falls"
    aligned = align(text)
    start, end = aligned.original(aligned.text.index("falls"), len(aligned.text))
    assert text[start:end] == "falls"
    start, end = aligned.original(2, 3)
    assert text[start:end] == "&#" + "9" * 700 + ";"
