"""Steps that batches go through in order, each step at work on another batch.

While one batch is on the GPU, the next is decoded and the one before is delivered. Each step holds one batch and
one more may wait before it: the bound that slows the consumer down when a step is slow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from streams.app import metrics

Step = Callable[[Any], Awaitable[Any]]


class OrderedPipeline:
    """Runs batches through steps, first in first out.

    Args:
        steps: each takes what the step before returned.
        on_failure: called once with the first error of a step; nothing is processed after it, since a batch must not
            overtake one that failed.
        names: of the steps, for /metrics; without them nothing is shown.
    """

    def __init__(self, *steps: Step, on_failure: Callable[[BaseException], None], names: Sequence[str] = ()) -> None:
        self._steps = steps
        self._handed = [0] * len(steps)
        self._begun = [0] * len(steps)
        for number, name in enumerate(names):
            metrics.QUEUE_DEPTH.labels(name).set_function(partial(self.waiting, number))
        self._on_failure = on_failure
        self._queues: list[asyncio.Queue[Any]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._failed = False

    def waiting(self, number: int) -> int:
        """Return how many batches a step has before it: one in its queue, and one for which there was no room yet."""
        return self._handed[number] - self._begun[number]

    async def put(self, batch: object) -> None:
        """Hand over a batch; waits while the first step has one waiting."""
        if not self._tasks:
            self._queues = [asyncio.Queue(maxsize=1) for _ in self._steps]
            self._tasks = [asyncio.create_task(self._run(number)) for number in range(len(self._steps))]
        await self._hand(0, batch)

    async def _hand(self, number: int, batch: object) -> None:
        self._handed[number] += 1
        try:
            await self._queues[number].put(batch)
        except asyncio.CancelledError:
            self._handed[number] -= 1
            raise

    async def stop(self) -> None:
        """Stop at once; what is under way is dropped, unacknowledged."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def _run(self, number: int) -> None:
        queue = self._queues[number]
        has_next = number + 1 < len(self._queues)
        while True:
            batch = await queue.get()
            self._begun[number] += 1
            if self._failed:
                continue
            try:
                result = await self._steps[number](batch)
                if has_next:
                    await self._hand(number + 1, result)
            except asyncio.CancelledError:
                raise
            except BaseException as error:
                if not self._failed:
                    self._failed = True
                    self._on_failure(error)
