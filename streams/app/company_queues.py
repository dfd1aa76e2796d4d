"""What waits for one receiver, in a queue for each company: one that is retried for hours holds up nobody else."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class CompanyQueues(Generic[Item]):
    """Hands over items: those of one company one after another, those of different companies side by side.

    A queue lasts for as long as something is in it. How many items may be in memory is for the caller to bound, and
    how many attempts are made at once for the receiver's sink.

    Args:
        hand_over: is given one item at a time of each company. What it raises stops that company's queue, and is in
            `broken`.
        name: of the tasks.
    """

    def __init__(self, hand_over: Callable[[Item], Awaitable[None]], *, name: str) -> None:
        self._hand_over = hand_over
        self._name = name
        self._queues: dict[str, deque[Item]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ending = False
        self.broken: Exception | None = None
        """The first defect in what hands over; as a rule there is none."""

    def __len__(self) -> int:
        """Return how many companies have something in their queue or under way."""
        return len(self._queues)

    def put(self, company: str, item: Item) -> None:
        """Queue an item behind the others of its company."""
        queue = self._queues.get(company)
        if queue is None:
            queue = self._queues[company] = deque()
            self._tasks[company] = asyncio.create_task(self._work(company, queue), name=f"{self._name}-{company}")
        queue.append(item)

    async def finish(self, timeout_s: float) -> None:
        """Begin nothing more, and wait at most `timeout_s` for what is under way."""
        self._ending = True
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()), timeout=timeout_s)

    async def close(self) -> None:
        """Break off what is under way and forget what waits."""
        self._ending = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._queues.clear()
        self._tasks.clear()

    async def _work(self, company: str, queue: deque[Item]) -> None:
        try:
            while queue and not self._ending:
                await self._hand_over(queue[0])
                queue.popleft()
        except Exception as error:
            # The queue stays: what comes behind must not overtake what is stuck in it.
            self.broken = self.broken or error
            return
        if not queue:
            del self._queues[company], self._tasks[company]
