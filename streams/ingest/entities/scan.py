"""One field of a message (title or text) to the mentions in it: one pass of the automaton, then judgement."""

from __future__ import annotations

import re
from typing import NamedTuple

from streams.ingest.entities.fold import CJK_START, fold
from streams.ingest.entities.lexicon import Hit, Kind, Lexicon
from streams.ingest.entities.names import Certainty
from streams.ingest.entities.relevance import LinkKind
from streams.ingest.entities.shape import Shape
from streams.ingest.entities.symbols import code_symbol

_CASHTAG = re.compile(r"\$([a-z]{1,6}(?:[.\-/][a-z]{1,2})?)(?![a-z0-9_])")
_CHAINED = re.compile(r"(?:^|[^a-z0-9_$])(?:\$[a-z]{1,6})+$")
_CHAIN_WINDOW = 64
_AFTER_EXCHANGE = re.compile(r"( {0,2})([a-z]{1,6}(?:[.\-/][a-z]{1,2})?|\d{1,6})(?![a-z0-9_])")
_REUTERS = re.compile(r"[(<\[]([A-Z]{1,5})\.(?:N|O|OQ|K)[)>\]]$")
_REUTERS_WINDOW = 10
_AMOUNT = re.compile(
    r"[.,:/\-]?\d|[.%]\w|%|[ ]?(?:元|股|万|亿|人|手|块|点|个|名|吨|户|辆|台|套|美元|港元|港币|人民币"
    r"|shares\b|yuan\b|dollars\b|usd\b|rmb\b|people\b|jobs\b|units\b|users\b|employees\b|barrels\b|tons?\b|tonnes\b)"
)
_NUMBER_BEFORE = re.compile(r"(?:[$€£¥#+@_%]|\d[.,:/\- ]|[./:\-+])$")
_PHONE_BEFORE = re.compile(
    r"(?:\b(?:tel|phone|call|fax|mobile|code|zip|qq)|电话|手机|热线|传真|邮编|验证码|拨打|微信)[.:： ]*$"
)
_PHONE_WINDOW = 12
_LIST_END = frozenset(")],;")
_SIGNS = frozenset("$€£¥")
_ATTACHED = frozenset("@$€£¥")
_SHORT_SYMBOL = 4
"""Shorter symbols are not read in a text that is all in capitals, nor as hashtags in lower case."""
_FULL_WIDTH = "\uff00"
# Looking a member up in its enumeration takes longer than comparing it.
_NAME, _SYMBOL, _STOP, _LINK, _SURE = Kind.NAME, Kind.SYMBOL, Kind.STOP, Kind.LINK, Certainty.SURE


class Mention(NamedTuple):
    """One place in a field that means an entity; sorts by where it stands, the longest first."""

    start: int
    minus_length: int
    entity: int
    kind: LinkKind
    sure: bool
    """False: it counts only beside another, sure sign of the same entity."""

    @property
    def end(self) -> int:
        """First character after the mention."""
        return self.start - self.minus_length


class Scan(NamedTuple):
    """What one field holds."""

    mentions: tuple[Mention, ...]
    """In the order of the text; none overlaps another."""
    unknown: frozenset[str]
    """Symbols of companies outside the tables; they make a list of tags no less of a list."""


_EMPTY = Scan((), frozenset())


