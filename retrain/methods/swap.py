"""Entity swap: a company's name or symbol in a text is exchanged for another company's.

What is said does not depend on whom it is said of: a model that learns from swapped texts has less reason to learn a
leaning towards names that were often in the news, and a test can ask whether it has one.
"""

from __future__ import annotations

import random
import re
from functools import cache

from streams.ingest.entities.fold import CJK_START
from streams.ingest.entities.lexicon import Lexicon
from streams.ingest.entities.scan import Scanner
from streams.ingest.entities.table import Entity, EntityTable, sp500

_LEGAL_FORM = re.compile(
    r",? (?:Inc|Corp|Corporation|Company|Co|Ltd|Limited|plc|PLC|Group|Holdings|N\.V|S\.A|AG|SE)\.?$"
)
"""What a text leaves out when it speaks of a company."""


class Swapper:
    """Exchanges the companies of a text for others of a table; holds no changing state.

    Args:
        table: the companies, at least two.
    """

    def __init__(self, table: EntityTable) -> None:
        if len(table) < 2:
            raise ValueError(f"an entity swap needs a table of at least 2 companies, got {len(table)}")
        self._entities = table.entities
        self._scan = Scanner(Lexicon(table))

    def __call__(self, text: str, dice: random.Random) -> str:
        """Return the text with each of its companies exchanged for one that it does not name; all mentions alike.

        A cashtag becomes a cashtag, a symbol a symbol, a name a name without its legal form. A text that names no
        company of the table comes back as it is.
        """
        mentions = [mention for mention in self._scan(text).mentions if mention.sure]
        named = list(dict.fromkeys(mention.entity for mention in mentions))
        others = _draw(dice, len(self._entities), named)
        taken = dict(zip(named, others, strict=False))
        parts: list[str] = []
        at = 0
        for mention in mentions:
            other = taken.get(mention.entity)
            if other is None or mention.start < at:
                continue
            parts += [text[at : mention.start]]
            parts += [
                _in_place_of(text[mention.start : mention.end], self._entities[mention.entity], self._entities[other])
            ]
            at = mention.end
        return "".join((*parts, text[at:]))


def _draw(dice: random.Random, size: int, named: list[int]) -> list[int]:
    """Return as many other entities as are named, each once; fewer where there are no more."""
    wanted = min(len(named), size - len(named))
    drawn: list[int] = []
    while len(drawn) < wanted:
        other = dice.randrange(size)
        if other not in drawn and other not in named:
            drawn.append(other)
    return drawn


def _in_place_of(mention: str, entity: Entity, other: Entity) -> str:
    head, separator, symbol = mention.rpartition(":")
    if separator:  # an exchange before its symbol
        return f"{head}:{other.symbol}" if symbol.strip() else other.symbol
    bare = mention.lstrip("$#")
    sign = mention[: len(mention) - len(bare)]
    if sign or bare.upper() in (entity.symbol, *entity.other_symbols):
        return sign + (other.symbol.lower() if bare.islower() else other.symbol)
    name = _LEGAL_FORM.sub("", other.name)
    if mention[:1] >= CJK_START:
        name = next((alias for alias in other.aliases if alias[:1] >= CJK_START), name)
    if mention.isupper() and len(mention) > 1:
        return name.upper()
    return name.lower() if mention.islower() else name


@cache
def default_swapper() -> Swapper:
    """Return the swapper of the shipped table; built once, which takes a moment."""
    return Swapper(sp500())
