"""How far alerts can be trusted: the default rules on a labelled stream of scored mentions.

Reads `mentions.jsonl` (entity, source, author, published_at, negative, neutral, positive, text, id) and `events.jsonl`
(entity, kind, factor, start, end, fire). Stories are found from the texts; the files' own `story` is not read.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import TypeVar

import msgspec

from deploy.bench.usual_rules import Firing, NaiveShare, Spike, UsualRule
from streams.errors import InputError
from streams.monitor import MonitorOptions, PartitionMonitor, RuleSet, default_rules
from streams.records import Alert, Mention, ModelVersion, Origin, Progress

HIT_WINDOW = timedelta(hours=3)
"""A surge counts as found if an alert fires this long after its start, at most."""


_T = TypeVar("_T")


class _Row(msgspec.Struct):
    id: str
    entity: str
    source: str
    author: str
    published_at: datetime
    negative: float
    neutral: float
    positive: float
    text: str


class Event(msgspec.Struct):
    """A planted event: what happened, and whether it deserves an alert."""

    entity: str
    kind: str
    factor: int | None
    start: datetime
    end: datetime
    fire: bool


@dataclass(slots=True)
class Outcome:
    """What the rules made of the stream."""

    mentions: int = 0
    seconds: float = 0.0
    weeks: float = 0.0
    """Ticker-weeks."""
    false_alarms: int = 0
    decoys: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Per kind: fired, planted."""
    surges: dict[int, tuple[int, int, float | None]] = field(default_factory=dict)
    """Per factor: found, planted, median delay in minutes."""
    beside: dict[str, Outcome] = field(default_factory=dict)
    """The same of the rules that people usually write, by name; without their speed."""


def _lines(path: Path, kind: type[_T]) -> Iterator[_T]:
    decoder = msgspec.json.Decoder(kind)
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield decoder.decode(line)
                except msgspec.DecodeError as error:
                    msg = f"{path}:{number}: {error}"
                    raise InputError(msg) from error
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror}; write it with a scenario generator first"
        raise InputError(msg) from error


def _mention(row: _Row, offset: int) -> Mention:
    return Mention(
        message_id=row.id,
        entity=row.entity,
        relevance=1.0,
        source=row.source,
        published_at=row.published_at,
        received_at=row.published_at,
        scored_at=row.published_at,
        text=row.text,
        negative=row.negative,
        neutral=row.neutral,
        positive=row.positive,
        topic="unknown",
        topics={},
        model=ModelVersion(name="given", version="1"),
        origin=Origin(partition=0, offset=offset),
        author=row.author,
    )


def run(folder: Path, rules: RuleSet | None = None) -> tuple[Outcome, list[Alert]]:
    """Feed a scenario's mentions through the monitor and compare its alerts with the planted events.

    Raises:
        InputError: a file is missing or a line is not as described above.
    """
    events = list(_lines(folder / "events.jsonl", Event))
    usual: list[UsualRule] = [NaiveShare(), Spike()]
    beside_s = 0.0
    monitor = PartitionMonitor(0, rules or default_rules(), MonitorOptions(allowed_lateness_s=120))
    outcome = Outcome()
    alerts = monitor.absorb(Progress(partition=0, partitions=1, event_time=None, idle=False), 0)
    first = last = None
    entities = set()
    began = time.perf_counter()
    for offset, row in enumerate(_lines(folder / "mentions.jsonl", _Row), 1):
        alerts += monitor.absorb(_mention(row, offset), offset)
        entities.add(row.entity)
        paused = time.perf_counter()
        for rule in usual:
            rule.feed(row.entity, row.published_at, row.negative)
        beside_s += time.perf_counter() - paused
        first, last = first or row.published_at, row.published_at
        outcome.mentions += 1
        if outcome.mentions % 512 == 0:
            monitor.changes()  # as live: state is written after every batch
    outcome.seconds = time.perf_counter() - began - beside_s
    if first is not None and last is not None:
        outcome.weeks = len(entities) * (last - first) / timedelta(weeks=1)
    _judge(outcome, events, [Firing(a.labels["entity"], a.at) for a in alerts if a.state == "firing" and a.is_news])
    for rule in usual:
        other = outcome.beside[rule.name] = Outcome(mentions=outcome.mentions, weeks=outcome.weeks)
        _judge(other, events, rule.firings)
    return outcome, alerts


def _judge(outcome: Outcome, events: list[Event], fired: list[Firing]) -> None:
    found: dict[int, list[float]] = {}
    planted: dict[int, int] = {}
    explained: set[Firing] = set()
    for event in events:
        during = [alert for alert in fired if alert.entity == event.entity and event.start <= alert.at <= event.end]
        explained |= set(during)
        if event.fire and event.factor is not None:
            planted[event.factor] = planted.get(event.factor, 0) + 1
            in_time = [alert.at for alert in during if alert.at - event.start <= HIT_WINDOW]
            if in_time:
                delay = (min(in_time) - event.start) / timedelta(minutes=1)
                found.setdefault(event.factor, []).append(delay)
        else:
            hits, total = outcome.decoys.get(event.kind, (0, 0))
            outcome.decoys[event.kind] = (hits + bool(during), total + 1)
    for factor, total in sorted(planted.items()):
        delays = found.get(factor, [])
        outcome.surges[factor] = (len(delays), total, median(delays) if delays else None)
    outcome.false_alarms = sum(alert not in explained for alert in fired)
