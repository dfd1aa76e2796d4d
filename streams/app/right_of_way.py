"""Lets what is urgent go before what is not, without taking the road from it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

_SHARE = 0.25
"""Of the time that it was taken, the others have the road afterwards. With more, what is urgent would not keep up where
it is a good part of all."""
_MOST_PAUSE_S = 1.0


class RightOfWay:
    """Who is urgent takes the road; all others wait for it before each small piece of their work.

    They share one interpreter: without this, what is urgent would wait behind whole batches, once in each step, and run
    at a fraction of its speed.

    Args:
        sleep: how to pause.
        monotonic_s: reads a clock that only goes forward, seconds.
    """

    def __init__(
        self,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sleep = sleep
        self._monotonic_s = monotonic_s
        self._free = asyncio.Event()
        self._free.set()

    async def clear(self) -> None:
        """Return when nobody has taken the road."""
        await self._free.wait()

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Hold the road; by one at a time. On leaving it, wait until the others have had their share."""
        self._free.clear()
        began_s = self._monotonic_s()
        try:
            yield
        finally:
            self._free.set()
        await self._sleep(min(_SHARE * (self._monotonic_s() - began_s), _MOST_PAUSE_S))
