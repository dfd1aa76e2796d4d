"""A log that is laid out anew over other partitions closes the same bins, and raises the same alerts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.errors import InputError
from streams.monitor import MonitorOptions, PartitionMonitor, default_rules
from streams.records import Alert, LogEntry, Mention, Progress, Seed, encode
from streams.replay.rehearsals.lanes import Due, keep_apart, spread
from streams.replay.sources.partitioner import partition_of
from tests.streams.replay.replay_log import START, story
from tests.streams.replay.replay_source import LATENESS, closing, one_partition

LATENESS_S = LATENESS.total_seconds()


def _alerts(lanes: Iterable[Iterable[LogEntry]]) -> list[bytes]:
    raised: list[Alert] = []
    for number, records in enumerate(lanes):
        monitor = PartitionMonitor(number, default_rules(), MonitorOptions(allowed_lateness_s=int(LATENESS_S)))
        for offset, record in enumerate(records):
            raised += monitor.absorb(record, offset)
    return sorted(encode(alert) for alert in raised)


def _laid_out(due: Iterable[Due], partitions: int) -> list[list[LogEntry]]:
    lanes: list[list[LogEntry]] = [[] for _ in range(partitions)]
    for item in due:
        lanes[item.partition].append(item.record)
    return lanes


def _without_progress(seed: int) -> list[LogEntry]:
    """As from a file of plain rows: what says how far the feed has come is its begin and its end alone."""
    mentions = sorted(
        (record for record in one_partition(seed) if isinstance(record, Mention)), key=lambda one: one.published_at
    )
    begin = [Progress(partition=number, partitions=2, event_time=None, idle=False) for number in range(2)]
    return [*begin, *mentions, *closing(mentions[-1].published_at)]


@pytest.mark.parametrize("partitions", [1, 2, 3, 7])
@pytest.mark.parametrize("log", [one_partition, _without_progress])
def test_over_any_number_of_partitions_the_alerts_are_the_same(log: object, partitions: int) -> None:
    records: list[LogEntry] = list(log(5))  # type: ignore[operator]
    expected = _alerts([records])
    assert expected
    lanes = _laid_out(spread(records, partitions, lateness_s=LATENESS_S), partitions)
    assert _alerts(lanes) == expected
    assert sum(isinstance(record, Mention) for lane in lanes for record in lane) == sum(
        isinstance(record, Mention) for record in records
    )


def test_each_company_stays_on_the_partition_of_its_key_and_every_progress_is_on_all() -> None:
    records = one_partition()
    due = list(spread(records, 3, lateness_s=LATENESS_S))
    for item in due:
        if isinstance(item.record, Mention):
            assert (item.partition, item.key) == (partition_of(item.record.entity, 3), item.record.entity.encode())
            assert item.at == item.record.published_at
    told = [record for record in records if isinstance(record, Progress)]
    for number in range(3):
        ours = [item.record for item in due if item.partition == number and isinstance(item.record, Progress)]
        assert [one for one in ours if one.partitions] == told


def test_steps_of_the_clock_that_close_nothing_are_left_out() -> None:
    mentions = [record for record in _without_progress(3) if isinstance(record, Mention)]
    due = list(spread(mentions, 2, lateness_s=LATENESS_S))
    steps = [item for item in due if isinstance(item.record, Progress)]
    minutes = {(one.origin.partition, one.published_at.replace(second=0, microsecond=0)) for one in mentions}
    assert len(steps) == len(minutes) < len(mentions)


def test_records_without_a_time_take_the_first_that_comes_after_them() -> None:
    due = list(spread(one_partition(), 2, lateness_s=LATENESS_S))
    first = next(item.at for item in due if isinstance(item.record, Mention))
    assert {item.at for item in due[:4]} == {first}
    assert all(isinstance(item.record, Progress) and item.record.event_time is None for item in due[:4])


def test_where_nothing_has_a_time_all_is_of_the_beginning_of_time() -> None:
    begin = Progress(partition=0, partitions=1, event_time=None, idle=True)
    assert {item.at for item in spread([begin], 2, lateness_s=0)} == {datetime(1970, 1, 1, tzinfo=UTC)}


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1_000), partitions=st.integers(1, 4))
def test_a_log_of_as_many_partitions_is_played_as_it_was(seed: int, partitions: int) -> None:
    lanes: dict[int, list[LogEntry]] = {number: [] for number in range(partitions)}
    for entity, record in story(seed):
        if record is not None and getattr(record, "published_at", START) > START + timedelta(hours=3):
            break
        for number in range(partitions) if entity is None else [partition_of(entity, partitions)]:
            lanes[number].append(record)
    due = list(keep_apart(lanes, partitions, lateness_s=LATENESS_S))
    assert _laid_out(due, partitions) == [lanes[number] for number in range(partitions)]
    assert [item.reached for item in due] == sorted(item.reached for item in due)


def test_a_company_on_a_partition_where_it_would_not_be_is_refused() -> None:
    mention = next(record for record in one_partition() if isinstance(record, Mention))
    wrong = (partition_of(mention.entity, 3) + 1) % 3
    with pytest.raises(InputError, match=r"set topics\.mention_partitions to as many as the source has"):
        list(keep_apart({wrong: [mention]}, 3, lateness_s=LATENESS_S))


def test_a_seed_goes_to_its_company_and_moves_no_clock() -> None:
    seed = Seed(entity="QUOLL", learned_until=START, learned_at=START, baselines={}, identity="0123456789abcdef")
    (due,) = spread([seed], 3, lateness_s=LATENESS_S)
    assert due == Due(START, START, partition_of("QUOLL", 3), b"QUOLL", seed)
