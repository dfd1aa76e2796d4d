"""Invented logs of mentions for the tests of the replay: quiet companies, and one whose news turns bad."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from streams.records import Mention, ModelVersion, Origin, Progress

START = datetime(2026, 3, 2, tzinfo=UTC)
SURGE = START + timedelta(hours=30)
END = START + timedelta(hours=40)
BAD = "PLNDR"
QUIET = ("QUOLL", "TAMAR")

_NOUNS = "ferry bridge cannery refinery kiln orchard depot quarry loom turbine harbour mill".split()
_VERBS = "opens shuts sells repairs audits floods praises fines rents paints insures moves".split()


def _mention(dice: random.Random, number: int, entity: str, at: datetime, partition: int) -> Mention:
    bad = entity == BAD and at >= SURGE
    negative = dice.uniform(0.85, 0.99) if bad else dice.choice((0.05, 0.1, 0.2, 0.6))
    words = " ".join(dice.choice(_NOUNS if place % 2 else _VERBS) for place in range(8))
    return Mention(
        message_id=f"wire:{number}",
        entity=entity,
        relevance=1.0,
        source=dice.choice(("wire", "gazette", "ticker-tape")),
        published_at=at,
        received_at=at,
        scored_at=at,
        text=f"{entity} {words} number {number}",
        negative=negative,
        neutral=1 - negative,
        positive=0.0,
        topic="company-news",
        topics={},
        model=ModelVersion(name="given", version="1"),
        origin=Origin(partition=partition, offset=number),
        author=f"author-{dice.randrange(40)}",
    )


def story(seed: int = 3) -> Iterator[tuple[str | None, Mention | Progress]]:
    """Yield (entity, record) in the order of the log; None for what goes to every partition."""
    dice = random.Random(seed)
    for partition in range(2):
        yield None, Progress(partition=partition, partitions=2, event_time=None, idle=False)
    number, at, told = 0, START, START
    while at < END:
        at += timedelta(seconds=dice.expovariate(1 / 100))
        entity = BAD if at >= SURGE and dice.random() < 0.5 else dice.choice((BAD, *QUIET))
        number += 1
        shuffled = at - timedelta(seconds=dice.randrange(60))
        yield entity, _mention(dice, number, entity, shuffled, dice.randrange(2))
        if at - told > timedelta(minutes=1):
            told = at
            for partition in range(2):
                yield None, Progress(partition=partition, partitions=2, event_time=at, idle=False)
