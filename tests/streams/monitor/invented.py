"""What the monitor's tests share: an invented stream of scored mentions, rules that fire on little, and a log of it."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from streams.monitor import MonitorOptions, PartitionMonitor, RuleSet
from streams.monitor.rule_files import parse_rules
from streams.records import Alert, Mention, ModelVersion, Origin, Progress

START = datetime(2026, 3, 16, 6, 0, tzinfo=UTC)
LATENESS_S = 120
Record = Mention | Progress

EAGER = """
rules:
  - alert: Surge
    type: spike
    fire: {arl: 2h}
    pending: {arl: 10m}
    min_support: {stories: 3, sources: 2}
    keep_firing_for: 10m
    cooldown: {for: 2h}
    severity:
      warning: {}
      critical: {effect: 0.5, stories: 12}
    annotations: {summary: "{entity}: {share} of {stories} stories, usually {baseline}"}
  - alert: High
    type: threshold
    window: 30m
    fire: {gte: 0.7}
    resolve: {lt: 0.4}
    for: 3m
    min_support: {stories: 4, sources: 2}
    keep_firing_for: 5m
    cooldown: {for: 1h, unless: never}
"""

_SYLLABLES = "bar cor den fel gro hil jam kel lom mar nor pel quin ros sol tam ul ver wyn zan".split()


def eager_rules() -> RuleSet:
    """Rules that fire on a dozen stories."""
    return parse_rules(EAGER, name="eager.yaml")


def words(rng: random.Random, count: int = 11) -> str:
    """A sentence of words that do not exist: two of them are never copies of one another."""
    return " ".join("".join(rng.choices(_SYLLABLES, k=3)) for _ in range(count))


def mention(
    number: int,
    at: datetime,
    negative: float = 0.1,
    *,
    entity: str = "AURL",
    text: str | None = None,
    source: str | None = None,
    partition: int = 0,
    **more: Any,
) -> Mention:
    """One scored mention; its number makes its id, and its text if none is given."""
    return Mention(
        message_id=f"wire:{number}",
        entity=entity,
        relevance=1.0,
        source=source or f"wire-{number % 5}",
        published_at=at,
        received_at=at,
        scored_at=at,
        text=text if text is not None else words(random.Random(number)),
        negative=negative,
        neutral=round(1 - negative, 4),
        positive=0.0,
        topic=more.pop("topic", "legal" if negative > 0.5 else "earnings"),
        topics={},
        model=ModelVersion(name="fake", version="1"),
        origin=Origin(partition=partition, offset=number),
        **more,
    )


def incident(
    rng: random.Random, *, entities: Sequence[str] = ("AURL", "BRND"), partitions: int = 3, hours: int = 34
) -> list[Mention]:
    """Quiet hours, and after a day of them one of negative stories about the first entity; in order of time."""
    found: list[Mention] = []
    middle = (hours - 6) * 60

    def add(minute: float, negative: float, entity: str, **more: Any) -> None:
        at = START + timedelta(minutes=minute, milliseconds=rng.randrange(1000))
        number = len(found)
        found.append(
            mention(number, at, round(negative, 4), entity=entity, partition=rng.randrange(partitions), **more)
        )

    for entity in entities:
        for _ in range(3 * hours):
            add(rng.uniform(0, hours * 60), rng.uniform(0.0, 0.3), entity, author=f"quiet-{rng.randrange(30)}")
    for _ in range(24):
        add(middle + rng.uniform(0, 60), rng.uniform(0.8, 1.0), entities[0], author=f"loud-{rng.randrange(9)}")
    for original in rng.sample([m for m in found if m.negative > 0.7], 4):
        add(middle + rng.uniform(60, 80), original.negative, entities[0], text=f"RT @x: {original.text}")
    for _ in range(20):
        add(middle + rng.uniform(90, 240), rng.uniform(0.0, 0.2), entities[0])
    return sorted(found, key=lambda m: m.published_at)


def heard(partitions: int) -> list[Progress]:
    """The first word of every message partition: it is there, and holds nothing yet."""
    return [Progress(partition=p, partitions=partitions, event_time=None, idle=False) for p in range(partitions)]


def ended(partitions: int, at: datetime) -> list[Progress]:
    """The last word of every message partition: it has come so far that every bin closes."""
    return [Progress(partition=p, partitions=partitions, event_time=at, idle=False) for p in range(partitions)]


def monitor(rules: RuleSet | None = None, **options: Any) -> PartitionMonitor:
    """A monitor with the eager rules."""
    settings = {"allowed_lateness_s": LATENESS_S, "squall_version": "test", **options}
    return PartitionMonitor(0, rules or eager_rules(), MonitorOptions(**settings))


def run(log: Iterable[Record], *, rules: RuleSet | None = None, **options: Any) -> list[Alert]:
    """Feed a log to a new monitor, from offset 0 on."""
    watching = monitor(rules, **options)
    return [alert for offset, record in enumerate(log) for alert in watching.absorb(record, offset)]


def in_order(mentions: Sequence[Mention], partitions: int = 3) -> list[Record]:
    """The undisturbed log: every partition is heard of, mentions come in order of time, and every bin closes."""
    end = max(m.published_at for m in mentions) + timedelta(hours=1)
    return [*heard(partitions), *mentions, *ended(partitions, end)]


def as_bytes(alerts: Iterable[Alert]) -> list[bytes]:
    """Alerts as they are written, in order of (time, id, transition)."""
    from streams.records import encode

    return [encode(alert) for alert in sorted(alerts, key=lambda a: (a.at, a.id, a.transition))]


def rescored(original: Mention, later: timedelta) -> Mention:
    """The same message scored once more, as after a crash of the scorer."""
    return msgspec.structs.replace(original, scored_at=original.scored_at + later)


def save(store: dict[str, bytes], watching: PartitionMonitor) -> None:
    """Keep what a monitor would have saved now."""
    changes = watching.changes()
    for key, value in (*changes.entities, *changes.clock):
        if value is None:
            store.pop(key, None)
        else:
            store[key] = value
