"""Folding that keeps every offset: upper and full-width letters, accents, quotes and dashes become one plain form.

The folded text has exactly as many characters as the original, so a span found in one is a span of the other.
"""

from __future__ import annotations

import unicodedata

_QUOTES = "‘’‛ʼ′`´"
_DASHES = "‐‑‒–—―−"
_SPACES = "\t\r\n\v\f\u00a0\u2007\u202f\u3000"

CJK_START = "\u2e80"
"""Letters from here on (ideographs, kana, hangul) are written without spaces between words."""


class _FoldTable(dict[int, str]):
    """A table for `str.translate` that works out a character once, when it is first seen."""

    def __missing__(self, code: int) -> str:
        folded = _fold_character(chr(code))
        self[code] = folded
        return folded


def _fold_character(character: str) -> str:
    if character in _QUOTES:
        return "'"
    if character in _DASHES:
        return "-"
    if character in _SPACES:
        return " "
    plain = unicodedata.normalize("NFKD", character)
    if len(plain) > 1 and all(unicodedata.combining(mark) for mark in plain[1:]) and plain[0] < CJK_START:
        plain = plain[0]  # an accented Latin letter: Estée and Estee are one name
    lowered = plain.lower()
    return lowered if len(lowered) == 1 else character


_TABLE = _FoldTable()


def fold(text: str) -> str:
    """Fold `text` for matching; the result has the same length, character by character."""
    return text.translate(_TABLE)


def is_word(character: str) -> bool:
    """Whether a name that ends beside this (folded) character would be cut out of a longer word."""
    return (character.isalnum() and character < CJK_START) or character == "_"


def is_cjk(character: str) -> bool:
    """Whether the character belongs to a script without spaces between words."""
    return character >= CJK_START and character.isalnum()
