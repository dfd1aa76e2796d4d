"""Which companies a message speaks of: the table, the linker, the watch lists.

`Linker(sp500()).link(text, title=..., symbols=...)` gives one `Link` per company with its relevance, 0 to 1.
"""

from streams.ingest.entities.linker import Link, Linker, Place
from streams.ingest.entities.relevance import LinkKind
from streams.ingest.entities.symbols import code_symbol, normal_symbol
from streams.ingest.entities.table import Entity, EntityTable, load_table, sp500
from streams.ingest.entities.watchlist import Watchlist, load_watchlist

__all__ = [
    "Entity",
    "EntityTable",
    "Link",
    "LinkKind",
    "Linker",
    "Place",
    "Watchlist",
    "code_symbol",
    "load_table",
    "load_watchlist",
    "normal_symbol",
    "sp500",
]
