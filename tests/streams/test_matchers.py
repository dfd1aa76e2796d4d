"""Matchers in Alertmanager's syntax."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.matchers import Matcher, parse_label, parse_matcher

LABELS = {"entity": "ACME", "severity": "critical", "sector": "Real Estate"}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ('entity="ACME"', True),
        ("entity=ACME", True),
        (' entity = "ACME" ', True),
        ('entity!="ACME"', False),
        ('entity="ACM"', False),
        ('entity=~"AC.*|XYZ"', True),
        ('entity=~"AC"', False),  # the whole label has to fit
        ('entity!~"AC"', True),
        ('sector="Real Estate"', True),
        ('sector=~"Financials|Real Estate"', True),
        ('nothing=""', True),
        ('nothing!="x"', True),
        ('nothing="x"', False),
        ('nothing=~".+"', False),
    ],
)
def test_a_matcher_decides_as_alertmanager_does(text: str, matches: bool) -> None:
    assert parse_matcher(text).matches(LABELS) is matches


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("entity", "is no matcher"),
        ("=x", "is no matcher"),
        ("1a=x", "is no matcher"),
        ("a-b=x", "is no matcher"),
        ('entity=~"("', "holds no regular expression"),
        ("sector=Real Estate", "double quotes"),
        ('entity="a", severity="b"', "double quotes"),
        ("entity=a,severity=b", "one matcher is one list entry"),
    ],
)
def test_what_is_no_matcher_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_matcher(text)


@given(st.text(), st.sampled_from(["=", "!="]))
def test_what_is_written_is_read_back(value: str, operator: str) -> None:
    matcher = Matcher("entity", operator, value)  # type: ignore[arg-type]
    assert parse_matcher(str(matcher)) == matcher
    assert matcher.matches({"entity": value}) is (operator == "=")


def test_a_label_is_a_name_and_a_value() -> None:
    assert parse_label("entity=ACME") == ("entity", "ACME")
    assert parse_label('sector="Real Estate"') == ("sector", "Real Estate")
    with pytest.raises(ValueError, match="name=value"):
        parse_label("entity!=ACME")
