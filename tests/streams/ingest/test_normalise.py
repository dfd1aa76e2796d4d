"""Texts from any source become plain ones, at once and for good."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.ingest.normalise import normalise

PIECES = [
    "&", "amp;", "&amp;", "&#38;", "&#x26;", "lt;", "&lt;", "&gt;", "&#60;", "<", ">", "</", "<b>", "</b>",
    "<br/>", "<!--", "-->", "<script>", "</script>", "http", "https://", "www.", "t.co/", "a.example", "/x", ".",
    ",", ")", "(", "…", " ", "\n", "\u3000", "\u200b", "\u202e", "\u0301", "e", "K", "Ａ", "＄", "＆", "；", ";",
    "\u037e", "，", "ﬁ", "’", "中", "\ud800", "#", "97;", "&#97;", "&#0;", "&#146;", "'", '"', "\u2028", "\x1b",
    "\u1161", "\u1100", "\ufb1f",
]  # fmt: skip


def plain(text: str) -> str:
    return normalise(text).text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("AT&amp;T falls", "AT&T falls"),
        ("AT&amp;amp;T &amp;lt;b&amp;gt;falls", "AT&T falls"),
        ("don&#39;t&nbsp;sell &#x20AC;5", "don't sell €5"),
        ("it&#146;s", "it's"),
        ("S&P 500, R&D, P&L&notes; &unknown;", "S&P 500, R&D, P&L&notes; &unknown;"),
    ],
)
def test_entities_are_resolved_also_if_escaped_twice(text: str, expected: str) -> None:
    assert plain(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<p>Acme <b>W</b>idgets</p><p>falls</p>", "Acme Widgets falls"),
        ("Acme<br/>falls<hr class='x'>5%", "Acme falls 5%"),
        ("a <!-- hidden --> b<script>var x='<b>';</script> c <STYLE>k</style >d", "a b c d"),
        ("margin < 5 and > 3, see <GO> and <ACME US Equity>", "margin < 5 and > 3, see <GO> and <ACME US Equity>"),
    ],
)
def test_html_is_removed_and_what_only_looks_like_it_stays(text: str, expected: str) -> None:
    assert plain(text) == expected


@pytest.mark.parametrize(
    ("text", "expected", "links"),
    [
        ("Acme falls https://t.co/Ab1", "Acme falls", ("https://t.co/Ab1",)),
        ("Acme: see https://a.example/x?q=1&amp;r=2.", "Acme: see .", ("https://a.example/x?q=1&r=2",)),
        ("(http://a.example/w_(b)) ok", "( ) ok", ("http://a.example/w_(b)",)),
        ("www.a.example/1 t.co/2 pic.twitter.com/3", "", ("www.a.example/1", "t.co/2", "pic.twitter.com/3")),
        ("详情见https://a.example/1，公司否认", "详情见 ，公司否认", ("https://a.example/1",)),
        ("cut off http://a.exam… and http://…", "cut off and", ()),
        ("twice t.co/1 t.co/1", "twice", ("t.co/1",)),
        ("<a href='https://a.example/1'>Acme</a> falls", "Acme falls", ("https://a.example/1",)),
        ("U.S./China talks 24/7 at acme.example", "U.S./China talks 24/7 at acme.example", ()),
    ],
)
def test_links_are_removed_and_collected(text: str, expected: str, links: tuple[str, ...]) -> None:
    found = normalise(text)
    assert (found.text, found.links) == (expected, links)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("＄ＡＣＭＥ　跌５．５％", "$ACME 跌5.5%"),
        ("公司：“不评论”！真的？（是），好；。", "公司：“不评论”！真的？（是），好；。"),
        ("𝐀𝐜𝐦𝐞 Ⓐ ﬁling ￥5 ﹩ACME", "Acme A filing ¥5 $ACME"),
        ("up 5½% to 10² and…", "up 5½% to 10² and…"),
        ("cafe\u0301", "café"),
        ("Macy’s ‘said’", "Macy's ‘said’"),
        ("ｱｸﾒ ﾊﾞﾝｸ", "アクメ バンク"),
    ],
)
def test_letters_are_folded_and_figures_and_chinese_punctuation_keep_their_shape(text: str, expected: str) -> None:
    assert plain(text) == expected


def test_invisible_characters_go_and_white_space_is_one_space() -> None:
    assert (
        plain("\ufeff A\u200bc\u00adm\u2060e\ufe0f \u202efalls\u202c\t\n 5%\u3000\u2028now\x00\x1b ")
        == "Acme falls 5% now"
    )
    assert plain("\u200b \u3164\u2800") == ""


def test_half_a_character_becomes_the_replacement_character() -> None:
    assert plain("a\ud83d b") == "a\ufffd b"


@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=30).map("".join)))
@settings(max_examples=1_500)
def test_a_normal_text_stays_as_it_is(text: str) -> None:
    once = normalise(text)
    again = normalise(once.text)
    assert again.text == once.text
    assert again.links == ()
    assert once.text == once.text.strip()
    once.text.encode()


@pytest.mark.parametrize(
    "piece",
    [
        "<!--",
        "<script ",
        "<script></",
        "<a ",
        "&",
        "&#97;",
        "&amp;",
        "http://",
        "www.",
        "t.co/",
        ")",
        "\u0301\u0323",
        "<!---->",
    ],
)
def test_a_hostile_text_takes_time_in_proportion_to_its_length(piece: str) -> None:
    text = "https://x/" + piece * (200_000 // len(piece))
    started = time.process_time()
    normalise(text)
    assert time.process_time() - started < 3.0  # the quadratic forms of these took 12 to 50 s
