"""Faust's Kafka consumer without the races in which it passes records over.

After an assignment Faust recovers the tables, lets the streams' partitions go on, and then seeks them to what was
committed. Four things go wrong in between, with Faust 0.15.3 and aiokafka 0.14; on a busy machine a worker that was
started again after a kill lost records that way, or stood still:

1. It waits for records of a set of partitions that it empties meanwhile, and of none aiokafka takes any: records of
   paused partitions are taken out of the fetcher's hands and thrown away.
2. What was fetched before the seek is delivered after it. The fetcher then goes on from there, and drops what comes
   again of the records before. It takes the gap for one that compaction left, and commits past it.
3. aiokafka does not seek at all where nothing, or offset 0, is committed.
4. Where offsets really have a gap, the record after it counts as done before it is processed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import aclosing
from typing import Any

from faust.transport.drivers import aiokafka as driver


class SteadyConsumer(driver.Consumer):
    """Fetches and seeks by turns, delivers nothing that was fetched before a seek, and seeks before it delivers."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._positions = asyncio.Lock()
        self._seeks = 0
        self._fetched_after = 0
        self._sought: dict[Any, int | None] = {}
        self._held: set[Any] = set()

    async def _getmany(self, active_partitions: set[Any] | None, timeout: float) -> Any:  # noqa: ASYNC109  # Faust's own
        async with self._positions:
            self._fetched_after = self._seeks
            if not active_partitions:
                return {}
            wanted = set(active_partitions)  # the set itself may be emptied while the fetch waits
            fetch = asyncio.ensure_future(super()._getmany(wanted, timeout))
            try:
                return await asyncio.shield(fetch)
            except asyncio.CancelledError:
                await asyncio.wait([fetch])  # it goes on in its thread, and must not take what a seek makes way for
                raise

    async def getmany(self, timeout: float) -> AsyncIterator[Any]:  # noqa: ASYNC109  # Faust's own
        """Yield what has been fetched, up to the next seek: what is left by then is fetched again after it."""
        async with aclosing(super().getmany(timeout)) as records:  # type: ignore[type-var]
            async for record in records:
                if self._fetched_after != self._seeks:
                    return
                yield record
                if self._fetched_after != self._seeks:
                    # The drain has just noted how far it read, of before the seek: it would drop what comes again.
                    self._read_offset.update(self._sought)
                    return

    async def perform_seek(self) -> None:
        """Seek the streams' partitions to what is committed, or to their beginning; then let them be read."""
        async with self._positions:
            await super().perform_seek()
            await self._seek_the_uncommitted()
            self._sought = {tp: self._read_offset[tp] for tp in self._streams(self.assignment())}
            self._seeks += 1
        held, self._held = self._held, set()
        super().resume_partitions(held & self.assignment())

    async def _seek_the_uncommitted(self) -> None:
        fresh = {tp for tp in self._streams(self.assignment()) if not self._read_offset[tp]}
        if fresh:
            earliest = await self.earliest_offsets(*fresh)
            await super().seek_wait({tp: earliest[tp] or 0 for tp in fresh})

    async def seek_wait(self, partitions: Mapping[Any, int]) -> None:
        """Seek partitions; no fetch is under way meanwhile, which would be of before."""
        async with self._positions:
            await super().seek_wait(partitions)
            self._seeks += 1

    def resume_partitions(self, tps: Iterable[Any]) -> None:
        """Let partitions be read again: a stream's only after the seek, which Faust asks for right afterwards."""
        streams = self._streams(tps)
        self._held |= streams
        super().resume_partitions(set(tps) - streams)

    async def on_partitions_revoked(self, revoked: set[Any]) -> None:
        """Forget what was to be resumed."""
        self._held.clear()
        await super().on_partitions_revoked(revoked)

    async def _add_gap(self, tp: Any, offset_from: int, offset_to: int) -> None:
        await super()._add_gap(tp, offset_from, offset_to - 1)

    def _streams(self, tps: Iterable[Any]) -> set[Any]:
        return {tp for tp in tps if not self._is_changelog_tp(tp)}
