"""One partition of the log through a monitor. Pure: the records are an argument, wherever they come from."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from streams.errors import RecordError
from streams.monitor import MonitorOptions, PartitionMonitor, RuleSet
from streams.monitor.bins import to_ms
from streams.records import Alert, Mention, Progress, decode_mention

_log = logging.getLogger(__name__)

_TIDY_EVERY = 1024
"""Records after which the monitor lets go of what it would have saved: memory stays that of the live one."""


class LogRecord(NamedTuple):
    """One record of `squall.mentions`."""

    partition: int
    offset: int
    value: bytes | None


def replay_partition(
    partition: int,
    records: Iterable[LogRecord],
    *,
    rules: RuleSet,
    options: MonitorOptions,
    names: Mapping[str, str] | None = None,
    entity: str | None = None,
    until: datetime | None = None,
) -> Iterator[Alert]:
    """Yield the alert transitions that one partition's records bring about, in the order of the log.

    A record that cannot be read is passed over, as the live monitor does after sending it to the dead letters.

    Args:
        partition: number of the partition.
        records: its records in the order of their offsets, from the first one on.
        rules: the rules in force.
        options: the monitor's options.
        names: display names by entity.
        entity: yield this entity's transitions only; the others' mentions then move the clock and no more.
        until: last event time of a transition that is wanted, UTC; reading ends when none can follow.
    """
    monitor = PartitionMonitor(partition, rules, options, names=names)
    until_ms = None if until is None else to_ms(until)
    for number, record in enumerate(records, 1):
        try:
            item = decode_mention(record.value)
        except RecordError as error:
            _log.warning("mentions[%d]@%d is passed over: %s", record.partition, record.offset, error)
            continue
        if entity is not None and isinstance(item, Mention) and item.entity != entity:
            item = time_alone(item)
        for alert in monitor.absorb(item, record.offset):
            if until is None or alert.at <= until:
                yield alert
        if until_ms is not None and monitor.watermark_ms is not None and monitor.watermark_ms >= until_ms:
            return  # every bin up to then has closed, and closes once
        if number % _TIDY_EVERY == 0:
            monitor.changes()


def time_alone(mention: Mention) -> Progress:
    """Return what an unwanted mention is to the wanted ones: a step of the clock.

    `streams.monitor.clock.observe` takes from a mention that its partition has come to its time and is not idle; a
    Progress that knows of no partitions says just that.
    """
    time = None if mention.ahead is True else mention.published_at
    return Progress(partition=mention.origin.partition, partitions=0, event_time=time, idle=False)
