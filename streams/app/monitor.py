"""The monitor agent: `squall.mentions` to `squall.alerts`. It moves records; `streams.monitor` decides."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, cast

import faust
from mode import CrashingSupervisor

from streams import __version__
from streams.app import metrics
from streams.app.apps import Fatal, assigned_partitions, log, make_app, raw_topic
from streams.app.company_series import Companies, PartitionSeries
from streams.app.layout import STATE_TABLE, group
from streams.app.monitor_figures import SHOWN, Watched, look
from streams.app.pipeline import OrderedPipeline
from streams.app.sender import Outgoing, Sender
from streams.app.store import StateTable
from streams.assembly import monitor_options
from streams.config import Settings
from streams.errors import RecordError
from streams.monitor import PartitionMonitor, RuleSet
from streams.records import Alert, DeadLetter, Silence, decode_mention, encode

_BATCH = 1024
_BATCH_WAIT_S = 0.1
_SAVE_EVERY_S = 2.0
"""State is saved once in so long, and not with each batch: of a busy company, the ids of most of an hour would be
written each time again. What is not saved is not acknowledged, and a process that follows a crash reads it again."""
_FLUSH_S = 0.25
_LOOK_S = 5.0
"""How often the figures of companies and sectors are made anew."""

Change = tuple[int, str, bytes | None]
"""Partition, key, value."""


@dataclass(slots=True)
class _Batch:
    stream: Any
    events: Sequence[Any]
    alerts: list[Alert] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    clocks: list[Change] = field(default_factory=list)
    closing: list[float] = field(default_factory=list)
    """When the mentions arrived whose bins brought alerts about, Unix time."""
    saves: bool = False
    """What was absorbed up to here is saved, and acknowledged, with this batch."""


class MonitorService:
    """Raises alerts on what arrives on `squall.mentions`.

    Args:
        settings: the configuration.
        rules: the rules in force.
        sender: takes alerts and state to Kafka.
        fatal: ends the process.
        names: display names of companies by symbol.
        companies: whom /metrics shows by name.
        silences: what is known of silences.
    """

    def __init__(
        self,
        settings: Settings,
        rules: RuleSet,
        sender: Sender,
        fatal: Fatal,
        *,
        names: Mapping[str, str],
        companies: Companies | None = None,
        silences: Sequence[Silence] = (),
    ) -> None:
        self._names = names
        self._companies = companies or Companies()
        self._settings = settings
        self._rules = rules
        self._silences = tuple(silences)
        self._sender = sender
        self._fatal = fatal
        self._monitors: dict[int, PartitionMonitor] = {}
        self._series: dict[int, PartitionSeries] = {}
        self._is_shown = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="monitor")
        self._pipeline = OrderedPipeline(self._absorb, self._save, on_failure=fatal, names=("absorb", "save"))
        self._saved_s = 0.0
        self._unsaved: list[_Batch] = []
        metrics.begin_monitoring(rules)
        self.assigned: set[int] | None = None
        self.app = self._make_app()

    @property
    def group(self) -> str:
        """Consumer group."""
        return group(self._settings, "monitor")

    @property
    def is_ready(self) -> bool:
        """Whether Kafka has assigned partitions and the state is recovered."""
        return self.assigned is not None and bool(cast(Any, self.app.tables).recovery.completed.is_set())

    async def apply(self, rules: RuleSet) -> None:
        """Put other rules in force, between two batches."""
        metrics.begin_monitoring(rules)
        self._rules = rules  # of monitors that are made from now on
        monitors = list(self._monitors.values())

        def exchange() -> None:
            for monitor in monitors:
                monitor.apply(rules)

        # In the thread that the monitors run in, so that no batch is read half by these rules and half by those.
        await asyncio.get_running_loop().run_in_executor(self._thread, exchange)

    async def silence(self, silences: Sequence[Silence]) -> None:
        """Put silences in the place of those before, between two batches."""
        self._silences = tuple(silences)  # of monitors that are made from now on
        monitors = list(self._monitors.values())

        def exchange() -> None:
            for monitor in monitors:
                monitor.silence(silences)

        await asyncio.get_running_loop().run_in_executor(self._thread, exchange)

    async def save_for_ever(self) -> None:
        """Save what no further batch comes to save, and acknowledge it."""
        while True:
            await asyncio.sleep(_FLUSH_S)
            if self._unsaved and time.monotonic() - self._saved_s >= _SAVE_EVERY_S and self._pipeline.waiting(0) == 0:
                await self._pipeline.put(_Batch(stream=None, events=()))

    async def look_for_ever(self) -> None:
        """Every few seconds: show what the monitors know, on /metrics."""
        while True:
            await asyncio.sleep(_LOOK_S)
            await self._look()

    async def _look(self) -> None:
        mine = self._monitors.items() if self._is_shown else ()
        partitions = {number: Watched(monitor, self._series[number]) for number, monitor in mine}
        # In the thread that the monitors run in: what they know changes with every record.
        await asyncio.get_running_loop().run_in_executor(self._thread, self._show, partitions)

    def _show(self, partitions: Mapping[int, Watched]) -> None:
        try:
            SHOWN.show(look(partitions, self._rules, self._companies))
        except Exception:  # whoever looks on must not end what is looked at
            SHOWN.show({})
            log.exception("companies, sectors and open alerts cannot be shown on /metrics; alerts go on")

    async def stop(self) -> None:
        """Let go of threads and tasks."""
        await self._pipeline.stop()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _make_app(self) -> faust.App:
        app = make_app(self._settings, "monitor")
        topics = self._settings.topics
        table = app.Table(STATE_TABLE, partitions=topics.mention_partitions, key_type=bytes, value_type=bytes)
        self._table = cast(StateTable, table)

        @app.agent(
            raw_topic(app, topics.mentions), name="monitor", concurrency=1, supervisor_strategy=CrashingSupervisor
        )
        async def watch(stream: Any) -> None:
            async for events in stream.noack().noack_take(_BATCH, within=_BATCH_WAIT_S):
                await self._pipeline.put(_Batch(stream, events))

        async def on_revoked(_: faust.App, revoked: set[Any], **__: Any) -> None:
            self._is_shown = False  # before the next worker shows what it has taken over
            await self._look()

        async def on_assigned(_: faust.App, assigned: set[Any], **__: Any) -> None:
            # What is under way was waited for; the table now changes hands, so the copies in memory are void. What was
            # not saved all the same is read again: it was not acknowledged, and must not be with what follows.
            self._unsaved.clear()
            self._monitors.clear()
            self._series.clear()
            metrics.WATERMARK.clear()
            self.assigned = assigned_partitions(assigned, topics.mentions)
            self._is_shown = True

        async def on_recovered() -> None:
            # Not at the next record: on a quiet partition nobody would see for how far it was watched.
            try:
                for number in sorted(self.assigned or ()):
                    self._monitor(number)
                await self._look()
            except Exception as error:  # Faust would pass it over
                self._fatal(error)

        app.on_partitions_revoked.connect(cast(Any, on_revoked))
        app.on_partitions_assigned.connect(cast(Any, on_assigned))
        table.on_recover(on_recovered)
        return app

    def _monitor(self, partition: int) -> PartitionMonitor:
        monitor = self._monitors.get(partition)
        if monitor is None:
            partitions = self._settings.topics.mention_partitions
            series = PartitionSeries(self._companies.of_partition(partition, partitions))
            options = monitor_options(self._settings)
            monitor = PartitionMonitor(
                partition, self._rules, options, names=self._names, on_bin=series.on_bin, silences=self._silences
            )
            monitor.restore(self._table.saved(partition))
            series.take_up(monitor.entities)
            self._monitors[partition], self._series[partition] = monitor, series
            _show_watermark(partition, monitor)
            log.info("monitoring partition %d of %s", partition, self._settings.topics.mentions)
        return monitor

    async def _absorb(self, batch: _Batch) -> _Batch:
        partitions = {event.message.partition for event in batch.events}
        monitors = {number: self._monitor(number) for number in sorted(partitions)}
        everyone = dict(self._monitors)
        batch.saves = time.monotonic() - self._saved_s >= _SAVE_EVERY_S
        loop = asyncio.get_running_loop()
        with metrics.STEP_SECONDS.labels("absorb").time():
            await loop.run_in_executor(self._thread, self._absorb_in_thread, batch, monitors)
            if batch.saves:
                await loop.run_in_executor(self._thread, self._take_changes, batch, everyone)
                self._saved_s = time.monotonic()
        return batch

    def _absorb_in_thread(self, batch: _Batch, monitors: dict[int, PartitionMonitor]) -> None:
        for event in batch.events:
            message = event.message
            monitor = monitors[message.partition]
            self._look_for_a_hole(message.partition, monitor.offset, message.offset)
            try:
                record = decode_mention(message.value)
            except RecordError as error:
                batch.dead.append(
                    DeadLetter(
                        value=message.value,
                        key=message.key,
                        reason=error.reason,
                        detail=error.detail,
                        topic=self._settings.topics.mentions,
                        partition=message.partition,
                        offset=message.offset,
                        refused_by=f"squall {__version__}",
                    )
                )
                monitor.skip(message.offset)
                continue
            alerts = monitor.absorb(record, message.offset)
            if alerts:
                batch.alerts += alerts
                batch.closing.append(message.timestamp)
        batch.saves = batch.saves or bool(batch.alerts or batch.dead)  # so that neither is written a second time
        for number, monitor in monitors.items():
            _count(number, monitor)

    @staticmethod
    def _take_changes(batch: _Batch, monitors: dict[int, PartitionMonitor]) -> None:
        for number, monitor in sorted(monitors.items()):
            changes = monitor.changes()
            batch.changes += [(number, key, value) for key, value in changes.entities]
            batch.clocks += [(number, key, value) for key, value in changes.clock]

    def _look_for_a_hole(self, partition: int, last: int, offset: int) -> None:
        """Say so where records were passed over: the offsets of this topic have no holes while it holds them."""
        missing = offset - last - 1
        if last >= 0 and missing > 0:
            metrics.PASSED_OVER.inc(missing)
            log.error(
                "%d records of %s[%d] before offset %d were not read: deleted by retention while no monitor ran? "
                "Alerts may lack them; `squall replay kafka:` says what they would have been",
                missing,
                self._settings.topics.mentions,
                partition,
                offset,
            )

    async def _save(self, batch: _Batch) -> None:
        """Alerts first, entities second, clocks third, acknowledgement last: see `PartitionMonitor`.

        Alerts go out with each batch; what is not saved yet is not acknowledged, and is read again after a crash.
        """
        topics = self._settings.topics
        with metrics.STEP_SECONDS.labels("save").time():
            await self._sender.send(
                [Outgoing(topics.alerts, encode(alert), key=alert.id.encode()) for alert in batch.alerts]
                + [
                    Outgoing(topics.dead_letters, letter.value, key=letter.key, headers=tuple(letter.headers()))
                    for letter in batch.dead
                ]
            )
            for arrived_s in batch.closing:
                metrics.ALERT_DELAY.observe(max(0.0, time.time() - arrived_s))
            self._unsaved.append(batch)
            if batch.saves:
                for changes in (batch.changes, batch.clocks):
                    for partition, key, value in changes:
                        self._table.save(partition, key, value)
                    await self._sender.send(self._table.unsent())
                done, self._unsaved = self._unsaved, []
                for each in done:
                    for event in each.events:
                        await each.stream.ack(event)
        for alert in batch.alerts:
            if alert.again is not True:
                metrics.ALERTS.labels(alert.rule, alert.state, alert.severity).inc()
        for letter in batch.dead:
            metrics.DEAD_LETTERS.labels(letter.reason).inc()


def _count(number: int, monitor: PartitionMonitor) -> None:
    counters = monitor.take_counters()
    metrics.ABSORBED.labels("counted").inc(counters.absorbed)
    metrics.ABSORBED.labels("repeated").inc(counters.repeated)
    metrics.ABSORBED.labels("late").inc(counters.late)
    for kept_by, number_kept in counters.suppressed.items():
        metrics.SUPPRESSED.labels(kept_by).inc(number_kept)
    for outcome, count in counters.seeds.items():
        metrics.SEEDS.labels(outcome).inc(count)
    _show_watermark(number, monitor)


def _show_watermark(number: int, monitor: PartitionMonitor) -> None:
    if monitor.watermark_ms is not None:
        metrics.WATERMARK.labels(str(number)).set(monitor.watermark_ms / 1000)
