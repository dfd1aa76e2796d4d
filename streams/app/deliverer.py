"""From `squall.alerts` to one receiver: nothing is committed before it is delivered, so an outage loses nothing.

A plain aiokafka consumer and no Faust agent: a delivery may be retried for hours, and one receiver's outage is to
hold up neither another receiver nor the monitor's own offsets. So each receiver has a consumer group of its own.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from streams.app.company_queues import CompanyQueues
from streams.app.delivery_progress import Beyond, Progress
from streams.app.hand_over import HandOver, Waiting
from streams.app.read_back import read_back
from streams.app.undelivered import Keep
from streams.deliver import metrics
from streams.deliver.sinks import AlertSink
from streams.records import Alert

_log = logging.getLogger(__name__)

_POLL_MS = 500
_PAUSE_S = 2.0
_GRACE_S = 3.0
_COMMIT_S = 3.0
_LEAVE_S = 5.0
"""To leave the group and disconnect, at the end."""
_MAX_POLL_INTERVAL_MS = 24 * 3_600_000
"""A receiver that is down is no reason to leave the group. (The loop goes on polling meanwhile; this is for a machine
that sleeps.)"""
LOOK_BACK_S = 7 * 86_400.0


STALE_AFTER_S = 86_400.0


class DeliveryLoop:
    """Hands the transitions on the alerts topic to one receiver, at least once and as a rule exactly once.

    A transition's offset is committed when the receiver has it, or when it was given up and is kept elsewhere. So what
    was not delivered when a process ended is delivered by the next one; at most what was under way just then comes
    twice, with the same idempotency key.

    The transitions of one company keep their order. Different companies go side by side, so that an alert that the
    receiver chokes on holds up no other company; how many attempts are made at once is for the sink to bound. A sink
    with one lane gets all in order.

    Whose partitions these are also sends copies of what fires, to a receiver that wants them. What fires is known from
    the topic itself, up to where the group has committed: before a partition is delivered from, it is read back.

    Args:
        receiver: name in logs and metrics.
        sink: where to; it is closed at the end.
        options: aiokafka client options.
        group: the consumer group: one per receiver.
        topic: the alerts topic.
        capacity: how many transitions may wait in memory; more are left on Kafka until there is room.
        remembered: of how many transitions it is known that they were delivered.
        pause_s: wait before a lost broker is tried again.
        stale_after_s: a transition that Kafka has had for longer is no news: a receiver that is switched on today is
            not told of the alerts of last month, and what waited for one through a longer outage is given up and kept.
        leads_here: whether the routes lead an alert to this receiver; without it all do.
        keep: keeps what is given up; without it the alerts topic alone has it.
        look_back_s: how much of the topic is read back.
        membership: aiokafka options of the member of the group, such as its session timeout.
        now: Unix time, seconds.
    """

    def __init__(
        self,
        receiver: str,
        sink: AlertSink,
        *,
        options: dict[str, Any],
        group: str,
        topic: str,
        capacity: int = 1_000,
        remembered: int = 10_000,
        pause_s: float = _PAUSE_S,
        stale_after_s: float = STALE_AFTER_S,
        leads_here: Callable[[Alert], bool] | None = None,
        keep: Keep | None = None,
        look_back_s: float = LOOK_BACK_S,
        membership: Mapping[str, Any] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        metrics.begin(receiver)
        self.receiver = receiver
        self._sink = sink
        self._options = options
        self._membership = dict(membership or {})
        self._group = group
        self._topic = topic
        self._capacity = capacity
        self._pause_s = pause_s
        self._look_back_s = look_back_s
        self._now = now
        self._hand_over = HandOver(
            receiver,
            sink,
            leads_here=leads_here,
            keep=keep,
            remembered=remembered,
            stale_after_s=stale_after_s,
            pause_s=pause_s,
            now=now,
        )
        self._progress: dict[TopicPartition, Progress] = {}
        self._beyond: dict[TopicPartition, Beyond] = {}
        self._committed: dict[TopicPartition, tuple[int, str]] = {}
        self._queues = CompanyQueues(self._deliver, name=f"deliver-{receiver}")
        self._repeating: asyncio.Task[None] | None = None
        self._waiting = 0
        self._settled = asyncio.Event()
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self._task: asyncio.Task[Any] | None = None
        self._moving = True
        self._to_begin: frozenset[TopicPartition] | None = None
        self._grace_s = _GRACE_S

    @property
    def waiting(self) -> int:
        """Transitions in memory that are queued or under way."""
        return self._waiting

    async def run(self) -> None:
        """Deliver until `stop`; a broker that is away is waited for."""
        self._task = asyncio.current_task()
        try:
            while not self._stopping.is_set():
                try:
                    await self._serve()
                except (KafkaError, OSError) as error:
                    _log.error("delivery to %s has lost Kafka (%r) and tries again", self.receiver, error)
                    await self._pause()
        finally:
            await self._sink.aclose()
            self._ended.set()

    async def stop(self, timeout_s: float = _GRACE_S) -> None:
        """Take nothing more, wait at most `timeout_s` for what is under way, commit what is done, and disconnect."""
        self._grace_s = timeout_s
        self._stopping.set()
        if self._task is None:
            await self._sink.aclose()
            return
        try:
            async with asyncio.timeout(timeout_s + _LEAVE_S):
                await self._ended.wait()
        except TimeoutError:  # no broker answers: it will find out by itself that this member has gone
            self._task.cancel()
            await self._ended.wait()

    async def _serve(self) -> None:
        """Read and deliver over one connection. Raises KafkaError when it is lost."""
        consumer = AIOKafkaConsumer(
            **self._options,
            **self._membership,
            client_id=f"squall-deliver-{self.receiver}",
            group_id=self._group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            max_poll_interval_ms=_MAX_POLL_INTERVAL_MS,
            max_poll_records=self._capacity,
        )
        self._moving, self._to_begin = True, None
        consumer.subscribe([self._topic], listener=_Listener(self, consumer))
        committer: asyncio.Task[None] | None = None
        try:
            await consumer.start()
            committer = asyncio.create_task(self._commit_for_ever(consumer))
            while not self._stopping.is_set():
                if self._to_begin is not None and not await self._begin(consumer, self._to_begin):
                    continue
                self._hold_or_go_on(consumer)
                batches = await consumer.getmany(timeout_ms=_POLL_MS)
                if self._moving:
                    continue  # read again from the committed offsets, here or elsewhere
                self._take(record for records in batches.values() for record in records)
                if self._queues.broken is not None:
                    raise self._queues.broken  # a defect of our own: loud, instead of a queue that stands still
            await self._queues.finish(self._grace_s)
            await self._close_queues()
            await self._commit(consumer)
        finally:
            if committer is not None:
                committer.cancel()
                await asyncio.gather(committer, return_exceptions=True)
            await self._close_queues()
            self._forget()
            await consumer.stop()

    def _hold_or_go_on(self, consumer: AIOKafkaConsumer) -> None:
        """Leave on Kafka what there is no room for; a paused consumer still takes part in its group."""
        mine = consumer.assignment()
        paused = consumer.paused()
        if self._waiting >= self._capacity:
            if mine - paused:
                _log.error("%d alerts wait for %s; the others wait on Kafka", self._waiting, self.receiver)
                consumer.pause(*mine)
        elif paused and self._waiting <= self._capacity // 2:
            consumer.resume(*paused)

    def _take(self, records: Iterable[ConsumerRecord]) -> None:
        """Queue what somebody is called for, in the order in which it happened."""
        batch: list[Waiting] = []
        for record in records:
            partition = TopicPartition(record.topic, record.partition)
            progress = self._progress.setdefault(partition, Progress())
            beyond = self._beyond.get(partition)
            if progress.goes_back_at(record.offset) or (beyond is not None and record.offset < beyond.position):
                _log.error("%s[%d] was made anew or cut off: it is delivered from its beginning", *partition)
                progress = self._progress[partition] = Progress()
                self._beyond.pop(partition, None)
                beyond = None
            progress.take(record.offset)
            alert = self._hand_over.wanted(record, beyond)
            if alert is None:
                progress.settle(record.offset)
                self._settled.set()
                continue
            batch.append(Waiting(alert, partition, record.offset, record.timestamp / 1000, progress))
        batch.sort(key=lambda item: (item.alert.at, item.alert.id, item.alert.transition))
        for item in batch:
            whose = item.alert.labels.get("entity", item.alert.id) if self._sink.lanes > 1 else ""
            self._queues.put(whose, item)
        self._change_waiting(len(batch))

    async def _deliver(self, item: Waiting) -> None:
        await self._hand_over(item)
        item.progress.settle(item.offset)
        self._change_waiting(-1)
        self._settled.set()

    async def _commit_for_ever(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            await self._settled.wait()
            self._settled.clear()
            if not await self._commit(consumer):
                await self._pause()
                self._settled.set()

    async def _commit(self, consumer: AIOKafkaConsumer) -> bool:
        """Commit what is done and not committed; return whether that worked."""
        mine = consumer.assignment()
        positions = {
            partition: commit
            for partition, progress in self._progress.items()
            if partition in mine and (commit := progress.commit) != self._committed.get(partition)
        }
        if not positions:
            return True
        try:
            async with asyncio.timeout(_COMMIT_S):
                await consumer.commit(positions)
        except (KafkaError, TimeoutError) as error:
            # Nothing is lost: what is read again was remembered, or comes once more with the same key.
            _log.warning("what %s has received is not committed yet: %r", self.receiver, error)
            return False
        self._committed.update(positions)
        return True

    async def _let_go(self, consumer: AIOKafkaConsumer) -> None:
        """Before partitions change hands: commit what is done, and forget what is not, as it will be read again."""
        self._moving, self._to_begin = True, None
        await self._close_queues()
        await self._commit(consumer)
        self._forget()

    def _forget(self) -> None:
        self._progress.clear()
        self._beyond.clear()
        self._committed.clear()
        self._hand_over.forget()

    def _take_on(self, consumer: AIOKafkaConsumer, assigned: Collection[TopicPartition]) -> None:
        """Partitions have been assigned: nothing of them is read before `_begin`."""
        consumer.pause(*assigned)
        self._to_begin = frozenset(assigned)

    async def _begin(self, consumer: AIOKafkaConsumer, assigned: frozenset[TopicPartition]) -> bool:
        """Read back what was told before, and open the queues; False if the partitions have moved on meanwhile."""
        self._forget()
        past = await read_back(
            self._options,
            group=self._group,
            partitions=assigned,
            since_s=self._now() - self._look_back_s if self._hand_over.needs_past else None,
            on_record=self._hand_over.recall,
            goes_on=lambda: self._to_begin is assigned and not self._stopping.is_set(),
        )
        if self._to_begin is not assigned or self._stopping.is_set():
            return False
        self._to_begin = None
        for partition, found in past.items():
            if found.beyond is not None:
                self._beyond[partition] = found.beyond
            else:
                consumer.seek(partition, 0)
        consumer.resume(*assigned)
        self._queues = CompanyQueues(self._deliver, name=f"deliver-{self.receiver}")
        name = f"repeat-{self.receiver}"
        self._repeating = asyncio.create_task(self._hand_over.repeat_for_ever(), name=name)
        self._moving = False
        return True

    async def _close_queues(self) -> None:
        await self._queues.close()
        repeating, self._repeating = self._repeating, None
        if repeating is not None:
            repeating.cancel()
            await asyncio.gather(repeating, return_exceptions=True)
        self._change_waiting(-self._waiting)

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self._pause_s):
                await self._stopping.wait()
        except TimeoutError:
            return

    def _change_waiting(self, by: int) -> None:
        self._waiting += by
        metrics.WAITING.labels(receiver=self.receiver).set(self._waiting)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, loop: DeliveryLoop, consumer: AIOKafkaConsumer) -> None:
        self._loop = loop
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        await self._loop._let_go(self._consumer)

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._loop._take_on(self._consumer, assigned)
