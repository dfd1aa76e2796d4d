"""How fast the monitor is on one core: its rules alone, with stories found, from JSON; few companies and many.

The mentions are invented and the same in every run. Rates are per second of this process's own CPU time, so that what
else runs on the machine counts for less. State is saved after every batch, as live.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import cast

import msgspec

from deploy.bench.figures import Figure
from streams.monitor import MonitorOptions, PartitionMonitor, Rule, RuleSet, default_rules
from streams.monitor.partition import entity_of
from streams.monitor.sizes import sizes
from streams.records import Mention, ModelVersion, Origin, Progress, decode_mention, encode

BATCH = 1024
"""Records between two savings of state, as in the worker."""
AGAINST_ALONE = 50_000
AGAINST_SCORED = 20_000
AGAINST_RULES_BYTES = 4096
_WEIGHED = 1000
"""Companies whose records are taken apart for their sizes."""
_START = datetime(2026, 3, 2, tzinfo=UTC)
VOTES_PER_BIN = 4
"""Mentions of a company in one minute, as at 240 an hour: the same for few companies and many, or they could not be
compared."""
_A_DAY = VOTES_PER_BIN * 60 * 24
_LONGEST_ROUND_S = 3600
"""Event time in which every company has its turn, unless they are so few that a minute will do."""
_SYLLABLES = "bar cor den fel gro hil jam kel lom mar nor pel quin ros sol tam ul ver wyn zan".split()


def five_rules() -> RuleSet:
    """The default rules and three more like them, with other thresholds and names."""
    surge, high = default_rules().rules
    more: list[Rule] = [
        msgspec.structs.replace(surge, alert="NegativeShareSurgeWide", margin=0.2),
        msgspec.structs.replace(surge, alert="NegativeShareSurgeNarrow", margin=0.05),
        msgspec.structs.replace(high, alert="NegativeShareHighLong", window="3h"),
    ]
    return RuleSet(rules=(surge, high, *more))


def invented_mentions(count: int, *, keys: int, given_stories: bool) -> Iterator[Mention]:
    """Mentions of `keys` companies in order of time, every fifth a copy of an earlier one, most of them not negative.

    A company has `VOTES_PER_BIN` in a row, then the next one; never twice in a minute.

    With `given_stories` the texts are empty: then there is nothing to be found in them, every mention is a story of
    its own, and what is left is the rules.
    """
    draw = random.Random(11)  # noqa: S311 - no secret, and the same mentions in every run
    recent: list[str] = []
    round_s = min(_LONGEST_ROUND_S, max(60.0, 60.0 * keys / 1000))
    for number in range(count):
        at = _START + timedelta(seconds=round(number / VOTES_PER_BIN / keys * round_s, 3))
        negative = round(draw.betavariate(1, 4), 4)
        text = "" if given_stories else _text(draw, recent)
        yield Mention(
            message_id=f"invented:{number}",
            entity=f"K{number // VOTES_PER_BIN % keys:06d}",
            relevance=1.0,
            source=f"source-{number % 11}",
            published_at=at,
            received_at=at,
            scored_at=at,
            text=text,
            negative=negative,
            neutral=round(1 - negative, 4),
            positive=0.0,
            topic="legal",
            topics={"legal": 1.0},
            model=ModelVersion(name="invented", version="1"),
            origin=Origin(partition=0, offset=number),
            author=f"author-{draw.randrange(5000)}",
        )


def _text(draw: random.Random, recent: list[str]) -> str:
    if recent and draw.random() < 0.2:
        return f"RT @desk: {draw.choice(recent)}"
    text = " ".join("".join(draw.choices(_SYLLABLES, k=2)) for _ in range(draw.randrange(8, 24)))
    recent.append(text)
    if len(recent) > 64:
        del recent[0]
    return text


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What one pass of mentions through a new monitor cost."""

    per_s: float
    """Mentions per second of CPU time, once every company has been heard of."""
    first_per_s: float
    """The same until then: what it takes to open a company is in it."""
    rules_bytes: int
    """What is saved of what the rules know of a company: the most of any (see `streams.monitor.sizes`)."""
    record_bytes: float
    """A company's own record in the mean: what its rules know, and the rises under way."""
    day_bytes: float
    """Its day's memory in the mean: its hourly chunks."""


