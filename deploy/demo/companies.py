"""The companies of the demonstration. All are invented: names, symbols, products and places."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

MARKET = "DEMO"


@dataclass(frozen=True, slots=True)
class Company:
    """One invented company, with the words that its messages are made of."""

    symbol: str
    name: str
    short: str
    """What people call it; an alias of the entity table."""
    sector: str
    products: tuple[str, ...]
    """Plural or mass nouns, so that they fit every sentence."""
    places: tuple[str, ...]
    daily: float
    """Mean number of messages on a weekday."""
    aliases: tuple[str, ...] = ()
    """Further aliases, in any script."""


COMPANIES: tuple[Company, ...] = (
    Company(
        symbol="BRMFD",
        name="Brindlemoor Foods",
        short="Brindlemoor",
        sector="Consumer Staples",
        products=("frozen pies", "oat drinks", "baby cereals", "chilled soups", "snack bars"),
        places=("Corrin Bay", "Halvenport", "Upper Dunsel"),
        daily=34,
    ),
    Company(
        symbol="VSTRN",
        name="Vostrane Energy",
        short="Vostrane",
        sector="Energy",
        products=("offshore wells", "pipeline services", "refined fuels", "drilling rigs"),
        places=("Skarn Basin", "Port Ellard", "Mirrow Sound"),
        daily=38,
    ),
    Company(
        symbol="HLXBT",
        name="Helixbarrow Therapeutics",
        short="Helixbarrow",
        sector="Health Care",
        products=("asthma inhalers", "gene therapies", "insulin pens", "blood tests"),
        places=("Lindenholt", "West Carrow", "Saint Odile"),
        daily=30,
    ),
    Company(
        symbol="OSTMB",
        name="Ostermere Bank",
        short="Ostermere",
        sector="Financials",
        products=("home loans", "savings accounts", "business loans", "credit cards"),
        places=("Karsholm", "Dellmouth", "Varn Lakes"),
        daily=40,
    ),
    Company(
        symbol="QLFNS",
        name="Quillfane Semiconductors",
        short="Quillfane",
        sector="Information Technology",
        products=("power chips", "radar sensors", "memory controllers", "test wafers"),
        places=("Tessen Valley", "Norrby", "Ambrel"),
        daily=40,
    ),
    Company(
        symbol="TRNHV",
        name="Tarnhaven Airlines",
        short="Tarnhaven",
        sector="Industrials",
        products=("short-haul flights", "cargo routes", "loyalty points", "charter services"),
        places=("Brackwater Airport", "Sollen", "Norren Isles"),
        daily=36,
    ),
    Company(
        symbol="PLWTM",
        name="Pellworth Motors",
        short="Pellworth",
        sector="Consumer Discretionary",
        products=("electric vans", "battery packs", "city cars", "driver assistants"),
        places=("Garrick Cross", "Orvane Mills", "Fennholm"),
        daily=40,
    ),
    Company(
        symbol="GRYWL",
        name="Greywillow Stores",
        short="Greywillow",
        sector="Consumer Discretionary",
        products=("garden furniture", "winter coats", "kitchen goods", "online orders"),
        places=("Haddon Green", "Marlow Quay", "Tilbrook"),
        daily=28,
    ),
    Company(
        symbol="MRWDM",
        name="Marrowdale Mining",
        short="Marrowdale",
        sector="Materials",
        products=("copper concentrates", "nickel ores", "lithium salts", "quarry stones"),
        places=("Orrin", "Cape Tolvane", "Red Mesa Ridge"),
        daily=30,
    ),
    Company(
        symbol="SLVTN",
        name="Silvertarn Software",
        short="Silvertarn",
        sector="Information Technology",
        products=("payroll tools", "cloud licences", "security suites", "planning apps"),
        places=("Lower Quay", "Innesfield", "New Ferris"),
        daily=34,
    ),
    Company(
        symbol="EDSBP",
        name="Eddisbrook Power",
        short="Eddisbrook",
        sector="Utilities",
        products=("wind farms", "grid links", "gas turbines", "heat networks"),
        places=("Loxley Moor", "Ebbing", "Stavrook"),
        daily=26,
    ),
    Company(
        symbol="LNQOP",
        name="Lanqiao Optics",
        short="Lanqiao",
        sector="Information Technology",
        products=("camera lenses", "laser modules", "display films", "fibre cables"),
        places=("Yunhe Park", "Baisha Harbour", "Qinglan"),
        daily=28,
        aliases=("澜桥光电",),
    ),
)


def company(symbol: str) -> Company:
    """Return a company by its symbol.

    Raises:
        KeyError: there is none.
    """
    return {known.symbol: known for known in COMPANIES}[symbol]


def write_table(path: Path) -> None:
    """Write the companies as an entity table that `streams.ingest.entities` reads."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("symbol", "name", "aliases", "sector", "market"))
        for known in COMPANIES:
            rows.writerow((known.symbol, known.name, "|".join((known.short, *known.aliases)), known.sector, MARKET))
