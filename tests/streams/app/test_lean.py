"""The lean consumer delivers in the caller's own task where it can, and as Faust does where it must wait."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from mode.services import Service

from streams.app.apps import make_app
from streams.app.lean import LeanConsumer, LeanMonitor, LeanTransport, LeanWaiting
from streams.config import Settings

Scenario = Callable[[LeanWaiting], Awaitable[Any]]


def run(scenario: Scenario) -> Any:
    """Run a scenario on the part of the consumer that waits."""

    async def main() -> Any:
        return await scenario(LeanWaiting())

    return asyncio.run(main())


def test_what_suspends_nowhere_runs_in_the_callers_own_task_and_starts_none() -> None:
    async def scenario(consumer: LeanWaiting) -> None:
        caller = asyncio.current_task()

        async def deliver() -> tuple[str, asyncio.Task[Any] | None, int]:
            return "done", asyncio.current_task(), len(asyncio.all_tasks())

        found = await consumer.wait_first(deliver(), asyncio.Event().wait())
        assert found.results == [("done", caller, 1)]
        assert not found.stopped

    run(scenario)


def test_the_coroutine_that_was_not_needed_is_closed_without_a_warning() -> None:
    async def scenario(consumer: LeanWaiting) -> None:
        async def deliver() -> None: ...

        await consumer.wait_first(deliver(), asyncio.Event().wait())
        gc.collect()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(scenario)


def test_what_must_wait_goes_on_where_it_was_and_gives_its_result() -> None:
    async def scenario(consumer: LeanWaiting) -> list[str]:
        steps: list[str] = []
        room = asyncio.Event()

        async def deliver() -> str:
            steps.append("began")
            await room.wait()
            steps.append("had room")
            await asyncio.sleep(0)
            try:
                await asyncio.wait_for(asyncio.Event().wait(), 0.001)
            except TimeoutError:
                steps.append("met an error")
            return "done"

        asyncio.get_running_loop().call_soon(room.set)
        found = await consumer.wait_first(deliver(), asyncio.Event().wait())
        return [*steps, *found.results]

    assert run(scenario) == ["began", "had room", "met an error", "done"]


def test_a_rebalance_ends_the_waiting_and_cancels_the_delivery() -> None:
    async def scenario(consumer: LeanWaiting) -> str:
        fate = "none"
        rebalance = asyncio.Event()

        async def deliver() -> None:
            nonlocal fate
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                fate = "cancelled"
                raise

        asyncio.get_running_loop().call_soon(rebalance.set)
        found = await consumer.wait_first(deliver(), rebalance.wait())
        assert len(found.done) == 1
        await asyncio.sleep(0)
        return fate

    assert run(scenario) == "cancelled"


@pytest.mark.parametrize("waits", [False, True])
def test_an_error_of_the_delivery_is_raised(waits: bool) -> None:
    async def scenario(consumer: LeanWaiting) -> None:
        async def deliver() -> None:
            if waits:
                await asyncio.sleep(0)
            raise LookupError("no such channel")

        with pytest.raises(LookupError, match="no such channel"):
            await consumer.wait_first(deliver(), asyncio.Event().wait())

    run(scenario)


def test_a_full_queue_is_waited_for_as_with_fausts_own_consumer() -> None:
    async def scenario(consumer: LeanWaiting) -> None:
        for one in (consumer, Service()):
            queue: asyncio.Queue[int] = asyncio.Queue(maxsize=1)
            read: list[int] = []

            async def deliver(number: int, into: asyncio.Queue[int] = queue) -> None:
                await asyncio.wait([asyncio.ensure_future(into.put(number))])

            async def drain(into: asyncio.Queue[int] = queue, out: list[int] = read) -> None:
                while len(out) < 5:
                    out.append(await into.get())

            reader = asyncio.create_task(drain())
            for number in range(5):
                await one.wait_first(deliver(number), asyncio.Event().wait())
            await reader
            assert read == [0, 1, 2, 3, 4]

    run(scenario)


def test_a_worker_reads_with_the_lean_parts() -> None:
    app = make_app(Settings(), "scorer")
    assert type(app.transport) is LeanTransport
    assert app.transport.Consumer is LeanConsumer
    assert isinstance(app.monitor, LeanMonitor)
    assert LeanConsumer.wait_first is LeanWaiting.wait_first
