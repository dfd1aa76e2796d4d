"""One transition to one receiver: whether it is wanted, the handing over, and what becomes of it otherwise."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from aiokafka import ConsumerRecord, TopicPartition

from streams.app.delivery_progress import Beyond, Progress
from streams.app.undelivered import Keep
from streams.deliver import metrics
from streams.deliver.attempts import Repeater
from streams.deliver.book import Book
from streams.deliver.payload import idempotency_key
from streams.deliver.sinks import AlertSink
from streams.errors import DeliveryError, RecordError
from streams.records import Alert, decode_alert

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Waiting:
    """One transition that is to be delivered, and where it came from."""

    alert: Alert
    partition: TopicPartition
    offset: int
    written_s: float
    """When Kafka had it, Unix time."""
    progress: Progress
    """Of what was read of its partition: where it is noted that it is done."""


class HandOver:
    """Hands transitions to a receiver, keeps what it does not take, and repeats what fires.

    Args:
        receiver: name in logs and metrics.
        sink: where to.
        leads_here: whether the routes lead an alert to this receiver; None if all do.
        keep: keeps what is given up; without it the alerts topic alone has it.
        remembered: of how many transitions it is known that they were delivered.
        stale_after_s: a transition that Kafka has had for longer is no news: a new receiver is not told of it, and for
            one that was known before it is given up and kept.
        pause_s: wait before something is kept that could not be kept.
        now: Unix time, seconds.
    """

    def __init__(
        self,
        receiver: str,
        sink: AlertSink,
        *,
        leads_here: Callable[[Alert], bool] | None,
        keep: Keep | None,
        remembered: int,
        stale_after_s: float,
        pause_s: float,
        now: Callable[[], float],
    ) -> None:
        self._receiver = receiver
        self._sink = sink
        self._keep = keep
        self._remembered = remembered
        self._stale_after_s = stale_after_s
        self._pause_s = pause_s
        self._now = now
        self._repeater: Repeater | None = getattr(sink, "repeater", None)
        self._book = Book(leads_here or (lambda alert: True))
        self.needs_past = leads_here is not None or self._repeater is not None
        """What was told before has to be known: to repeat what fires, or to tell the end to whom it was told."""
        self._delivered: OrderedDict[tuple[str, int], None] = OrderedDict()

    def wanted(self, record: ConsumerRecord, beyond: Beyond | None) -> Alert | None:
        """Return the alert of a record, if this receiver is to be told of it.

        Args:
            record: of the alerts topic.
            beyond: what an earlier process has done beyond the offset that it committed; None if there was none.
        """
        if beyond is not None and beyond.is_done(record.offset):
            self.recall(record)
            return None
        alert = _decoded(record)
        if alert is None:
            return None
        if (alert.id, alert.transition) in self._delivered:
            metrics.count(self._receiver, "duplicate")
            self._book.read_back(record.partition, alert, record.timestamp / 1000)
            return None
        if (beyond is None or self._keep is None) and self._is_stale(record.timestamp / 1000):
            metrics.count(self._receiver, "stale")
            return None
        return alert if self._book.expect(record.partition, alert) else None

    def recall(self, record: ConsumerRecord) -> None:
        """Take in what an earlier process has told."""
        if (alert := _decoded(record)) is not None:
            self._book.read_back(record.partition, alert, record.timestamp / 1000)

    def forget(self) -> None:
        """Partitions go elsewhere: what fires on them is no longer ours to repeat."""
        self._book.clear()

    async def __call__(self, item: Waiting) -> None:
        """Deliver one transition, unless it was; whatever the sink raises, its queue goes on."""
        alert, partition = item.alert, item.partition.partition
        key = (alert.id, alert.transition)
        if key in self._delivered:
            metrics.count(self._receiver, "duplicate")
            return
        self._book.begin(partition, alert)
        if self._keep is not None and self._is_stale(item.written_s):
            await self._give_up(item, f"it is older than {self._stale_after_s / 3600:g} hours")
            self._book.told(partition, alert, self._now())
            return
        try:
            await self._sink.deliver(alert, age_s=max(0.0, self._now() - item.written_s))
        except Exception as error:
            # Only a sink's own error is known to hold no secret.
            why = str(error) if isinstance(error, DeliveryError) else f"unexpected {type(error).__name__}"
            await self._give_up(item, why)
        else:
            metrics.count(self._receiver, "delivered")
            metrics.SECONDS.labels(self._receiver).observe(max(0.0, self._now() - item.written_s))
            self._delivered[key] = None
            while len(self._delivered) > self._remembered:
                self._delivered.popitem(last=False)
        self._book.told(partition, alert, self._now())

    async def repeat_for_ever(self) -> None:
        """Send copies of what fires, for as long as its partitions are ours; nothing, to a receiver that wants none."""
        repeater = self._repeater
        while repeater is not None:
            await asyncio.sleep(repeater.resend_every_s)
            try:
                sent = await repeater.resend(self._book.to_repeat)
            except Exception as error:
                # A receiver's defect must not end the delivery, nor the worker; of its words none is known to be safe.
                metrics.RESEND_ERRORS.labels(self._receiver).inc()
                kind = type(error).__name__
                _log.error("what fires was not sent again to %s: unexpected %s", self._receiver, kind)
            else:
                metrics.RESENT.labels(self._receiver).inc(sent)

    def _is_stale(self, written_s: float) -> bool:
        return self._now() - written_s > self._stale_after_s

    async def _give_up(self, item: Waiting, why: str) -> None:
        """Keep a transition that the receiver did not take; until it is kept, its company's queue waits."""
        metrics.count(self._receiver, "failed")
        key = idempotency_key(item.alert)
        place = "the dead letters: see squall notify undelivered" if self._keep is not None else item.partition.topic
        _log.error(
            "alert %s was NOT delivered to %s and is given up: %s; it is kept on %s", key, self._receiver, why, place
        )
        while self._keep is not None:
            try:
                await self._keep(item.alert, item.partition, item.offset, self._receiver, why)
            except DeliveryError as error:
                _log.error("alert %s cannot be kept yet, and is not lost: %s", key, error)
                await asyncio.sleep(self._pause_s)
            else:
                break
        metrics.UNDELIVERED.labels(self._receiver).inc()


def _decoded(record: ConsumerRecord) -> Alert | None:
    try:
        return decode_alert(record.value)
    except RecordError as error:
        at = f"{record.topic}[{record.partition}]@{record.offset}"
        _log.error("%s is no alert and is passed over: %s", at, error)
        return None
