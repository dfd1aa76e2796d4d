"""What is urgent goes first, and the others have their share."""

from __future__ import annotations

import asyncio

import pytest

from streams.app.right_of_way import RightOfWay
from tests.streams.deliver.recording import Clock


async def test_others_wait_while_the_road_is_taken_and_have_it_before_it_is_taken_again() -> None:
    clock = Clock()
    way = RightOfWay(clock.sleep, clock.read)
    done: list[str] = []

    async def other() -> None:
        await way.clear()
        done.append("other")

    await way.clear()  # at first it is free
    async with way.taken():
        waiting = asyncio.create_task(other())
        await asyncio.sleep(0)
        clock.now_s += 2.0
        done.append("urgent")
        assert not waiting.done()
    await waiting
    assert done == ["urgent", "other"]
    assert clock.pauses == [0.5]


async def test_the_share_of_the_others_is_bounded() -> None:
    clock = Clock()
    way = RightOfWay(clock.sleep, clock.read)
    async with way.taken():
        clock.now_s += 600.0
    assert clock.pauses == [1.0]


async def test_a_road_whose_holder_failed_is_free_and_nobody_waits_for_it() -> None:
    clock = Clock()
    way = RightOfWay(clock.sleep, clock.read)
    with pytest.raises(RuntimeError, match="broken"):
        async with way.taken():
            raise RuntimeError("broken")
    await way.clear()
    assert clock.pauses == []
