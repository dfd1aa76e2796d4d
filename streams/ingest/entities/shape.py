"""How a text is written around a name: whether a capital means anything there, and what supports a company."""

from __future__ import annotations

import re

from streams.ingest.entities.names import word_list

_WORDS = re.compile(r"[A-Za-z]{4,}")
_MIN_WORDS = 4
_MOSTLY = 0.7
_LOUD_LETTERS = 5
_MIN_LOUD_WORDS = 2
_OPENING = " \t'\"“”‘’«([{#@*>"
_SENTENCE_ENDS = ".!?:;|/-\n\r…—–•。！？：；"

STRONG_LEGAL = re.compile(r",? (?:incorporated|inc|corporation|corp|plc|ltd|limited|llc)\b")
"""A legal form after a (folded) name, enough even in lower case."""
LEGAL = re.compile(r",? (?:incorporated|inc|corporation|corp|company|co|plc|ltd|limited|llc|group|holdings)\b")
"""Any legal form after a (folded) name."""
POSSESSIVE = re.compile(r"'s?(?![a-z0-9])")
_AFTER = re.compile(r"(?:'s?)?(?:\.com\b| (?:" + "|".join(sorted(word_list("business_after"))) + r")\b)")
_BEFORE = re.compile(
    r"\b(?:(?:" + "|".join(sorted(word_list("business_after"))) + r") (?:of|in|at|for)"
    r"|" + "|".join(sorted(word_list("business_before"))) + r") [@#\"']?$"
)
_BEFORE_WINDOW = 32
"""Longer than the two longest words that can stand before a name."""


class Shape:
    """One text, asked about the surroundings of names in it; what concerns the whole text is worked out once.

    Args:
        text: the text as written.
        folded: the same, folded, character by character.
    """

    __slots__ = ("_shouting", "_title_case", "folded", "text")

    def __init__(self, text: str, folded: str) -> None:
        self.text = text
        self.folded = folded
        self._shouting: bool | None = None
        self._title_case: bool | None = None

    @property
    def shouting(self) -> bool:
        """Nearly all is in capitals, real words among it: "FED RAISES RATES", but not "AAPL MSFT NVDA"."""
        if self._shouting is None:
            words = [word for word in _WORDS.findall(self.text) if len(word) >= _LOUD_LETTERS]
            loud = sum(word.isupper() for word in words)
            self._shouting = loud >= _MIN_LOUD_WORDS and loud >= _MOSTLY * len(words)
        return self._shouting

    @property
    def title_case(self) -> bool:
        """Nearly All Words Begin With a Capital, so that a capital says nothing about one of them."""
        if self._title_case is None:
            words = _WORDS.findall(self.text)
            capitals = sum(word[0].isupper() for word in words)
            self._title_case = len(words) >= _MIN_WORDS and capitals >= _MOSTLY * len(words)
        return self._title_case

    def capitalised(self, start: int, end: int) -> bool:
        """The first letters of the first and the last word of the name are capitals."""
        written = self.text[start:end]
        last = max(written.rfind(" "), written.rfind("-")) + 1
        return written[0] == written[0].upper() and written[last : last + 1] == written[last : last + 1].upper()

    def starts_sentence(self, start: int) -> bool:
        """Whether a word at `start` would be capitalised in any case."""
        position = start - 1
        while position >= 0 and self.text[position] in _OPENING:
            position -= 1
        return position < 0 or self.text[position] in _SENTENCE_ENDS

    def hyphenated(self, start: int, end: int) -> bool:
        """A hyphen ties the name to another word: "gap-up", "on-target"."""
        return self.folded[end : end + 1] == "-" or (start > 0 and self.folded[start - 1] == "-")

    def among_names(self, start: int, end: int) -> bool:
        """A capitalised word stands directly before or after: perhaps part of another name, "Target Field"."""
        before = self.text[max(0, start - 24) : start].split(" ")
        after = self.text[end : end + 2]
        follows = len(after) == 2 and after[0] == " " and after[1].isupper()
        return follows or (len(before) > 1 and not before[-1] and before[-2][:1].isupper())

    def legal_form(self, end: int, *, strong: bool) -> bool:
        """A legal form follows; a strong one (Inc, Corp, plc) cannot be an ordinary word."""
        return (STRONG_LEGAL if strong else LEGAL).match(self.folded, end) is not None

    def possessive(self, end: int) -> bool:
        """`'s` follows."""
        return POSSESSIVE.match(self.folded, end) is not None

    def in_business(self, start: int, end: int) -> bool:
        """A word of business stands right after the name, or right before it."""
        if _AFTER.match(self.folded, end):
            return True
        return _BEFORE.search(self.folded[max(0, start - _BEFORE_WINDOW) : start]) is not None
