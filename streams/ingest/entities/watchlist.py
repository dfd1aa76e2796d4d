"""Watch lists: the companies a desk looks at, with the names the desk has for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import yaml

from streams.errors import InputError
from streams.ingest.entities.table import Entity, EntityTable

_YAML = {".yaml", ".yml"}
_SAFE_TYPES = {"tag:yaml.org,2002:str", "tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:bool"}
_NULL = "tag:yaml.org,2002:null"


class WatchEntry(msgspec.Struct, frozen=True):
    """One line of a watch list."""

    symbol: str
    """As the user wrote it."""
    names: tuple[str, ...]
    """More names of the company, beside those of the table."""
    where: str
    """`file:line`, for error messages."""


class Watchlist(msgspec.Struct, frozen=True):
    """A list of watched companies."""

    name: str
    """The file's name without its ending."""
    entries: tuple[WatchEntry, ...]

    def symbols(self, table: EntityTable) -> tuple[str, ...]:
        """The watched symbols as the table writes them.

        Raises:
            InputError: a symbol is not in the table; the message names the nearest known one.
        """
        return tuple(_known(entry, table).symbol for entry in self.entries)

    def extend(self, table: EntityTable) -> EntityTable:
        """The table with the names of this list added to its companies.

        Raises:
            InputError: a symbol is not in the table; the message names the nearest known one.
        """
        added = []
        for entry in self.entries:
            entity = _known(entry, table)
            if entry.names:
                added.append(EntityTable([Entity(symbol=entity.symbol, name=entity.name, aliases=entry.names)]))
        return table.merged(added) if added else table


def _known(entry: WatchEntry, table: EntityTable) -> Entity:
    entity = table.get(entry.symbol)
    if entity is None:
        nearest = table.nearest(entry.symbol)
        hint = f"did you mean {nearest.symbol} ({nearest.name})?" if nearest else "no known symbol is like it"
        msg = (
            f"{entry.where}: {entry.symbol!r} is not in the entity table; {hint} "
            "Companies that are missing can be added by a table of your own"
        )
        raise InputError(msg)
    return entity


def load_watchlist(path: Path) -> Watchlist:
    """Read a watch list.

    A YAML file maps symbols to a name, a list of names or nothing, or is a plain list of symbols:

        XOM: [Exxon, the major]
        CVX:

    Any other file is text: one symbol per line, then, if wanted, a colon and names separated by `|`; `#` begins a
    comment (`XOM: Exxon | the major`).

    Raises:
        InputError: the file cannot be read, is not of that form, or names a symbol twice; with file and line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror}): check the path of the watch list"
        raise InputError(msg) from error
    except UnicodeDecodeError as error:
        msg = f"{path}: byte {error.start} is not UTF-8: save the watch list as UTF-8"
        raise InputError(msg) from error
    entries = _from_yaml(path, text) if path.suffix.lower() in _YAML else _from_text(path, text)
    lines: dict[str, str] = {}
    for entry in entries:
        first = lines.setdefault(entry.symbol.upper(), entry.where)
        if first != entry.where:
            msg = f"{entry.where}: {entry.symbol!r} is already at {first}: keep it once"
            raise InputError(msg)
    return Watchlist(path.stem, tuple(entries))


def _from_text(path: Path, text: str) -> list[WatchEntry]:
    entries = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.partition("#")[0].strip()
        if line:
            symbol, _, names = _split(line)
            parts = tuple(name for part in names.split("|") if (name := part.strip()))
            entries.append(_entry(symbol, parts, f"{path}:{number}"))
    return entries


def _split(line: str) -> tuple[str, str, str]:
    """Symbol and names at the colon that is followed by a space, so that `NYSE:XOM` stays whole."""
    symbol, colon, names = (line + " ").partition(": ")
    return symbol.strip(), colon, names


def _from_yaml(path: Path, text: str) -> list[WatchEntry]:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        msg = f"{path}{line}: not valid YAML ({getattr(error, 'problem', None) or error})"
        raise InputError(msg) from error
    if root is None:
        return []
    if isinstance(root, yaml.SequenceNode):
        return [_entry(_text(path, node), (), _where(path, node)) for node in root.value]
    if isinstance(root, yaml.MappingNode):
        return [_entry(_text(path, key), _names(path, value), _where(path, key)) for key, value in root.value]
    msg = f"{_where(path, root)}: expected symbols, as a list or as a mapping from symbol to names"
    raise InputError(msg)


def _names(path: Path, node: yaml.Node) -> tuple[str, ...]:
    if isinstance(node, yaml.SequenceNode):
        return tuple(_text(path, item) for item in node.value)
    if node.tag == _NULL:
        return ()
    return (_text(path, node),)


def _text(path: Path, node: yaml.Node) -> str:
    """The scalar as written: `ON` and `NO` are symbols here, not truth values."""
    value: Any = node.value
    if not isinstance(node, yaml.ScalarNode) or node.tag not in _SAFE_TYPES or not value.strip():
        found = "nothing" if node.tag == _NULL else node.tag.rpartition(":")[2]
        msg = f"{_where(path, node)}: expected a symbol or a name, found {found}"
        raise InputError(msg)
    return str(value).strip()


def _where(path: Path, node: yaml.Node) -> str:
    return f"{path}:{node.start_mark.line + 1}"


def _entry(symbol: str, names: tuple[str, ...], where: str) -> WatchEntry:
    if not symbol:
        msg = f"{where}: a symbol is missing before the names"
        raise InputError(msg)
    return WatchEntry(symbol, names, where)
