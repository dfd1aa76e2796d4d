"""The table of companies: symbol, name, aliases, sector, market; the shipped one and the user's own."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import resources
from pathlib import Path

import msgspec
from rapidfuzz import process
from rapidfuzz.distance import DamerauLevenshtein, JaroWinkler

from streams.errors import InputError
from streams.ingest.entities.fold import fold
from streams.ingest.entities.symbols import EXCHANGES, SYMBOL, code_symbol, normal_symbol

COLUMNS = ("symbol", "name", "aliases", "sector", "market")
CODE_COLUMNS = ("code", "name", "exchange")
_REQUIRED = ("symbol", "name")
_MAX_NAME = 120


class Entity(msgspec.Struct, frozen=True, kw_only=True):
    """One company."""

    symbol: str
    """The identity: `AAPL`, `BRK.B`, `600000.SS`, `00700.HK`."""
    name: str
    aliases: tuple[str, ...] = ()
    """Other names it goes by, in any script."""
    other_symbols: tuple[str, ...] = ()
    """Other share classes and former symbols: what is said of GOOG is said of GOOGL."""
    sector: str = ""
    market: str = ""


class EntityTable:
    """Companies by symbol, in the order of their file.

    Args:
        entities: the companies; no two may bear the same symbol (`symbol` or one of `other_symbols`).

    Raises:
        InputError: two companies bear the same symbol.
    """

    def __init__(self, entities: Iterable[Entity]) -> None:
        self.entities = tuple(entities)
        self._by_symbol: dict[str, Entity] = {}
        for entity in self.entities:
            for symbol in (entity.symbol, *entity.other_symbols):
                other = self._by_symbol.setdefault(symbol, entity)
                if other is not entity:
                    msg = f"{symbol} belongs to {other.name!r} and to {entity.name!r}: give it to one of them"
                    raise InputError(msg)

    def __iter__(self) -> Iterator[Entity]:
        return iter(self.entities)

    def __len__(self) -> int:
        return len(self.entities)

    def get(self, symbol: str) -> Entity | None:
        """The company of a symbol in any usual form (`$aapl`, `NASDAQ:AAPL`, `SH600000`), or None."""
        return self._by_symbol.get(normal_symbol(symbol))

    def nearest(self, symbol: str) -> Entity | None:
        """The company whose symbol is most like an unknown one, or None if nothing is alike."""
        wanted = normal_symbol(symbol)
        slips = DamerauLevenshtein.normalized_similarity
        alike = process.extract(wanted, sorted(self._by_symbol), scorer=slips, score_cutoff=0.5, limit=20)
        if not alike:
            return None
        best = max(alike, key=lambda found: (found[1], JaroWinkler.similarity(wanted, found[0])))
        return self._by_symbol[best[0]]

    def merged(self, others: Iterable[EntityTable]) -> EntityTable:
        """This table and others in one; for a symbol that several hold, later ones add names to the first."""
        entities = {entity.symbol: entity for entity in self}
        owner = {symbol: entity.symbol for symbol, entity in self._by_symbol.items()}
        for other in others:
            for entity in other:
                symbol = owner.get(entity.symbol, entity.symbol)
                known = entities.get(symbol)
                new = tuple(s for s in (entity.symbol, *entity.other_symbols) if s not in owner and s != symbol)
                entities[symbol] = (
                    msgspec.structs.replace(entity, other_symbols=new) if known is None else _join(known, entity, new)
                )
                owner.update(dict.fromkeys((symbol, *new), symbol))
        return EntityTable(entities.values())


def _join(known: Entity, added: Entity, new_symbols: tuple[str, ...]) -> Entity:
    names = dict.fromkeys((*known.aliases, added.name, *added.aliases))
    names.pop(known.name, None)
    return msgspec.structs.replace(
        known,
        aliases=tuple(names),
        other_symbols=(*known.other_symbols, *new_symbols),
        sector=known.sector or added.sector,
        market=known.market or added.market,
    )


@cache
def sp500() -> EntityTable:
    """The shipped table: the companies of the S&P 500, share classes of one company in one row."""
    with resources.as_file(resources.files(__package__) / "sp500.csv") as path:
        return load_table(path)


def load_table(path: Path) -> EntityTable:
    """Read a table of companies from a CSV file in UTF-8.

    Either with the columns `symbol,name,aliases,sector,market` (the last three optional; aliases separated by `|`; an
    alias `$GOOG` is another symbol of the same company), or an exchange's list with `code,name,exchange` (and perhaps
    `type`, then only rows of type `stock` are read), which gives symbols like `600000.SS` and `00700.HK`.

    Raises:
        InputError: the file cannot be read, a column is missing, a symbol is bad, a symbol or a name comes twice; with
            file and line. In an exchange's list a name that two codes share is no error; it links to neither.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _read(path, csv.reader(file, strict=True))
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror}): check the path of the entity table"
        raise InputError(msg) from error
    except UnicodeDecodeError as error:
        msg = f"{path}: byte {error.start} is not UTF-8: save the entity table as UTF-8"
        raise InputError(msg) from error


