"""The scorer agent: `squall.messages` to `squall.mentions`. It moves batches; `streams.scoring` decides."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

import faust
from aiokafka.errors import KafkaError
from mode import CrashingSupervisor

from models.prediction import Prediction
from streams.app import metrics
from streams.app.apps import Fatal, assigned_partitions, log, make_app, raw_topic, received_at
from streams.app.arrivals import show_arrivals
from streams.app.express import ExpressLane
from streams.app.layout import group
from streams.app.offsets import OffsetReader, Position
from streams.app.pipeline import OrderedPipeline
from streams.app.right_of_way import RightOfWay
from streams.app.security import aiokafka_options
from streams.app.sender import Outgoing, Sender
from streams.config import Settings
from streams.records import AheadProgress, DeadLetter, Mention, Progress, encode
from streams.scoring import AheadClock, FeedClock, Outcome, Prepared, RawRecord, ScoringStage
from streams.scoring.overload import Overload
from streams.watch.watch import ModelWatch

_TICK_S = 1.0
_PIECE = 64
"""Messages of a batch between which what is urgent may pass: some 50 ms of work."""


@dataclass(slots=True)
class _Batch:
    stream: Any
    events: Sequence[Any]
    prepared: Prepared | None = None
    predictions: list[Prediction | Exception] = field(default_factory=list)
    scored_at: datetime | None = None


class ScorerService:
    """Scores what arrives on `squall.messages`.

    Args:
        settings: the configuration.
        stage: does the work.
        sender: takes mentions and dead letters to Kafka.
        offsets: what waits on the messages topic.
        fatal: ends the process.
        watch: told what has been scored and delivered.
    """

    def __init__(
        self,
        settings: Settings,
        stage: ScoringStage,
        sender: Sender,
        offsets: OffsetReader,
        fatal: Fatal,
        watch: ModelWatch,
    ) -> None:
        self._settings = settings
        self._watch = watch
        self._stage = stage
        self._sender = sender
        self._offsets = offsets
        self._feeds = FeedClock(
            partitions=settings.topics.message_partitions,
            idle_after_s=settings.worker.idle_after_s,
            lateness_s=settings.monitor.allowed_lateness_s,
        )
        after_s = settings.classifier.degrade_after_s
        self._ahead = AheadClock()
        self._overload = Overload(after_s)
        self._hurry = Overload(after_s / 2 if after_s is not None and stage.watches else None)
        self._way = RightOfWay()
        self.express = ExpressLane(
            aiokafka_options(settings.kafka),
            settings.topics.messages,
            following=self._following,
            take=self._take_ahead,
            fatal=fatal,
            way=self._way,
        )
        self._sending = asyncio.Lock()
        self._threads = {
            step: ThreadPoolExecutor(1, thread_name_prefix=step) for step in ("prepare", "score", "finish")
        }
        self._pipeline = OrderedPipeline(
            self._prepare, self._score, self._deliver, on_failure=fatal, names=("prepare", "score", "deliver")
        )
        metrics.begin_scoring()
        self.positions: dict[int, Position] = {}
        self.assigned: set[int] | None = None
        self.app = self._make_app()

    @property
    def group(self) -> str:
        """Consumer group."""
        return group(self._settings, "scorer")

    @property
    def is_ready(self) -> bool:
        """Whether Kafka has assigned partitions (or none, to a worker that stands by)."""
        return self.assigned is not None

    async def stop(self) -> None:
        """Let go of threads and tasks."""
        await self._pipeline.stop()
        for pool in self._threads.values():
            pool.shutdown(wait=False, cancel_futures=True)

    def _make_app(self) -> faust.App:
        app = make_app(self._settings, "scorer")
        worker = self._settings.worker

        @app.agent(
            raw_topic(app, self._settings.topics.messages),
            name="scorer",
            concurrency=1,
            supervisor_strategy=CrashingSupervisor,
        )
        async def score(stream: Any) -> None:
            async for events in stream.noack().noack_take(worker.batch_messages, within=worker.batch_wait_s):
                await self._pipeline.put(_Batch(stream, events))

        async def on_assigned(_: faust.App, assigned: set[Any], **__: Any) -> None:
            self.assigned = assigned_partitions(assigned, self._settings.topics.messages)
            self._feeds.assign(self.assigned, inherited=True)
            self._ahead.keep(self.assigned)
            await asyncio.get_running_loop().run_in_executor(
                self._threads["prepare"], self._stage.turns.keep, self.assigned
            )

        app.on_partitions_assigned.connect(cast(Any, on_assigned))
        return app

    async def tick_for_ever(self) -> None:
        """Once a second: read what waits, and say which partitions are idle."""
        while True:
            await asyncio.sleep(_TICK_S)
            try:
                await self._read_positions()
            except (KafkaError, OSError) as error:
                log.warning("cannot read the offsets of %s: %r", self._settings.topics.messages, error)
                continue
            async with self._sending:
                waiting = {number for number, position in self.positions.items() if position.waiting}
                await self._tell(self._feeds.tick(datetime.now(UTC), time.monotonic(), waiting))
            if not waiting:
                self.express.set_open(False)  # no batch comes that would say so

    def _following(self) -> dict[int, int]:
        """Of the partitions that are this process's now, the offset whose turn is next."""
        mine = self.assigned or set()
        return {number: offset for number, offset in self._stage.turns.next_offsets.items() if number in mine}

    async def _read_positions(self) -> None:
        self.positions = await self._offsets.read()
        for number, position in self.positions.items():
            metrics.WAITING.labels(self._settings.topics.messages, str(number)).set(position.waiting)

    async def _prepare(self, batch: _Batch) -> _Batch:
        records = [
            RawRecord(
                partition=event.message.partition,
                offset=event.message.offset,
                key=event.message.key,
                value=event.message.value,
                received_at=received_at(event.message),
            )
            for event in batch.events
        ]
        loop = asyncio.get_running_loop()
        with metrics.STEP_SECONDS.labels("prepare").time():
            batch.prepared = Prepared([])
            for part in self._parts(len(records)):
                await self._way.clear()
                batch.prepared.extend(
                    await loop.run_in_executor(self._threads["prepare"], self._stage.prepare, records[part])
                )
        show_arrivals(batch.prepared.heard)
        return batch

    async def _score(self, batch: _Batch) -> _Batch:
        assert batch.prepared is not None  # noqa: S101  # the step before set it
        metrics.BATCH_MESSAGES.observe(len(batch.prepared.ready))
        overloaded = self._is_overloaded(batch.prepared)
        loop = asyncio.get_running_loop()
        batch.predictions = []
        with metrics.STEP_SECONDS.labels("score").time():
            for part in self._parts(len(batch.prepared.ready)):
                await self._way.clear()
                score = partial(self._stage.score, batch.prepared, overloaded=overloaded, part=part)
                batch.predictions += await loop.run_in_executor(self._threads["score"], score)
        batch.scored_at = datetime.now(UTC)
        return batch

    def _parts(self, count: int) -> list[slice]:
        """Cut a batch into pieces between which what is urgent may pass; the whole of it while nothing is."""
        size = _PIECE if self.express.is_open else max(1, count)
        return [slice(at, at + size) for at in range(0, count, size)]

    def _is_overloaded(self, prepared: Prepared) -> bool:
        oldest = min((record.received_at for record in prepared.records), default=None)
        if oldest is None:
            return False
        before = self._overload.active
        waited_s = (datetime.now(UTC) - oldest).total_seconds()
        overloaded = self._overload.observe(waited_s)
        self.express.set_open(self._hurry.observe(waited_s))
        if overloaded != before:
            told = "begins: messages wait too long" if overloaded else "ends"
            log.warning("overload %s; what is on no watch list gets %s scores", told, "quick" if overloaded else "full")
            metrics.OVERLOADED.set(overloaded)
        return overloaded

    async def _deliver(self, batch: _Batch) -> None:
        assert batch.prepared is not None  # noqa: S101  # the steps before set both
        assert batch.scored_at is not None  # noqa: S101
        prepared = batch.prepared
        with metrics.STEP_SECONDS.labels("deliver").time():
            if prepared.unsettled:
                await self.express.settled()  # what this batch passes over must be delivered before it is acknowledged
            await self._way.clear()
            await self._write(prepared, batch.predictions, batch.scored_at)
            for event in batch.events:
                await batch.stream.ack(event)

    async def _take_ahead(self, records: Sequence[RawRecord]) -> None:
        """Score and deliver what is about watched companies, out of its turn."""
        loop = asyncio.get_running_loop()
        prepared = await loop.run_in_executor(self._threads["prepare"], self._stage.prepare_ahead, records)
        if prepared.ready:
            predictions = await loop.run_in_executor(self._threads["score"], self._stage.score, prepared)
            await self._write(prepared, predictions, datetime.now(UTC))
            metrics.TAKEN_AHEAD.inc(len(prepared.ready))
        self._ahead.read(prepared.ahead_to)
        news = self._ahead.news(self._stage.turns.watched_under_way())
        if news:
            async with self._sending:
                await self._wake(prepared)  # or an idle partition on which something waits would be passed by
                await self._tell(news)

    async def _write(
        self, prepared: Prepared, predictions: Sequence[Prediction | Exception], scored_at: datetime
    ) -> None:
        """Take what a scored batch comes to to Kafka, and count it when it is there."""
        loop = asyncio.get_running_loop()
        outcome, records = await loop.run_in_executor(
            self._threads["finish"], self._finish, prepared, predictions, scored_at
        )
        async with self._sending:
            await self._wake(prepared)
            await self._sender.send(records)
            _show_delay(prepared, outcome, datetime.now(UTC))
            for partition, published_at, arrived_at in prepared.times:
                self._feeds.seen(partition, published_at, arrived_at)
            for partition, mark in prepared.marks:
                self._feeds.marked(partition, mark)
            await self._tell(self._feeds.advanced())
        self._stage.delivered(prepared)
        self._watch.scored([ready.message_id for ready in prepared.ready], prepared.texts, predictions)
        _count(prepared, outcome)
        _count_answers(predictions)

    def _finish(
        self, prepared: Prepared, predictions: Sequence[Prediction | Exception], scored_at: datetime
    ) -> tuple[Outcome, list[Outgoing]]:
        """Make and encode what is to be sent; in a thread, as the loop has better things to do."""
        topics = self._settings.topics
        outcome = self._stage.finish(prepared, predictions, scored_at=scored_at)
        records = [_mention(topics.mentions, mention) for mention in outcome.mentions]
        records += [_dead_letter(topics.dead_letters, letter) for letter in outcome.dead]
        return outcome, records

    async def _wake(self, prepared: Prepared) -> None:
        """Tell the monitors which idle partitions hold something, before a mention could pass them by."""
        waiting = {record.partition for record in prepared.records}
        if self._feeds.has_idle:
            await self._read_positions()
            waiting |= {number for number, position in self.positions.items() if position.waiting}
        await self._tell(self._feeds.wake(waiting))

    async def _tell(self, news: Iterable[Progress | AheadProgress]) -> None:
        partitions = range(self._settings.topics.mention_partitions)
        topic = self._settings.topics.mentions
        await self._sender.send(
            [Outgoing(topic, encode(item), partition=number) for item in news for number in partitions]
        )


