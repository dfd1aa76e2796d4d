from __future__ import annotations

import pytest

from streams.whole_text import with_title


@pytest.mark.parametrize(
    ("title", "text", "whole"),
    [
        (None, "Quenby wins an order", "Quenby wins an order"),
        ("Quenby wins", "It is worth millions", "Quenby wins. It is worth millions"),
        ("Quenby wins", "Quenby wins an order worth millions", "Quenby wins an order worth millions"),
    ],
)
def test_the_title_stands_before_the_text_once(title: str | None, text: str, whole: str) -> None:
    assert with_title(title, text) == whole