def _read(path: Path, reader: Iterator[list[str]]) -> EntityTable:
    rows = _rows(path, reader)
    header_line, header = next(rows, (1, []))
    columns = [column.strip().lower() for column in header]
    coded = set(CODE_COLUMNS) <= set(columns)
    missing = [] if coded else [column for column in _REQUIRED if column not in columns]
    if missing:
        msg = (
            f"{path}:{header_line}: column {missing[0]!r} is missing: the header must hold symbol and name "
            f"(of {','.join(COLUMNS)}), or {','.join(CODE_COLUMNS)}"
        )
        raise InputError(msg)
    symbols: dict[str, int] = {}
    names: dict[str, int] = {}
    entities = []
    for line, row in rows:
        if len(row) != len(columns):
            msg = f"{path}:{line}: {len(row)} fields, the header has {len(columns)}: quote fields that hold a comma"
            raise InputError(msg)
        record = {column: value.strip() for column, value in zip(columns, row, strict=True)}
        where = f"{path}:{line}"
        if coded and record.get("type", "stock").lower() != "stock":
            continue
        entity = _coded_entity(record, where) if coded else _entity(record, where)
        _claim(symbols, (entity.symbol, *entity.other_symbols), "symbol", path, line)
        if not coded:
            claimed = dict.fromkeys(fold(name) for name in (entity.name, *entity.aliases))
            _claim(names, claimed, "name", path, line)
        entities.append(entity)
    return EntityTable(entities)


def _rows(path: Path, reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not empty, with the line each ends on."""
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            line: int = getattr(reader, "line_num", 0)
            msg = f"{path}:{line}: not valid CSV ({error})"
            raise InputError(msg) from error
        if row is None:
            return
        if any(field.strip() for field in row):
            yield getattr(reader, "line_num", 0), row


def _claim(taken: dict[str, int], values: Iterable[str], what: str, path: Path, line: int) -> None:
    for value in values:
        first = taken.setdefault(value, line)
        if first != line:
            msg = f"{path}:{line}: {what} {value!r} is already on line {first}: keep it in one row"
            raise InputError(msg)


def _entity(record: dict[str, str], where: str) -> Entity:
    parts = [alias for part in record.get("aliases", "").split("|") if (alias := part.strip())]
    return Entity(
        symbol=_symbol(record["symbol"], where),
        name=_name(record["name"], where),
        aliases=tuple(_name(part, where) for part in parts if not part.startswith("$")),
        other_symbols=tuple(_symbol(part, where) for part in parts if part.startswith("$")),
        sector=record.get("sector", ""),
        market=record.get("market", ""),
    )


def _coded_entity(record: dict[str, str], where: str) -> Entity:
    symbol = code_symbol(record["code"], record["exchange"])
    if symbol is None:
        msg = (
            f"{where}: {record['code']!r} is no code of exchange {record['exchange']!r}: exchanges are "
            f"{', '.join(EXCHANGES)}; codes have six digits, in Hong Kong up to five"
        )
        raise InputError(msg)
    return Entity(
        symbol=symbol,
        name=_name(record["name"], where),
        sector=record.get("sector", ""),
        market=symbol.rpartition(".")[2],
    )


def _symbol(value: str, where: str) -> str:
    symbol = normal_symbol(value)
    if not SYMBOL.fullmatch(symbol):
        msg = f"{where}: {value!r} is not a symbol: letters and digits with at most one suffix, like AAPL or BRK.B"
        raise InputError(msg)
    return symbol


def _name(value: str, where: str) -> str:
    if not any(character.isalnum() for character in value) or len(value) > _MAX_NAME:
        msg = f"{where}: {value[:40]!r} is not a name: it needs a letter and at most {_MAX_NAME} characters"
        raise InputError(msg)
    return value