def _mention(topic: str, mention: Mention) -> Outgoing:
    return Outgoing(topic, encode(mention), key=mention.entity.encode())


def _dead_letter(topic: str, letter: DeadLetter) -> Outgoing:
    return Outgoing(topic, letter.value, key=letter.key, headers=tuple(letter.headers()))


def _show_delay(prepared: Prepared, outcome: Outcome, now: datetime) -> None:
    """Show how long each message took that has become mentions; those have just been acknowledged."""
    came_through = {mention.message_id for mention in outcome.mentions}
    for ready in prepared.ready:
        if ready.message_id in came_through:
            metrics.MENTION_DELAY.observe(max(0.0, (now - ready.record.received_at).total_seconds()))


def _count(prepared: Prepared, outcome: Outcome) -> None:
    unscorable = len(outcome.dead) - len(prepared.dead)
    for name, number in (
        ("mentioned", len(prepared.ready) - unscorable),
        ("unlinked", prepared.unlinked),
        ("repeated", prepared.repeated),
        ("refused", len(outcome.dead)),
    ):
        metrics.MESSAGES.labels(name).inc(number)
    for letter in outcome.dead:
        metrics.DEAD_LETTERS.labels(letter.reason).inc()
    metrics.MENTIONS.inc(len(outcome.mentions))
    metrics.TRUNCATED.inc(sum(mention.truncated for mention in outcome.mentions))


def _count_answers(predictions: Sequence[Prediction | Exception]) -> None:
    answered = [prediction for prediction in predictions if not isinstance(prediction, Exception)]
    for name, number in Counter("memory" if found.cached else found.tier for found in answered).items():
        metrics.SCORED.labels(name).inc(number)
    metrics.DEGRADED.inc(sum(found.degraded for found in answered))
    metrics.ABSTAINED.inc(sum(found.abstained for found in answered))
