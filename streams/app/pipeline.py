"""Steps that batches go through in order, each step at work on another batch.

While one batch is on the GPU, the next is decoded and the one before is delivered. Each step holds one batch and
one more may wait before it: the bound that slows the consumer down when a step is slow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

Step = Callable[[Any], Awaitable[Any]]


class OrderedPipeline:
    """Runs batches through steps, first in first out.

    Args:
        steps: each takes what the step before returned.
        on_failure: called once with the first error of a step; nothing is processed after it, since a batch must not
            overtake one that failed.
    """

    def __init__(self, *steps: Step, on_failure: Callable[[BaseException], None]) -> None:
        self._steps = steps
        self._on_failure = on_failure
        self._queues: list[asyncio.Queue[Any]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._failed = False

    async def put(self, batch: object) -> None:
        """Hand over a batch; waits while the first step has one waiting."""
        if not self._tasks:
            self._queues = [asyncio.Queue(maxsize=1) for _ in self._steps]
            self._tasks = [asyncio.create_task(self._run(number)) for number in range(len(self._steps))]
        await self._queues[0].put(batch)

    async def stop(self) -> None:
        """Stop at once; what is under way is dropped, unacknowledged."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def _run(self, number: int) -> None:
        queue = self._queues[number]
        following = self._queues[number + 1] if number + 1 < len(self._queues) else None
        while True:
            batch = await queue.get()
            if self._failed:
                continue
            try:
                result = await self._steps[number](batch)
                if following is not None:
                    await following.put(result)
            except asyncio.CancelledError:
                raise
            except BaseException as error:
                if not self._failed:
                    self._failed = True
                    self._on_failure(error)
