"""Steps in order, each at work on another batch; a slow step holds the others back; a failed one ends all."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from prometheus_client import REGISTRY

from streams.app.pipeline import OrderedPipeline


class Gate:
    """A step that lets a batch through when it is told to."""

    def __init__(self) -> None:
        self.entered: list[Any] = []
        self.may_go = asyncio.Semaphore(0)

    async def __call__(self, batch: Any) -> Any:
        self.entered.append(batch)
        await self.may_go.acquire()
        return batch


async def settle() -> None:
    """Let every task run as far as it can."""
    for _ in range(50):
        await asyncio.sleep(0)


def no_failure(error: BaseException) -> None:
    raise AssertionError(error)


async def test_every_batch_goes_through_every_step_in_order() -> None:
    seen: list[tuple[str, int]] = []
    all_through = asyncio.Event()

    async def double(batch: int) -> int:
        for _ in range(batch % 3):  # some are slower than those behind them
            await asyncio.sleep(0)
        seen.append(("double", batch))
        return 2 * batch

    async def keep(batch: int) -> None:
        seen.append(("keep", batch))
        if batch == 2 * 19:
            all_through.set()

    pipeline = OrderedPipeline(double, keep, on_failure=no_failure)
    for number in range(20):
        await pipeline.put(number)
    await asyncio.wait_for(all_through.wait(), timeout=10)
    assert [batch for step, batch in seen if step == "double"] == list(range(20))
    assert [batch for step, batch in seen if step == "keep"] == [2 * number for number in range(20)]
    await pipeline.stop()


async def test_steps_are_at_work_on_different_batches_at_once() -> None:
    first, second = Gate(), Gate()
    pipeline = OrderedPipeline(first, second, on_failure=no_failure)
    await pipeline.put("a")
    await settle()
    first.may_go.release()
    await pipeline.put("b")
    await settle()
    assert (first.entered, second.entered) == (["a", "b"], ["a"])
    await pipeline.stop()


async def test_a_slow_step_holds_back_whoever_hands_over() -> None:
    gate = Gate()
    pipeline = OrderedPipeline(gate, on_failure=no_failure)
    await pipeline.put("at work")
    await settle()
    await pipeline.put("waiting")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(pipeline.put("too many"), timeout=0.01)
    gate.may_go.release()
    await pipeline.put("now there is room")
    await pipeline.stop()


async def test_how_many_batches_a_step_has_before_it_is_shown() -> None:
    def depth(stage: str) -> float | None:
        return REGISTRY.get_sample_value("squall_queue_depth", {"stage": stage})

    first, second = Gate(), Gate()
    pipeline = OrderedPipeline(first, second, on_failure=no_failure, names=("first", "second"))
    assert (depth("first"), depth("second")) == (0, 0)
    for number in range(3):  # one at work in the second step, one waits for it, one is held up in the first
        await pipeline.put(number)
        await settle()
        first.may_go.release()
        await settle()
    assert (depth("first"), depth("second")) == (0, 2)
    await pipeline.put("waits")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(pipeline.put("gives up"), timeout=0.01)
    assert (depth("first"), depth("second")) == (1, 2), "what gave up is not there any more"
    for _ in range(9):
        first.may_go.release()
        second.may_go.release()
        await settle()
    assert (depth("first"), depth("second")) == (0, 0)
    await pipeline.stop()


@pytest.mark.parametrize("failing", [0, 1])
async def test_after_a_failure_nothing_more_is_processed_and_it_is_told_once(failing: int) -> None:
    done: list[int] = []
    errors: list[BaseException] = []

    def step(number: int) -> Any:
        async def work(batch: int) -> int:
            if number == failing and batch >= 3:
                raise RuntimeError(f"batch {batch}")
            if number == 1:
                done.append(batch)
            return batch

        return work

    pipeline = OrderedPipeline(step(0), step(1), on_failure=errors.append)
    for batch in range(10):
        await pipeline.put(batch)  # and whoever hands over is not held up for ever
    await settle()
    assert done == list(range(len(done)))
    assert len(done) <= 3
    assert [str(error) for error in errors] == ["batch 3"]
    await pipeline.stop()


async def test_stopping_drops_what_is_under_way() -> None:
    gate, done = Gate(), list[str]()

    async def keep(batch: str) -> None:
        done.append(batch)

    pipeline = OrderedPipeline(gate, keep, on_failure=no_failure)
    await pipeline.put("a")
    await settle()
    await pipeline.stop()
    gate.may_go.release()
    await settle()
    assert done == []
