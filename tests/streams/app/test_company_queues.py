"""Queues of companies: order within one, none that waits for another, and nothing that stays behind."""

from __future__ import annotations

import asyncio

import pytest

from streams.app.company_queues import CompanyQueues
from tests.streams.app.test_deliverer import until


class Hands:
    """Takes items; those of a company that is held wait until it is let go."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, int]] = []
        self.held: dict[str, asyncio.Event] = {}

    async def __call__(self, item: tuple[str, int]) -> None:
        company, number = item
        if number < 0:
            raise RuntimeError("a defect")
        if company in self.held:
            await self.held[company].wait()
        await asyncio.sleep(0)
        self.taken.append(item)


@pytest.fixture
def hands() -> Hands:
    return Hands()


async def test_a_company_that_is_held_up_holds_up_no_other_and_keeps_its_order(hands: Hands) -> None:
    queues = CompanyQueues(hands, name="t")
    hands.held["stuck"] = asyncio.Event()
    for number in range(3):
        for company in ("stuck", *(f"c{one}" for one in range(200))):
            queues.put(company, (company, number))
    await until(lambda: len(hands.taken) == 600, "all others are handed over")
    assert len(queues) == 1
    hands.held["stuck"].set()
    await until(lambda: len(queues) == 0, "nothing is kept of queues that are empty")
    for company in ("stuck", "c0", "c199"):
        assert [number for whose, number in hands.taken if whose == company] == [0, 1, 2]
    queues.put("c0", ("c0", 3))
    await until(lambda: hands.taken[-1] == ("c0", 3), "a company that comes again is served again")


async def test_at_the_end_what_is_under_way_is_finished_and_nothing_else_begun(hands: Hands) -> None:
    queues = CompanyQueues(hands, name="t")
    hands.held = {"a": asyncio.Event(), "b": asyncio.Event()}
    for item in (("a", 0), ("a", 1), ("b", 0)):
        queues.put(item[0], item)
    await asyncio.sleep(0)
    hands.held["a"].set()
    await queues.finish(0.05)
    assert hands.taken == [("a", 0)]
    await queues.close()
    hands.held["b"].set()
    await asyncio.sleep(0)
    assert hands.taken == [("a", 0)]
    assert len(queues) == 0
    await queues.finish(0.0)


async def test_a_defect_is_kept_and_nothing_overtakes_it(hands: Hands) -> None:
    queues = CompanyQueues(hands, name="t")
    queues.put("a", ("a", -1))
    queues.put("a", ("a", 1))
    queues.put("b", ("b", 0))
    await until(lambda: hands.taken, "the other company goes on")
    assert isinstance(queues.broken, RuntimeError)
    queues.put("a", ("a", 2))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert hands.taken == [("b", 0)]
    await queues.close()
