"""Messages to companies: who is meant, how surely, and where."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from streams.ingest.entities.lexicon import Lexicon
from streams.ingest.entities.relevance import (
    PUBLISHER_WEIGHT,
    TITLE_WEIGHT,
    WEIGHTS,
    LinkKind,
    combine,
    mention_weight,
    place_evidence,
)
from streams.ingest.entities.scan import Mention, Scan, Scanner
from streams.ingest.entities.symbols import normal_symbol
from streams.ingest.entities.table import EntityTable
from streams.ingest.entities.watchlist import Watchlist

Place = Literal["title", "text", "symbols"]
_NOTHING = Scan((), frozenset())
_RANK: dict[LinkKind, float] = {**WEIGHTS, "publisher": 0.0}


class Link(msgspec.Struct, frozen=True):
    """One company that a message speaks of."""

    entity: str
    """Its symbol in the table."""
    relevance: float
    """0 to 1: see `streams.ingest.entities.relevance`."""
    kind: LinkKind
    """The strongest sign of it; `publisher` if only the publisher named it."""
    place: Place
    """Where its first mention stands: the title comes before the text; `symbols` if in neither."""
    start: int
    end: int
    """Span of the first mention, in characters of `place`; both 0 if the place is `symbols`."""
    mentions: int
    """How often title and text speak of it."""
    watched: bool
    """It is on a watch list."""


class Linker:
    """Links messages to the companies of a table; after construction it holds no changing state.

    Args:
        table: the companies.
        watchlists: lists of watched companies; the names they give to a company are read as its aliases.
        extra_tables: more companies, or more names for those of `table`.

    Raises:
        InputError: the tables contradict each other, or a watch list names an unknown company.
    """

    def __init__(
        self,
        table: EntityTable,
        *,
        watchlists: Iterable[Watchlist] = (),
        extra_tables: Iterable[EntityTable] = (),
    ) -> None:
        watchlists = tuple(watchlists)
        merged = table.merged(extra_tables)
        for watchlist in watchlists:
            merged = watchlist.extend(merged)
        self.table = merged
        self._lexicon = Lexicon(merged)
        self._scan = Scanner(self._lexicon)
        self._symbols = tuple(entity.symbol for entity in merged)
        self._index = {symbol: index for index, symbol in enumerate(self._symbols)}
        self._watched = frozenset(symbol for watchlist in watchlists for symbol in watchlist.symbols(merged))

    @property
    def watches(self) -> bool:
        """Whether any company is on a watch list."""
        return bool(self._watched)

    def link(self, text: str, *, title: str | None = None, symbols: Sequence[str] = ()) -> tuple[Link, ...]:
        """Link one message.

        Args:
            text: its text, normalised or not.
            title: its title, if it has one.
            symbols: companies that the publisher named, in any usual form; unknown ones are passed over.

        Returns:
            One link per company, the most relevant first, equal ones by symbol.
        """
        body = self._scan(text)
        head = self._scan(title) if title else _NOTHING
        published: set[int] = set()
        strangers = 0
        if symbols:
            for symbol in dict.fromkeys(symbols):
                index = self._publisher(symbol)
                if index is None:
                    strangers += 1
                else:
                    published.add(index)
        if not (body.mentions or head.mentions or published):
            return ()
        in_text, in_title = _confirmed(body.mentions, head.mentions, published)
        text_crowd = len(in_text) + len(body.unknown)
        title_crowd = len(in_title) + len(head.unknown)
        publisher_evidence = place_evidence([PUBLISHER_WEIGHT], len(published) + strangers)
        links = []
        for entity in in_text.keys() | in_title.keys() | published:
            texts = in_text.get(entity, ())
            titles = in_title.get(entity, ())
            relevance = combine(
                publisher_evidence if entity in published else 0.0,
                place_evidence([TITLE_WEIGHT] * len(titles), title_crowd) if titles else 0.0,
                place_evidence([mention_weight(m.kind, m.start) for m in texts], text_crowd) if texts else 0.0,
            )
            links.append(self._link(entity, relevance, titles, texts))
        if len(links) > 1:
            links.sort(key=lambda link: (-link.relevance, link.entity))
        return tuple(links)

    def _publisher(self, symbol: str) -> int | None:
        entity = self.table.get(symbol)
        if entity is not None:
            return self._index[entity.symbol]
        return self._lexicon.by_symbol.get(normal_symbol(symbol).lower())

    def _link(self, entity: int, relevance: float, titles: Sequence[Mention], texts: Sequence[Mention]) -> Link:
        mentions = [*titles, *texts]
        symbol = self._symbols[entity]
        watched = symbol in self._watched
        if not mentions:
            return Link(symbol, relevance, "publisher", "symbols", 0, 0, 0, watched)
        first = mentions[0]
        kind = max((mention.kind for mention in mentions), key=_RANK.__getitem__)
        place: Place = "title" if titles else "text"
        return Link(symbol, relevance, kind, place, first.start, first.end, len(mentions), watched)


_ByEntity = dict[int, list[Mention]]


def _confirmed(
    body: tuple[Mention, ...], head: tuple[Mention, ...], published: set[int]
) -> tuple[_ByEntity, _ByEntity]:
    """Mentions by entity, without the unsure ones whose entity no sure sign confirms."""
    sure = {mention.entity for mention in body if mention.sure}
    sure.update(mention.entity for mention in head if mention.sure)
    sure |= published
    places: tuple[_ByEntity, _ByEntity] = ({}, {})
    for mentions, place in zip((body, head), places, strict=True):
        for mention in mentions:
            if mention.entity in sure:
                place.setdefault(mention.entity, []).append(mention)
    return places
