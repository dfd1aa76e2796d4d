"""What a history teaches of its companies: it goes through the monitor, and the baselines are read off at its end."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection
from datetime import datetime
from typing import NamedTuple

from streams.monitor import MonitorOptions, PartitionMonitor, RuleSet
from streams.monitor.bins import bin_end, bin_start, from_ms, to_ms
from streams.monitor.seeds import Learned, as_seeded
from streams.records import Mention, Seed
from streams.replay.core import time_alone
from streams.replay.run import RunProgress
from streams.replay.sources.source import MentionSource, OnBad

_EVERY = 1_024
"""Records from one report of progress to the next; as often the monitor lets go of what it would have saved."""


class Lesson(NamedTuple):
    """What was learned of one entity."""

    entity: str
    until_ms: int
    """Event time up to which its history was read."""
    baselines: dict[str, Learned]
    """By rule."""


def learn(
    source: MentionSource,
    *,
    rules: RuleSet,
    options: MonitorOptions,
    until: datetime | None = None,
    entities: Collection[str] = (),
    on_progress: Callable[[RunProgress], None] | None = None,
    on_bad: OnBad = lambda bad: None,
    on_closed: Callable[[datetime], None] = lambda at: None,
) -> list[Lesson]:
    """Read a source to its end, and return what was learned of each entity, in order of their names.

    Args:
        source: the history.
        rules: the rules in force: each learns in its own way.
        options: the monitor's.
        until: last event time that is learned from, UTC; as the source's own window, which leaves out what is later.
        entities: these alone; all if empty.
        on_progress: told now and then how far it is.
        on_bad: told of each record that cannot be used.
        on_closed: told of each partition up to which event time its bins have closed, so that they are learned from;
            not called for a partition whose feed has not said how far it is.

    Raises:
        InputError: the source breaks off.
        BrokerError: Kafka stops answering.
    """
    end_ms = None if until is None else bin_end(to_ms(until))
    found: dict[str, Lesson] = {}
    count = 0
    last: datetime | None = None
    for partition in source.partitions:
        monitor = PartitionMonitor(partition, rules, options)
        for offset, record in source.records(partition, on_bad=on_bad):
            if isinstance(record, Mention):
                last = record.published_at if last is None else max(last, record.published_at)
                if entities and record.entity not in entities:
                    record = time_alone(record)
            monitor.absorb(record, offset)
            count += 1
            if not count % _EVERY:
                monitor.changes()
                if on_progress is not None:
                    on_progress(RunProgress(count, source.total, last))
            if end_ms is not None and (monitor.watermark_ms or 0) >= end_ms:
                break  # every bin up to then has closed
        if monitor.watermark_ms is not None:
            on_closed(from_ms(bin_start(monitor.watermark_ms)))
        for lesson in _lessons(monitor, end_ms, entities):
            before = found.get(lesson.entity)
            if before is None or lesson.until_ms > before.until_ms:
                found[lesson.entity] = lesson
    if on_progress is not None:
        on_progress(RunProgress(count, source.total, last))
    return [found[name] for name in sorted(found)]


def _lessons(monitor: PartitionMonitor, end_ms: int | None, entities: Collection[str]) -> list[Lesson]:
    if monitor.watermark_ms is None:
        return []
    closed_ms = bin_start(monitor.watermark_ms)
    until_ms = closed_ms if end_ms is None else min(closed_ms, end_ms)
    found = []
    for name, by_rule in monitor.baselines():
        if not entities or name in entities:
            copied = {rule: learned.copy() for rule, learned in by_rule.items()}
            # A seed in the history itself may have known more than the history goes on to tell.
            latest_ms = max(learned.baseline.at_ms for learned in copied.values())
            found.append(Lesson(name, max(until_ms, latest_ms), copied))
    return found


def run_identity(*parts: object) -> str:
    """Hash of all that decided a run, 16 hexadecimal digits; each part has a meaning as JSON."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def seed_of(lesson: Lesson, *, learned_at: datetime, identity: str) -> Seed:
    """Return a lesson as it travels.

    Args:
        lesson: what was learned.
        learned_at: now, UTC.
        identity: of the run.
    """
    baselines = {rule: as_seeded(learned) for rule, learned in sorted(lesson.baselines.items())}
    return Seed(
        entity=lesson.entity,
        learned_until=from_ms(lesson.until_ms),
        learned_at=learned_at,
        baselines=baselines,
        identity=identity,
    )