def measure(mentions: Iterable[Mention], rules: RuleSet, *, first: int = 0, from_json: bool = False) -> Measured:
    """Put mentions through a new monitor; what it takes to make them is not counted.

    Args:
        mentions: in order of time.
        rules: the rules in force.
        first: so many are the first of their companies, in which a rate of their own is measured.
        from_json: count the decoding of their JSON too.
    """
    monitor = PartitionMonitor(0, rules, MonitorOptions())
    monitor.absorb(Progress(partition=0, partitions=1, event_time=None, idle=False), 0)
    saved: dict[str, int] = {}
    spent_s = {True: 0.0, False: 0.0}
    counted = {True: 0, False: 0}
    offset = 0
    source = iter(mentions)
    while batch := list(itertools.islice(source, min(BATCH, first - offset) if offset < first else BATCH)):
        lines = [encode(mention) for mention in batch] if from_json else []
        is_first = offset < first
        counted[is_first] += len(batch)
        began = time.process_time()
        for record in map(decode_mention, lines) if from_json else batch:
            offset += 1
            monitor.absorb(cast(Mention, record), offset)
        changes = monitor.changes()
        spent_s[is_first] += time.process_time() - began
        for key, value in changes.entities:
            if value is None:
                saved.pop(key, None)
            else:
                saved[key] = len(value)
    records = sum(size for key, size in saved.items() if entity_of(key) is not None)
    companies = max(1, len(monitor.entities))
    return Measured(
        per_s=_rate(counted[False], spent_s[False]),
        first_per_s=_rate(counted[True], spent_s[True]),
        rules_bytes=max(sizes(state).rules for state in itertools.islice(monitor.entities.values(), _WEIGHED)),
        record_bytes=records / companies,
        day_bytes=(sum(saved.values()) - records) / companies,
    )


def _rate(count: int, spent_s: float) -> float:
    return count / spent_s if spent_s else float("inf")


def run(
    *, mentions: int = 100_000, keys: Sequence[int] = (100, 1_000, 10_000, 100_000), as_scored_keys: int = 100
) -> list[Figure]:
    """Measure; about a minute.

    "Alone" is of companies that were heard of before: a bin of each is opened first, and has a rate of its own.

    Args:
        mentions: how many go through the monitor in each pass.
        keys: numbers of companies; the first is what the others are held against.
        as_scored_keys: companies of the passes in which stories are found.
    """
    figures = []
    fewest = 0.0
    for number in keys:
        opening = VOTES_PER_BIN * number
        invented = invented_mentions(max(mentions, 2 * opening), keys=number, given_stories=True)
        alone = measure(invented, five_rules(), first=opening)
        fewest = fewest or alone.per_s
        figures += [
            Figure(
                name=f"five rules alone, {number:,} companies",
                value=round(alone.per_s),
                unit="mentions/s/core",
                against=f"aim {AGAINST_ALONE:,}" if number == keys[0] else f"{keys[0]:,} companies {fewest:,.0f}",
                ratio=alone.per_s / (AGAINST_ALONE if number == keys[0] else fewest),
            ),
            Figure(name=f"the first bin of each of {number:,}", value=round(alone.first_per_s), unit="mentions/s/core"),
            Figure(
                name=f"what they know of a company at most, {number:,}",
                value=alone.rules_bytes,
                unit="bytes",
                against=f"aim at most {AGAINST_RULES_BYTES:,}",
                ratio=alone.rules_bytes / AGAINST_RULES_BYTES,
            ),
            Figure(name=f"a company's record, {number:,} companies", value=round(alone.record_bytes), unit="bytes"),
            Figure(
                name=f"its day's memory of messages, {number:,} companies", value=round(alone.day_bytes), unit="bytes"
            ),
        ]
    busy = measure(invented_mentions(_A_DAY, keys=1, given_stories=False), five_rules())
    figures += [
        Figure(name="a company's record after a day of 240 an hour", value=round(busy.record_bytes), unit="bytes"),
        Figure(name="its day's memory of messages and stories", value=round(busy.day_bytes), unit="bytes"),
    ]
    rules = default_rules()
    absorbed, scored = (
        measure(invented_mentions(mentions, keys=as_scored_keys, given_stories=False), rules, from_json=from_json)
        for from_json in (False, True)
    )
    figures += [
        Figure(name="default rules, stories found", value=round(absorbed.per_s), unit="mentions/s/core"),
        Figure(
            name="the same from JSON",
            value=round(scored.per_s),
            unit="mentions/s/core",
            against=f"aim {AGAINST_SCORED:,}",
            ratio=scored.per_s / AGAINST_SCORED,
        ),
    ]
    return figures
