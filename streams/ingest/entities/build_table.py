"""Refresh the shipped table from a list of index constituents, keeping the aliases that are ours.

    python -m streams.ingest.entities.build_table constituents.csv

Reads a CSV with the columns `Symbol`, `Security` and `GICS Sector` and rewrites `sp500.csv` beside this module.
Share classes of one company (`Alphabet Inc. (Class A)` and `(Class C)`) become one row.
"""

from __future__ import annotations

import csv
import re
import sys
from pathlib import Path

from streams.errors import InputError
from streams.ingest.entities.symbols import normal_symbol

TARGET = Path(__file__).with_name("sp500.csv")
_CLASS = re.compile(r"\s*\(Class [A-Z]\)$")
_MOVED = re.compile(r"^(?P<rest>.*\S)\s*\((?P<first>[^()]+)\)$")


def display_name(security: str) -> str:
    """`Home Depot (The)` as one writes it: `The Home Depot`; without the share class."""
    name = _CLASS.sub("", security.strip())
    moved = _MOVED.match(name)
    return f"{moved['first']} {moved['rest']}" if moved else name


def build(constituents: Path, aliases: dict[str, str]) -> list[dict[str, str]]:
    """Rows of the table from a file of constituents; `aliases` by symbol are kept.

    Raises:
        InputError: a column is missing.
    """
    rows: dict[str, dict[str, str]] = {}
    with constituents.open(encoding="utf-8-sig", newline="") as file:
        for number, record in enumerate(csv.DictReader(file), start=2):
            try:
                symbol = normal_symbol(record["Symbol"])
                name = display_name(record["Security"])
                sector = record["GICS Sector"]
            except KeyError as error:
                msg = f"{constituents}:{number}: column {error} is missing"
                raise InputError(msg) from error
            if name in rows:
                first = rows[name]
                if f"${symbol}" not in first["aliases"].split("|"):
                    first["aliases"] = "|".join(filter(None, (first["aliases"], f"${symbol}")))
                continue
            kept = aliases.get(symbol, "")
            rows[name] = {"symbol": symbol, "name": name, "aliases": kept, "sector": sector, "market": "US"}
    return sorted(rows.values(), key=lambda row: row["symbol"])


def main(constituents: Path) -> None:
    """Rewrite `sp500.csv` from the constituents."""
    aliases: dict[str, str] = {}
    if TARGET.exists():
        with TARGET.open(encoding="utf-8", newline="") as file:
            aliases = {row["symbol"]: row["aliases"] for row in csv.DictReader(file)}
    rows = build(constituents, aliases)
    with TARGET.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["symbol", "name", "aliases", "sector", "market"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    gone = sorted(aliases.keys() - {row["symbol"] for row in rows})
    sys.stdout.write(f"{len(rows)} companies in {TARGET.name}; gone: {', '.join(gone) or 'none'}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
