"""Mentions through the monitor, with a journal: a run that is killed goes on where it was."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from streams.monitor import MonitorOptions, PartitionMonitor, RuleSet
from streams.monitor.bins import from_ms, to_ms
from streams.monitor.partition import Changes
from streams.records import Alert, Mention, Silence
from streams.replay.core import time_alone
from streams.replay.journal import Journal, Position
from streams.replay.sources.source import BadRecord, MentionSource, OnBad
from streams.replay.timeline import Timeline

SAVE_EVERY = 50_000
"""Records per transaction: a few seconds of work, which is what a kill costs."""
_TELL_EVERY = 1_024
"""Records from one call of `on_progress` to the next."""

_COLLECT_AFTER = 50_000
"""Containers made and kept before Python looks for cycles among them. A run makes many and no cycles: at Python's own
700 the looking would be a twentieth of its time."""

_NEVER = datetime.max.replace(tzinfo=UTC)
_EVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class RunProgress:
    """How far a run has come.

    Attributes:
        records: records that were read since the beginning of the run, before a kill included.
        total: about how many there are; None if that is not known.
        event_time: latest event time of the mentions that were read.
    """

    records: int
    total: int | None
    event_time: datetime | None


OnProgress = Callable[[RunProgress], None]


def run_monitor(
    source: MentionSource,
    *,
    rules: RuleSet,
    options: MonitorOptions,
    journal: Journal,
    names: Mapping[str, str] | None = None,
    report_from: datetime | None = None,
    report_until: datetime | None = None,
    entity: str | None = None,
    on_progress: OnProgress | None = None,
    on_bad: OnBad | None = None,
    save_every: int = SAVE_EVERY,
    silences: Sequence[Silence] = (),
) -> None:
    """Read a source to its end, partition by partition, and write what follows from it to a journal.

    It goes on from where the journal stands; the results are the same however often it was cut off in between.

    Args:
        source: what to read.
        rules: the rules to apply.
        options: the monitor's.
        journal: of this run, or of what was left of it.
        names: display names by entity.
        report_from: transitions before this event time, UTC, are warm-up: they change the state and are not reported.
        report_until: transitions after this event time are not reported; reading ends when none can follow.
        entity: this company only; the others' mentions move the clock and no more.
        on_progress: told now and then how far it is.
        on_bad: told of each record that cannot be used; after a kill, of some of them again.
        save_every: records per transaction of the journal.
        silences: what the desk had silenced.

    Raises:
        InputError: the source breaks off.
        ReplayError: the journal cannot be written.
        BrokerError: Kafka stops answering.
    """
    run = _Run(journal, entity, report_from, report_until, on_progress, on_bad, source.total)
    run.tell()  # what was done before this process counts for no rate
    with _seldom_collected():
        for partition in source.partitions:
            if not journal.position(partition).done:
                make = partial(PartitionMonitor, partition, rules, options, names=names, silences=silences)
                run.partition(source, partition, rules, make, save_every)
    run.tell()


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Let Python look for garbage cycles less often, and as before afterwards."""
    young, *older = gc.get_threshold()
    if young:  # 0 is: not at all
        gc.set_threshold(max(young, _COLLECT_AFTER), *older)
    try:
        yield
    finally:
        gc.set_threshold(young, *older)


class _Run:
    """What is the same for all partitions of a run."""

    def __init__(
        self,
        journal: Journal,
        entity: str | None,
        report_from: datetime | None,
        report_until: datetime | None,
        on_progress: OnProgress | None,
        on_bad: OnBad | None,
        total: int | None,
    ) -> None:
        self._journal = journal
        self._entity = entity
        self._from = report_from or _EVER
        self._until = report_until or _NEVER
        self._from_ms = None if report_from is None else to_ms(report_from)
        self._until_ms = None if report_until is None else to_ms(report_until)
        self._on_progress = on_progress
        self._on_bad = on_bad
        self._total = total
        self._tally = journal.tally()
        self._alerts: list[Alert] = []

    def partition(
        self,
        source: MentionSource,
        partition: int,
        rules: RuleSet,
        make: Callable[..., PartitionMonitor],
        save_every: int,
    ) -> None:
        """Read what is left of one partition."""
        position = self._journal.position(partition)
        timeline = Timeline(rules, since_ms=self._from_ms, until_ms=self._until_ms)
        if position.hours:
            timeline.load(position.hours)
        monitor = make(on_bin=timeline.add)
        monitor.restore(self._journal.state(partition))
        # Everything that this loop touches for each record is a local name: it runs for each of millions.
        absorb, keep, entity, until_ms = monitor.absorb, self._keep, self._entity, self._until_ms
        models, first, last = self._tally.models, *self._span()
        count = mentions = 0
        offset = position.offset
        for offset, record in source.records(partition, after=position.offset, on_bad=self._bad):
            if isinstance(record, Mention):
                if entity is not None and record.entity != entity:
                    record = time_alone(record)
                else:
                    mentions += 1
                    at = record.published_at
                    if at > last:
                        last = at
                    if at < first:
                        first = at
                    model = f"{record.model.name}@{record.model.version}"
                    models[model] = models.get(model, 0) + 1
            alerts = absorb(record, offset)
            if alerts:
                keep(alerts)
            count += 1
            if until_ms is not None and (monitor.watermark_ms or 0) >= until_ms:
                break  # every bin up to then has closed, and closes once
            if not count % _TELL_EVERY:
                self.tell(count, last)
            if not count % save_every:
                self._count(monitor, count, mentions, first, last)
                count = mentions = 0
                self._save(partition, Position(offset), monitor, timeline)
        self._count(monitor, count, mentions, first, last)
        self._save(partition, Position(offset, done=True), monitor, timeline)

    def tell(self, more: int = 0, last: datetime | None = None) -> None:
        """Say how far it is."""
        if self._on_progress is None:
            return
        known = self._span()[1] if last is None else last
        event_time = None if known == _EVER else known
        self._on_progress(RunProgress(self._tally.records + more, self._total, event_time))

    def _span(self) -> tuple[datetime, datetime]:
        """First and last event time so far."""
        first, last = self._tally.first_ms, self._tally.last_ms
        return (_NEVER if first is None else from_ms(first)), (_EVER if last is None else from_ms(last))

    def _keep(self, alerts: list[Alert]) -> None:
        self._alerts += [alert for alert in alerts if self._from <= alert.at <= self._until]

    def _bad(self, bad: BadRecord) -> None:
        self._tally.bad[bad.reason] = self._tally.bad.get(bad.reason, 0) + 1
        if self._on_bad is not None:
            self._on_bad(bad)

    def _count(self, monitor: PartitionMonitor, records: int, mentions: int, first: datetime, last: datetime) -> None:
        counted, tally = monitor.take_counters(), self._tally
        tally.records += records
        tally.mentions += mentions
        tally.late += counted.late
        tally.duplicates += counted.repeated
        tally.suppressed += sum(counted.suppressed.values())
        if first != _NEVER:
            tally.first_ms, tally.last_ms = to_ms(first), to_ms(last)

    def _save(self, partition: int, position: Position, monitor: PartitionMonitor, timeline: Timeline) -> None:
        rows = timeline.ended(None if position.done else monitor.watermark_ms or 0)
        changes = Changes([], []) if position.done else monitor.changes()
        self._journal.save(
            partition,
            position._replace(hours=timeline.dump()),
            state=[*changes.entities, *changes.clock],
            alerts=self._alerts,
            rows=rows,
            tally=self._tally,
        )
        self._alerts.clear()
