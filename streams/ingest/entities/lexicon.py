"""All strings that may mean a company, in one Aho-Corasick automaton.

Every key leads to a `Hit`: what kind of string it is, its length, and whom it may mean. What stands around a hit
is judged by the linker.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

import ahocorasick

from streams.ingest.entities.fold import fold, is_word
from streams.ingest.entities.names import Certainty, certainty, phrase_list, variants, word_list
from streams.ingest.entities.symbols import EXCHANGES
from streams.ingest.entities.table import Entity

_US_EXCHANGES = ("nyse", "nasdaq", "nasdaqgs", "nasdaqgm", "nasdaqcm", "nysearca", "nyse arca", "nyse american", "amex")
_LINKS = ("http://", "https://", "www.")
_REUTERS = (".n", ".o", ".oq", ".k")
_BRACKETS = (")", ">", "]")
_MIN_BARE_SYMBOL = 3
_SIX_DIGITS = 6


class Kind(IntEnum):
    """What a key of the automaton is."""

    NAME = 0
    SYMBOL = 1
    CODE = 2
    QUALIFIED = 3
    DOLLAR = 4
    EXCHANGE = 5
    REUTERS = 6
    STOP = 7
    LINK = 8


class Hit(NamedTuple):
    """What the automaton knows about a key."""

    kind: Kind
    length: int
    left: bool
    """The key begins with a letter or digit, so no word character may stand before it."""
    right: bool
    entity: int = -1
    """Index of the entity, -1 if the key alone does not say."""
    certainty: Certainty = Certainty.SURE
    common: bool = False
    """An ordinary word, too."""
    suffix: str = ""
    """For EXCHANGE: the suffix of its symbols, empty for the United States."""


class Lexicon:
    """The automaton over a list of entities, and their symbols for look-up.

    A name that two entities share links neither; a name that another one bears in full is not shortened to.
    """

    def __init__(self, entities: Iterable[Entity]) -> None:
        self.entities = tuple(entities)
        self.by_symbol: dict[str, int] = {}
        """Folded symbols, `brk.b` and `brkb`, to the index of the entity."""
        self._hits: dict[str, Hit] = {}
        for index, entity in enumerate(self.entities):
            self._add_symbols(index, entity)
        for symbol, index in tuple(self.by_symbol.items()):
            self.by_symbol.setdefault(symbol.replace(".", ""), index)
        self._add_names()
        for index, entity in enumerate(self.entities):
            self._add_bare_symbols(index, entity)
        self._add_anchors()
        self.automaton = ahocorasick.Automaton()
        for key, hit in self._hits.items():
            self.automaton.add_word(key, hit)
        self.automaton.make_automaton()

    def _add(self, key: str, kind: Kind, **known: object) -> None:
        self._hits[key] = Hit(kind, len(key), is_word(key[0]), is_word(key[-1]), **known)  # type: ignore[arg-type]

    def _add_symbols(self, index: int, entity: Entity) -> None:
        for symbol in (entity.symbol, *entity.other_symbols):
            folded = symbol.lower()
            self.by_symbol.setdefault(folded, index)
            base, dot, suffix = folded.rpartition(".")
            if not (dot and base.isdigit()):
                continue
            for key in _code_forms(base, suffix):
                self._add(key, Kind.QUALIFIED, entity=index)
            if len(base) == _SIX_DIGITS:
                self._add(base, Kind.CODE, entity=index)

    def _add_names(self) -> None:
        """Names as they stand in the table first, then their variants; whom two claim alike is nobody's."""
        full: dict[str, set[int]] = {}
        derived: dict[str, set[int]] = {}
        levels: dict[str, Certainty] = {}
        for index, entity in enumerate(self.entities):
            for name in (entity.name, *entity.aliases):
                forms = variants(name)
                written = fold(name)
                for form in forms:
                    (full if form == written else derived).setdefault(form, set()).add(index)
                    level = certainty(name, form)
                    levels[form] = min(level, levels.get(form, level))
        common = word_list("common_words")
        for form in full.keys() | derived.keys():
            owners = full.get(form) or derived[form]
            if len(owners) == 1:
                (owner,) = owners
                self._add(form, Kind.NAME, entity=owner, certainty=levels[form], common=form in common)

    def _add_bare_symbols(self, index: int, entity: Entity) -> None:
        for symbol in (entity.symbol, *entity.other_symbols):
            folded = symbol.lower()
            if len(folded) < _MIN_BARE_SYMBOL or folded in self._hits or folded[0].isdigit() or _is_ordinary(folded):
                continue
            for key in {folded, folded.replace(".", "-"), folded.replace(".", "/")}:
                self._add(key, Kind.SYMBOL, entity=index)

    def _add_anchors(self) -> None:
        self._add("$", Kind.DOLLAR)
        for name in _US_EXCHANGES:
            for colon in (":", " :"):
                self._add(name + colon, Kind.EXCHANGE)
        for name, suffix in EXCHANGES.items():
            if name != "SHE":  # "she:" opens a line of dialogue
                self._add(name.lower() + ":", Kind.EXCHANGE, suffix=suffix)
        for suffix in _REUTERS:
            for bracket in _BRACKETS:
                self._add(suffix + bracket, Kind.REUTERS)
        for start in _LINKS:
            self._add(start, Kind.LINK)
        for phrase in phrase_list("stop_phrases"):
            self._add(phrase, Kind.STOP)


def _is_ordinary(symbol: str) -> bool:
    lists = ("common_words", "needs_context", "needs_suffix")
    return any(symbol in word_list(name) for name in lists)


def _code_forms(code: str, suffix: str) -> set[str]:
    """Folded ways to write a numeric code with its exchange."""
    if suffix == "hk":
        digits = code.lstrip("0")
        widths = [digits.zfill(width) for width in range(len(digits), 6)]
        return {f"{code}.hk" for code in widths} | {f"hk{code}" for code in widths if len(code) >= 4}
    spoken = ("ss", "sh") if suffix == "ss" else (suffix,)
    prefix = spoken[-1]
    return {f"{code}.{form}" for form in spoken} | {f"{prefix}{code}", f"{prefix}.{code}"}
