"""Two lanes: nothing is lost, nothing is overtaken within its lane, nobody starves, nothing waits beyond its time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.lanes import LaneQueue

ITEMS = st.lists(st.tuples(st.booleans(), st.integers(1, 12)), max_size=40)


def fill(queue: LaneQueue[int], items: list[tuple[bool, int]], now_s: float = 0.0) -> None:
    for number, (watched, cost) in enumerate(items):
        queue.put(number, cost=cost, watched=watched, now_s=now_s)


def drain(queue: LaneQueue[int]) -> list[list[int]]:
    batches = []
    while len(queue):
        batches.append(queue.take(1e9))
        assert batches[-1], "something waits, its time is over, and nothing is taken"
    return batches


@given(ITEMS, st.integers(1, 20))
def test_everything_is_taken_once_and_in_order_within_its_lane(items: list[tuple[bool, int]], budget: int) -> None:
    queue: LaneQueue[int] = LaneQueue(budget=budget, max_delay_s=1)
    fill(queue, items)
    taken = [number for batch in drain(queue) for number in batch]
    assert sorted(taken) == list(range(len(items)))
    for lane in (True, False):
        mine = [number for number in taken if items[number][0] is lane]
        assert mine == sorted(mine)
    assert queue.cost == 0


@given(ITEMS, st.integers(1, 20))
def test_a_batch_keeps_to_its_budget_but_for_one_of_each_lane(items: list[tuple[bool, int]], budget: int) -> None:
    queue: LaneQueue[int] = LaneQueue(budget=budget, max_delay_s=1)
    fill(queue, items)
    for batch in drain(queue):
        over = sum(items[number][1] for number in batch) - budget
        assert over <= 12 + 12
        if over > 0:  # only heads of lanes may go beyond it
            assert sum(items[number][1] for number in batch[1:-1]) <= budget


@given(st.lists(st.integers(1, 12), min_size=1, max_size=20))
def test_the_first_of_the_others_goes_with_the_next_batch_however_much_is_watched(costs: list[int]) -> None:
    queue: LaneQueue[str] = LaneQueue(budget=16, max_delay_s=0)
    for number, cost in enumerate(costs):
        queue.put(f"other {number}", cost=cost, watched=False, now_s=0)
    left = [f"other {number}" for number in range(len(costs))]
    while left:
        for _ in range(50):
            queue.put("watched", cost=4, watched=True, now_s=0)
        batch = queue.take(0)
        assert left[0] in batch
        left = [item for item in left if item not in batch]


def test_what_is_watched_goes_first_and_the_others_keep_their_floor() -> None:
    queue: LaneQueue[str] = LaneQueue(budget=8, max_delay_s=0, floor=0.25)
    for number in range(10):
        queue.put(f"o{number}", cost=1, watched=False, now_s=0)
    for number in range(10):
        queue.put(f"w{number}", cost=1, watched=True, now_s=0)
    assert queue.take(0) == ["w0", "w1", "w2", "w3", "w4", "w5", "o0", "o1"]
    assert queue.take(0) == ["w6", "w7", "w8", "w9", "o2", "o3", "o4", "o5"]


def test_a_batch_is_due_when_it_is_full_or_when_its_oldest_has_waited_long_enough() -> None:
    queue: LaneQueue[str] = LaneQueue(budget=4, max_delay_s=0.5)
    assert queue.due_at_s() is None
    queue.put("a", cost=1, watched=False, now_s=10.0)
    queue.put("b", cost=1, watched=True, now_s=10.2)
    assert queue.due_at_s() == 10.5
    assert queue.take(10.4) == []
    queue.put("c", cost=2, watched=False, now_s=10.4)
    assert queue.take(10.4) == ["b", "a", "c"]
    assert queue.take(99.0) == []


def test_bounds_that_make_no_sense_are_refused() -> None:
    for bounds in ({"budget": 0}, {"max_delay_s": -1.0}, {"floor": 0.0}, {"floor": 1.0}):
        with pytest.raises(ValueError, match="needs budget"):
            LaneQueue(**{"budget": 1, "max_delay_s": 0.0, **bounds})  # type: ignore[arg-type]
