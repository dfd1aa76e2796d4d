from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.bench.figures import percentile
from deploy.bench.timing import Arrival, Delay, Raised, closing_ms, delays, steady_rate

MINUTE = 60_000
START = datetime(2026, 3, 2, tzinfo=UTC)


def _arrival(partition: int, published_ms: int, *, entity: str = "BAXQ", took_ms: int = 5) -> Arrival:
    return Arrival(partition, 0, published_ms + took_ms, published_ms, entity)


def _batches(*ends_ms: int, size: int = 100) -> list[tuple[datetime, int]]:
    """Batches of records that arrive within their last 20 milliseconds, in no order."""
    return [
        (START + timedelta(seconds=number), end_ms - record % 20)
        for record in range(size)
        for number, end_ms in enumerate(ends_ms)
    ]


def test_the_rate_leaves_the_first_batch_and_what_came_before_it_out() -> None:
    assert steady_rate(_batches(90_000, 91_000, 92_000, 93_000)) == 100.0
    assert steady_rate(_batches(10_000, 11_000, 12_000, 13_000)) == 100.0


def test_a_first_batch_that_was_not_full_does_not_flatter() -> None:
    small = _batches(90_000, size=30) + [(START + timedelta(hours=1), 91_000)] * 100
    assert steady_rate(small) == 100.0


@given(st.integers(1, 50), st.integers(2, 20), st.integers(1, 5_000))
def test_batches_at_a_steady_pace_give_that_pace(size: int, batches: int, gap_ms: int) -> None:
    times = _batches(*(number * gap_ms for number in range(batches)), size=size)
    assert steady_rate(times) == pytest.approx(size / gap_ms * 1000)


@pytest.mark.parametrize("records", [[], [(START, 1), (START, 2)], [(START, 7), (START + timedelta(seconds=1), 7)]])
def test_too_few_batches_give_no_rate(records: list[tuple[datetime, int]]) -> None:
    with pytest.raises(ValueError, match="publish more messages"):
        steady_rate(records)


def test_a_bin_closes_with_the_last_partitions_first_message_past_it() -> None:
    arrivals = [
        _arrival(0, MINUTE - 1),
        _arrival(0, MINUTE, took_ms=3),
        _arrival(1, MINUTE + 700, took_ms=9),
        _arrival(0, MINUTE + 900),
        _arrival(1, MINUTE + 950),
    ]
    assert closing_ms(arrivals, bin_end_ms=MINUTE, lateness_ms=0, partitions=2) == MINUTE + 709
    assert closing_ms(arrivals, bin_end_ms=MINUTE, lateness_ms=800, partitions=2) == MINUTE + 955
    assert closing_ms(arrivals, bin_end_ms=MINUTE, lateness_ms=0, partitions=3) is None
    assert closing_ms(arrivals, bin_end_ms=2 * MINUTE, lateness_ms=0, partitions=2) is None


def test_a_delay_is_told_apart_into_waiting_and_service() -> None:
    arrivals = [
        _arrival(0, 20_000, entity="ZBBQX"),
        _arrival(1, 45_000, entity="ZBBQX"),
        _arrival(0, 50_000, entity="BAXQ"),
        _arrival(0, MINUTE),
        _arrival(1, MINUTE + 100),
        _arrival(1, MINUTE + 500, entity="ZBBQX"),
    ]
    raised = [Raised("ZBBQX", MINUTE, MINUTE + 405), Raised("ZBBQX", 9 * MINUTE, 9 * MINUTE)]
    assert delays(raised, arrivals, lateness_ms=0, partitions=2) == [Delay(waiting_ms=15_100, service_ms=300)]


def test_percentiles_are_values_that_occurred() -> None:
    values = list(range(1, 101))
    assert percentile(values, 50) == 50
    assert percentile(values, 99) == 99
    assert percentile([3.0], 1) == 3.0
    with pytest.raises(ValueError, match="needs values"):
        percentile([], 50)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1), st.floats(0.1, 100))
def test_a_percentile_is_not_exceeded_by_so_many(values: list[float], percent: float) -> None:
    found = percentile(values, percent)
    assert sum(value <= found for value in values) >= percent / 100 * len(values) - 1e-9
