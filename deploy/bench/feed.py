"""What the pipeline bench publishes: invented companies, their everyday news, and surges of bad news. Pure."""

from __future__ import annotations

import csv
import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from typing import NamedTuple

from deploy.demo.phrases import BROKERS, NEGATIVE
from models.benchmark import generate_texts
from streams.records import Message

EVENTS_PER_S = 1.0
"""Event time of the throughput feed: at this pace nearly every mention is alone in its bin, which is the most work for
a monitor."""
SURGE_MESSAGES = len(NEGATIVE.clauses)
"""Messages of one surge, each with a clause of its own: so many stories."""
_SOURCES = 5

_FIRST = "Tarn Velk Oskar Brim Quill Mard Fenno Holt Jarr Kesk Lund Pryn Rusk Solv Thorn Ulm".split()
_LAST = "wick more dale stow barrow mere holm gate".split()
_TRADE = ("Mills", "Freight", "Optics", "Dairies")
_PLACES = ("Corrin Bay", "Halvenport", "Upper Dunsel", "Mirrow Sound")
_PRODUCTS = ("pumps", "frozen pies", "sensors", "ferry tickets")
_PEOPLE = ("Ada Merrow", "Ivo Stannis", "Lena Quist")


class BenchCompany(NamedTuple):
    """One invented company."""

    symbol: str
    name: str


def everyday_companies() -> list[BenchCompany]:
    """The companies of the everyday texts, which name them by cashtag."""
    return [BenchCompany(f"{a}{b}XQ", f"{a}{b.lower()}xquor Bench") for a, b in product("BCDFGHKLMPRT", "AEIOU")]


def surging_companies(count: int) -> list[BenchCompany]:
    """The first `count` of the companies that surge.

    Raises:
        ValueError: there are not that many.
    """
    letters = "BCDFGHJKLMNPQRSTVWXZ"
    symbols = (f"Z{a}{b}QX" for a, b in product(letters, letters + "AEIOU"))
    names = (f"{a}{b} {c}" for c, a, b in product(_TRADE, _FIRST, _LAST))
    companies = [BenchCompany(symbol, name) for symbol, name in zip(symbols, names, strict=False)]
    if not 0 <= count <= len(companies):
        msg = f"there are {len(companies)} companies that can surge, not {count}"
        raise ValueError(msg)
    return companies[:count]


def write_table(path: Path, companies: Sequence[BenchCompany]) -> None:
    """Write companies as an entity table."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("symbol", "name"))
        rows.writerows(companies)


def everyday(count: int, *, start: datetime, per_s: float = EVENTS_PER_S, seed: int = 7) -> list[Message]:
    """Return `count` messages on one company each, no text twice, about 28 tokens on average.

    Args:
        count: how many.
        start: event time of the first, UTC.
        per_s: messages per second of event time.
        seed: of the texts.
    """
    return [
        Message(
            id=f"everyday-{seed}-{number}",
            source=f"wire-{number % _SOURCES}",
            published_at=start + timedelta(seconds=number / per_s),
            text=text,
            author=f"author-{number % 997}",
        )
        for number, text in enumerate(generate_texts(count, seed))
    ]


def surge(company: BenchCompany, *, minute: datetime, seed: int = 7) -> list[Message]:
    """Return a surge of bad news within one minute: different stories from different authors and five sources."""
    dice = random.Random(f"{seed}/{company.symbol}")  # noqa: S311  # a bench holds no secrets
    messages = []
    for number, clause in enumerate(NEGATIVE.clauses):
        what = f"{clause}; {NEGATIVE.consequences[(number + dice.randrange(4)) % len(NEGATIVE.consequences)]}"
        text = what.format(
            product=dice.choice(_PRODUCTS),
            place=dice.choice(_PLACES),
            pct=dice.randint(5, 39),
            pct2=dice.randint(5, 39),
            n=dice.randint(40, 900),
            broker=dice.choice(BROKERS),
            person=dice.choice(_PEOPLE),
            rival="a rival",
        )
        messages.append(
            Message(
                id=f"surge-{company.symbol}-{number}",
                source=f"wire-{number % _SOURCES}",
                published_at=minute + timedelta(seconds=dice.uniform(1, 58)),
                text=f"${company.symbol} {company.name} {text}",
                author=f"author-{company.symbol}-{number}",
            )
        )
    return messages


def live_feed(
    *, start: datetime, minutes: int, surges_per_minute: int, everyday_per_s: float, tail_s: float, seed: int = 7
) -> tuple[list[Message], list[BenchCompany]]:
    """Return a feed in order of time, and the companies that surge in it.

    Args:
        start: the beginning of a minute, UTC.
        minutes: how long companies surge.
        surges_per_minute: how many of them in each minute, each company once.
        everyday_per_s: everyday messages per second, from the start to the end of the tail.
        tail_s: everyday messages after the last surge, in seconds, so that its bin closes.
        seed: of texts and times.
    """
    companies = surging_companies(minutes * surges_per_minute)
    count = round((minutes * 60 + tail_s) * everyday_per_s)
    messages = everyday(count, start=start, per_s=everyday_per_s, seed=seed + 1)
    for number, company in enumerate(companies):
        messages += surge(company, minute=start + timedelta(minutes=number // surges_per_minute), seed=seed)
    return sorted(messages, key=lambda message: (message.published_at, message.id)), companies
