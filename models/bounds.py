"""What of a text is looked at, before anything is prepared or tokenised: a bound on what one text can cost."""

from __future__ import annotations

import re

MOST_CHARACTERS = 65_536
"""Characters of a text that are looked at, several times what any model reads."""

ENDLESS_NUMBER = re.compile(r"&#[0-9]{641,};?")
"""Python may refuse to convert a number of more than 640 digits (PYTHONINTMAXSTRDIGITS), and `html.unescape` raises."""


def shorten(text: str) -> str:
    """Return what of a text is looked at: at most `MOST_CHARACTERS`, and nothing that `prepare` would fail at.

    It comes before `models.text.prepare`, so that a text of any size and content costs little and fails no batch. A
    numeric character reference of hundreds of digits becomes the replacement character, as any other does that names
    no character.
    """
    looked_at = text[:MOST_CHARACTERS]
    return ENDLESS_NUMBER.sub("\ufffd", looked_at) if "&#" in looked_at else looked_at


def is_shortened(text: str) -> bool:
    """Tell whether part of the text lies beyond what is looked at."""
    return len(text) > MOST_CHARACTERS