class Scanner:
    """Finds mentions by a lexicon.

    Args:
        lexicon: the automaton and the symbols.
    """

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        self._iter = lexicon.automaton.iter

    def __call__(self, text: str) -> Scan:
        """Find all mentions in `text`; spans are offsets into it."""
        folded = fold(text)
        size = len(folded)
        found: list[Mention] = []
        blocked: list[tuple[int, int]] = []
        unknown: set[str] = set()
        shape: Shape | None = None
        for last, hit in self._iter(folded):
            end = last + 1
            start = end - hit[1]
            if hit[2] and start:
                before = folded[start - 1]
                if before < CJK_START and (before.isalnum() or before == "_"):
                    continue
            if hit[3] and end < size:
                after = folded[end]
                if after < CJK_START and (after.isalnum() or after == "_") and not _plural(folded, hit, end):
                    continue
            kind = hit[0]
            if kind is _SYMBOL and text[start:end].islower() and not (start and folded[start - 1] == "#"):
                continue  # most hits are this: an ordinary word that is a symbol in capitals
            if kind is _NAME and hit[5] is _SURE and not (start and folded[start - 1] in _ATTACHED):
                found.append(Mention(start, start - end, hit[4], "name", True))
                continue
            if shape is None:
                shape = Shape(text, folded)
            if kind is _STOP or kind is _LINK:
                _block(blocked, text, hit, start, end)
            else:
                mention = self._judge(shape, hit, start, end, unknown)
                if mention is not None:
                    found.append(mention)
        if not found and not unknown:
            return _EMPTY
        return Scan(_resolve(found, blocked), frozenset(unknown))

    def _judge(self, shape: Shape, hit: Hit, start: int, end: int, unknown: set[str]) -> Mention | None:
        kind = hit.kind
        if kind == Kind.NAME:
            sure = _judge_name(shape, hit, start, end)
            return None if sure is None else Mention(start, start - end, hit.entity, "name", sure)
        if kind == Kind.SYMBOL:
            written = shape.text[start:end]
            if not written.isascii() and max(written) < _FULL_WIDTH:  # MÁS is no MAS
                return None
            short = len(written) < _SHORT_SYMBOL
            tagged = not short and start > 0 and shape.folded[start - 1] == "#"
            if not tagged and (not written.isupper() or (short and shape.shouting)):
                return None
            return Mention(start, start - end, hit.entity, "symbol", True)
        if kind == Kind.QUALIFIED:
            return Mention(start, start - end, hit.entity, "qualified", True)
        if kind == Kind.CODE:
            if _part_of_number(shape.folded, start, end):
                return None
            return Mention(start, start - end, hit.entity, "code", True)
        return self._judge_anchor(shape, hit, start, end, unknown)

    def _judge_anchor(self, shape: Shape, hit: Hit, start: int, end: int, unknown: set[str]) -> Mention | None:
        """A sign that a symbol follows (`$`, `NYSE:`) or has just ended (`.N)`)."""
        folded = shape.folded
        link: LinkKind = "qualified"
        if hit.kind == Kind.DOLLAR:
            found = _cashtag(folded, start)
            if found is None:
                return None
            symbol, begin, stop, link = found[1].removesuffix(".us"), start, found.end(), "cashtag"
        elif hit.kind == Kind.EXCHANGE:
            found = _AFTER_EXCHANGE.match(folded, end)
            if found is None or not _means_symbol(shape, found):
                return None
            symbol, begin, stop = found[2], start, found.end()
            if hit.suffix or symbol.isdigit():
                symbol = (code_symbol(symbol, hit.suffix) or symbol).lower()
        else:
            found = _REUTERS.search(shape.text[max(0, end - _REUTERS_WINDOW) : end])
            if found is None:
                return None
            begin = max(0, end - _REUTERS_WINDOW) + found.start()
            symbol, stop = found[1].lower(), end
        symbol = symbol.replace("-", ".").replace("/", ".")
        entity = self._lexicon.by_symbol.get(symbol)
        if entity is None:
            unknown.add(symbol)
            return None
        return Mention(begin, begin - stop, entity, link, True)


def _block(blocked: list[tuple[int, int]], text: str, hit: Hit, start: int, end: int) -> None:
    """Note a stop phrase or a link, unless it is part of a link already noted."""
    if blocked and end <= blocked[-1][1]:
        return
    blocked.append((start, _word_end(text, end) if hit.kind == Kind.LINK else end))


def _plural(folded: str, hit: Hit, end: int) -> bool:
    """`Googles`: a sure name with a plural s."""
    if hit.kind != Kind.NAME or hit.certainty != Certainty.SURE or folded[end] != "s" or folded[end - 1] == "s":
        return False
    following = folded[end + 1 : end + 2]
    return not (following and following < CJK_START and (following.isalnum() or following == "_"))


