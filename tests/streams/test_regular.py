"""Regular expressions: they say what Python's say, never run away, and are refused in words."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.matchers import made_matcher, parse_matcher
from streams.regular import MAX_LENGTH, ExpressionError, fits

ONES = st.sampled_from(["a", "b", "A", ".", "[ab]", "[^a]", "[]a]", "[a-c\\d]", "\\w", "\\s", "\\.", "é"])


def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    grouped = st.tuples(st.sampled_from(["({})", "(?:{})"]), inner).map(lambda two: two[0].replace("{}", two[1]))
    repeated = st.tuples(ONES | grouped, st.sampled_from(["*", "+", "?", "{2}", "{1,}", "{1,3}", "*?", "??"]))
    return st.one_of(
        grouped,
        repeated.map("".join),
        st.lists(inner, max_size=3).map("".join),
        st.lists(inner, min_size=1, max_size=3).map("|".join),
    )


expressions = st.recursive(ONES, grown, max_leaves=8)
texts = st.text("abA1. \né", max_size=8)


@given(expressions, texts, st.booleans())
def test_it_fits_what_python_says_that_it_fits(written: str, text: str, either_case: bool) -> None:
    written = "(?i)" * either_case + written
    # RE2's classes are those of ASCII.
    assert fits(written, text) is (re.fullmatch(written, text, re.DOTALL | re.ASCII) is not None)


@given(st.text("ab(|)[]*+?{,12}^$\\.-:i", max_size=14), st.text("ab", max_size=4))
def test_whatever_is_written_is_answered_or_refused_in_words(written: str, text: str) -> None:
    try:
        fits(written, text)
    except ExpressionError as error:
        assert str(error)


@pytest.mark.parametrize(
    "expression",
    [r"(\w+\s?)+!", "(a*)*!", "(a|a)*!", "(a|aa)" * 40 + "!", "a?" * 60 + "a" * 60 + "!", ".*" * 60 + "!", "(a+){40}!"],
)
@pytest.mark.timeout(20)
def test_what_takes_others_hours_is_answered(expression: str) -> None:
    assert not fits(expression, "a" * 120)
    assert fits(expression, "a" * 60 + "!")


@pytest.mark.parametrize(
    ("expression", "text", "fit"),
    [
        ("^ACME$", "ACME", True),
        ("^(AC|BC).*$", "BCX", True),
        ("A^B", "AB", False),
        ("(?i)acme", "ACME", True),
        ("", "", True),
        ("", "x", False),
        ("a||b", "", True),
        ("a{x}", "a{x}", True),
    ],
)
def test_ends_cases_and_nothing(expression: str, text: str, fit: bool) -> None:
    assert fits(expression, text) is fit


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("(", "missing \\)"),
        (")", "unexpected \\)"),
        ("[a", "missing \\]"),
        ("*a", "no argument for repetition"),
        ("a**", "bad repetition operator"),
        ("a*+", "bad repetition operator"),
        ("a{2,1}", "invalid repetition size"),
        ("[b-a]", "invalid character class range"),
        ("\\", "trailing"),
        (r"(a)\1", "invalid escape sequence"),
        ("(?=a)a", "invalid perl operator"),
        ("((a{40}){40}){40}", "invalid repetition size"),
        ("(" * 3000 + ")" * 3000, f"{MAX_LENGTH:,} is the most"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(expression: str, words: str) -> None:
    with pytest.raises(ExpressionError, match=words):
        fits(expression, "")
    with pytest.raises(ValueError, match=f"holds no regular expression that can be used: .*{words}"):
        made_matcher("entity", "=~", expression)


def test_a_long_list_of_names_is_no_trouble() -> None:
    names = [f"C{number:04}" for number in range(150)]
    matcher = parse_matcher(f'entity=~"{"|".join(names)}"')
    assert matcher.matches({"entity": "C0149"})
    assert not matcher.matches({"entity": "C0150"})
