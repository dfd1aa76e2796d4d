from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.text import prepare


@pytest.mark.parametrize(
    ("text", "prepared"),
    [
        ("Bracken &amp; Sons  up\n5%", "Bracken & Sons up 5%"),
        ("Read this https://example.org/a?b=1 now", "Read this http now"),
        ("WWW.EXAMPLE.ORG/x", "http"),
        ("", ""),
        ("  \t\n", ""),
        ("broken \ud800 half", "broken ? half"),
    ],
)
def test_links_entities_and_white_space_are_made_uniform(text: str, prepared: str) -> None:
    assert prepare(text) == prepared


@given(st.text(st.characters(exclude_categories=[])))
def test_any_string_becomes_valid_unicode(text: str) -> None:
    prepare(text).encode("utf-8")