def _word_end(text: str, position: int) -> int:
    """Where the link at `position` ends: at white space, or at a letter of a script that links are not written in."""
    while position < len(text) and not text[position].isspace() and text[position] < CJK_START:
        position += 1
    return position


def _means_symbol(shape: Shape, found: re.Match[str]) -> bool:
    """After `NYSE:` stands a symbol, not a sentence: `NASDAQ: ALL` in brackets or a list, or `nasdaq:all` closed up."""
    written = shape.text[found.start(2) : found.end(2)]
    if not found[1] or written.isdigit():
        return True
    following = shape.text[found.end() : found.end() + 1]
    return written.isupper() and (not shape.shouting or not following or following in _LIST_END)


def _part_of_number(folded: str, start: int, end: int) -> bool:
    """A bare six-digit code is part of an amount, a price, a date or a telephone number."""
    code = folded[start:end]
    if code[:2] in ("19", "20") and 1 <= int(code[4:]) <= 12:
        return True  # 202403 is a month
    if _AMOUNT.match(folded, end) or _NUMBER_BEFORE.search(folded[max(0, start - 2) : start]):
        return True
    return _PHONE_BEFORE.search(folded[max(0, start - _PHONE_WINDOW) : start]) is not None


def _cashtag(folded: str, start: int) -> re.Match[str] | None:
    """The cashtag at a dollar sign, unless the sign stands inside a word (`US$A`, `A$AP`) or before `T-Mobile`."""
    found = _CASHTAG.match(folded, start)
    if found is None:
        return None
    if len(found[1]) == 1 and folded[found.end() : found.end() + 1] == "-":
        return None
    if start and folded[start - 1] < CJK_START and folded[start - 1].isalnum():
        return found if _CHAINED.search(folded[max(0, start - _CHAIN_WINDOW) : start]) else None  # $FB$AMZN
    return found


def _judge_name(shape: Shape, hit: Hit, start: int, end: int) -> bool | None:
    """Whether a name is sure (True), counts beside a sure sign (False), or is none (None)."""
    before = shape.folded[start - 1] if start else " "
    if before in _SIGNS or (before == "@" and start > 1 and shape.folded[start - 2].isalnum()):
        return None  # an amount ($3M), another company's cashtag ($HP), an e-mail address
    if hit.certainty == Certainty.SURE:
        return True
    if shape.folded[start] >= CJK_START:
        return False
    if hit.certainty == Certainty.EXACT:
        if not shape.text[start:end].isupper():
            return None
        return not hit.common or shape.in_business(start, end)
    return _judge_word(shape, hit.certainty, start, end)


def _judge_word(shape: Shape, level: Certainty, start: int, end: int) -> bool | None:
    """The same for a name that is an ordinary word, too; see `Certainty`."""
    capital = shape.capitalised(start, end)
    if shape.legal_form(end, strong=not capital):
        return True
    if level == Certainty.CAPITAL:
        return capital or shape.in_business(start, end)
    if not capital or shape.hyphenated(start, end):
        return None
    if level == Certainty.SUFFIX:
        return False
    if shape.in_business(start, end) or (shape.possessive(end) and not shape.among_names(start, end)):
        return True
    if level == Certainty.CONTEXT or shape.shouting or shape.text[start:end].isupper():
        return False
    return not (shape.starts_sentence(start) or shape.title_case or shape.among_names(start, end))


def _resolve(found: list[Mention], blocked: list[tuple[int, int]]) -> tuple[Mention, ...]:
    """Keep the leftmost and longest of overlapping mentions; drop those inside links and stop phrases."""
    if len(found) == 1 and not blocked:
        return tuple(found)
    found.sort()
    blocked.sort()
    kept = []
    reach = 0
    block = 0
    covered = -1
    for mention in found:
        while block < len(blocked) and blocked[block][0] <= mention.start:
            covered = max(covered, blocked[block][1])
            block += 1
        if mention.start >= reach and mention.end > covered:
            kept.append(mention)
            reach = mention.end
    return tuple(kept)
