"""From the monitor to the receivers: queues that never block, keep the order, and send nothing twice."""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections import OrderedDict
from collections.abc import Mapping

from streams.deliver import metrics
from streams.deliver.payload import idempotency_key
from streams.deliver.sinks import DELIVERED_STATES, AlertSink
from streams.errors import DeliveryError
from streams.records import Alert

_log = logging.getLogger(__name__)

_KEPT = "it is kept on the alerts topic"


class Outbox:
    """What waits for one receiver.

    The transitions of one alert are handed over in the order in which they came. Different alerts go through `lanes`
    side by side, so that one that the receiver chokes on does not hold up all others.

    Args:
        receiver: name in logs and metrics.
        sink: where to.
        lanes: how many transitions may be under way at once.
        capacity: how many may wait in all; a further one is dropped, counted and logged.
        remembered: of how many transitions it is known that they were taken.
    """

    def __init__(
        self, receiver: str, sink: AlertSink, *, lanes: int = 1, capacity: int = 1_000, remembered: int = 10_000
    ) -> None:
        self.receiver = receiver
        self._sink = sink
        self._queues: list[asyncio.Queue[Alert]] = [asyncio.Queue() for _ in range(lanes)]
        self._tasks: list[asyncio.Task[None]] = []
        self._capacity = capacity
        self._remembered = remembered
        self._taken: OrderedDict[tuple[str, int], None] = OrderedDict()
        self._waiting = 0
        self._closed = False

    @property
    def waiting(self) -> int:
        """Transitions that are queued or under way."""
        return self._waiting

    def submit(self, alert: Alert) -> bool:
        """Take a transition for delivery and return at once; needs a running event loop.

        Returns whether it was taken: not if nobody is called for its state, if it was taken before, or if the outbox
        is full or closed.
        """
        if alert.state not in DELIVERED_STATES:
            return False
        key = (alert.id, alert.transition)
        if key in self._taken:
            metrics.count(self.receiver, "duplicate")
            return False
        if self._closed or self._waiting >= self._capacity:
            metrics.count(self.receiver, "dropped")
            why = "it is closed" if self._closed else f"{self._waiting} are waiting; is the receiver down?"
            _log.error("alert %s was not sent to %s: %s; %s", idempotency_key(alert), self.receiver, why, _KEPT)
            return False
        self._start()
        self._remember(key)
        self._change_waiting(+1)
        self._queues[zlib.crc32(alert.id.encode()) % len(self._queues)].put_nowait(alert)
        return True

    async def settle(self, timeout_s: float) -> bool:
        """Wait at most `timeout_s` until nothing waits, and return whether that came to be."""
        try:
            async with asyncio.timeout(timeout_s):
                for queue in self._queues:
                    await queue.join()
        except TimeoutError:
            return False
        return True

    async def aclose(self, timeout_s: float = 10.0) -> int:
        """Take nothing more, wait at most `timeout_s` for what is under way, and return how many were abandoned."""
        self._closed = True
        await self.settle(timeout_s)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        abandoned = self._waiting
        if abandoned:
            self._change_waiting(-abandoned)
            metrics.DELIVERED.labels(receiver=self.receiver, outcome="abandoned").inc(abandoned)
            _log.error(
                "%d alert transitions were not sent to %s within %g s of the stop; they are kept on the alerts topic",
                abandoned,
                self.receiver,
                timeout_s,
            )
        close = getattr(self._sink, "aclose", None)
        if close is not None:
            await close()
        return abandoned

    def _start(self) -> None:
        if not self._tasks:
            self._tasks = [
                asyncio.create_task(self._run(queue), name=f"deliver-{self.receiver}-{lane}")
                for lane, queue in enumerate(self._queues)
            ]

    async def _run(self, queue: asyncio.Queue[Alert]) -> None:
        while True:
            alert = await queue.get()
            await self._hand_over(alert)
            self._change_waiting(-1)
            queue.task_done()

    async def _hand_over(self, alert: Alert) -> None:
        """Deliver one transition; whatever happens, the lane goes on."""
        try:
            await self._sink.deliver(alert)
        except Exception as error:
            metrics.count(self.receiver, "failed")
            # Only a sink's own error is known to hold no secret. A failed one may be submitted again.
            why = str(error) if isinstance(error, DeliveryError) else f"unexpected {type(error).__name__}"
            self._taken.pop((alert.id, alert.transition), None)
            _log.error("alert %s was not sent to %s: %s; %s", idempotency_key(alert), self.receiver, why, _KEPT)
        else:
            metrics.count(self.receiver, "delivered")

    def _remember(self, key: tuple[str, int]) -> None:
        self._taken[key] = None
        while len(self._taken) > self._remembered:
            self._taken.popitem(last=False)

    def _change_waiting(self, by: int) -> None:
        self._waiting += by
        metrics.WAITING.labels(receiver=self.receiver).set(self._waiting)


class Deliverer:
    """All receivers, each with an outbox of its own, so that a slow one holds up no other.

    Args:
        outboxes: one per receiver.
    """

    def __init__(self, *outboxes: Outbox) -> None:
        self._outboxes = outboxes

    @property
    def waiting(self) -> Mapping[str, int]:
        """Transitions that wait, per receiver."""
        return {outbox.receiver: outbox.waiting for outbox in self._outboxes}

    def submit(self, alert: Alert) -> None:
        """Give a transition to every outbox and return at once; needs a running event loop."""
        for outbox in self._outboxes:
            outbox.submit(alert)

    async def settle(self, timeout_s: float) -> bool:
        """Wait at most `timeout_s` until nothing waits for any receiver, and return whether that came to be."""
        return all(await asyncio.gather(*(outbox.settle(timeout_s) for outbox in self._outboxes)))

    async def aclose(self, timeout_s: float = 10.0) -> int:
        """Close every outbox within the same time; return how many transitions were abandoned in all."""
        return sum(await asyncio.gather(*(outbox.aclose(timeout_s) for outbox in self._outboxes)))
