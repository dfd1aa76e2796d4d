"""A run gives what a monitor gives, whatever cut it off in between."""

from __future__ import annotations

import gc
import random
from datetime import timedelta
from pathlib import Path

import pytest

from streams.monitor import MonitorOptions, PartitionMonitor, default_rules
from streams.records import Alert, Mention, encode
from streams.replay.journal import Journal
from streams.replay.results import alert_from_line
from streams.replay.run import RunProgress, run_monitor
from streams.replay.sources.source import BadRecord
from tests.streams.replay.replay_log import BAD, QUIET, SURGE, story
from tests.streams.replay.replay_source import BrokenError, ListSource, one_partition

OPTIONS = MonitorOptions(squall_version="test")
NAMES = {BAD: "Plunderhaven Foods"}


@pytest.fixture(scope="module")
def records():
    return one_partition()


@pytest.fixture(scope="module")
def live(records) -> list[Alert]:
    """What a monitor says that is never saved."""
    monitor = PartitionMonitor(0, default_rules(), OPTIONS, names=NAMES)
    alerts = [alert for offset, record in enumerate(records) for alert in monitor.absorb(record, offset)]
    assert {"pending", "firing"} <= {alert.state for alert in alerts}
    return alerts


def _order(alert: Alert):
    return alert.at, alert.id, alert.transition


def run(path: Path, source: ListSource, **options) -> None:
    with Journal(path) as journal:
        run_monitor(source, rules=default_rules(), options=OPTIONS, names=NAMES, journal=journal, **options)


def alerts_in(path: Path) -> list[Alert]:
    with Journal(path) as journal:
        return [alert_from_line(line) for line in journal.alert_lines()]


def content(path: Path):
    with Journal(path) as journal:
        return list(journal.alert_lines()), list(journal.timeline()), journal.tally()


def test_a_run_gives_the_alerts_of_a_monitor(tmp_path: Path, records, live) -> None:
    run(tmp_path / "journal", ListSource({0: records}))
    assert [encode(alert) for alert in alerts_in(tmp_path / "journal")] == [
        encode(alert) for alert in sorted(live, key=_order)
    ]


@pytest.mark.parametrize("seed", range(4))
def test_a_run_that_breaks_off_again_and_again_ends_as_one_that_does_not(tmp_path: Path, records, seed: int) -> None:
    bad = [5, 400, len(records) - 1]
    run(tmp_path / "whole", ListSource({0: records}, bad=bad))
    dice = random.Random(seed)
    source = ListSource({0: records}, bad=bad)
    for _ in range(10):
        source.read, source.breaks_after = 0, dice.randrange(len(records) // 4)
        try:
            run(tmp_path / "cut", source, save_every=dice.choice((1, 7, 100)))
        except BrokenError:
            continue
    source.breaks_after = None
    run(tmp_path / "cut", source)
    assert content(tmp_path / "cut") == content(tmp_path / "whole")


def test_what_is_done_is_not_read_again(tmp_path: Path, records) -> None:
    run(tmp_path / "journal", ListSource({0: records}))
    again = ListSource({0: records})
    run(tmp_path / "journal", again)
    assert again.read == 0


def test_several_partitions_are_one_run_in_the_order_of_time(tmp_path: Path) -> None:
    mentions: dict[int, list] = {0: [], 1: []}
    for entity, record in story():
        for number in (0, 1) if entity is None else (int(entity == BAD),):
            mentions[number].append(record)
    run(tmp_path / "whole", ListSource(mentions))
    found = alerts_in(tmp_path / "whole")
    assert found == sorted(found, key=_order)
    assert {alert.labels["entity"] for alert in found} >= {BAD}
    source = ListSource(mentions, breaks_after=len(mentions[0]) + 300)
    with pytest.raises(BrokenError):
        run(tmp_path / "cut", source, save_every=50)
    source.breaks_after = None
    run(tmp_path / "cut", source)
    assert content(tmp_path / "cut") == content(tmp_path / "whole")


@pytest.mark.parametrize("entity", [BAD, *QUIET, "NOBODY"])
def test_one_company_alone_has_the_alerts_that_it_has_among_others(tmp_path: Path, records, live, entity: str) -> None:
    run(tmp_path / "journal", ListSource({0: records}), entity=entity)
    wanted = sorted((alert for alert in live if alert.labels["entity"] == entity), key=_order)
    assert [encode(alert) for alert in alerts_in(tmp_path / "journal")] == [encode(alert) for alert in wanted]
    with Journal(tmp_path / "journal") as journal:
        assert {row.entity for row in journal.timeline()} <= {entity}
        count = sum(isinstance(record, Mention) and record.entity == entity for record in records)
        assert journal.tally().mentions == count


def test_what_lies_outside_the_range_is_absorbed_and_not_reported(tmp_path: Path, records, live) -> None:
    pending = next(alert for alert in live if alert.state == "pending" and alert.at >= SURGE)
    fired = next(alert for alert in live if alert.state == "firing")
    assert pending.id == fired.id
    assert pending.at < fired.at
    begin, end = pending.at + timedelta(seconds=1), fired.at
    source = ListSource({0: records})
    run(tmp_path / "journal", source, report_from=begin, report_until=end)
    found = alerts_in(tmp_path / "journal")
    # It began before the range: its first transition inside is the one that is told, under its number.
    assert encode(fired) in [encode(alert) for alert in found]
    assert found == sorted((alert for alert in live if begin <= alert.at <= end), key=_order)
    assert source.read < len(records), "it reads no further than it must"
    with Journal(tmp_path / "journal") as journal:
        hours = [row.at_ms for row in journal.timeline()]
    assert min(hours) + 3_600_000 > begin.timestamp() * 1000
    assert max(hours) <= end.timestamp() * 1000


def test_an_alert_that_fires_on_is_reported_by_its_first_transition_inside(tmp_path: Path, records, live) -> None:
    fired = next(alert for alert in live if alert.state == "firing")
    run(tmp_path / "journal", ListSource({0: records}), report_from=fired.at)
    found = [alert for alert in alerts_in(tmp_path / "journal") if alert.id == fired.id]
    assert found[0] == fired
    assert found[0].transition > 0


def test_the_timeline_adds_up_to_all_mentions_and_has_the_baseline_of_the_spike_rule(tmp_path: Path, records) -> None:
    run(tmp_path / "journal", ListSource({0: records}), save_every=33)
    with Journal(tmp_path / "journal") as journal:
        rows = list(journal.timeline())
        tally = journal.tally()
    assert sum(row.mentions for row in rows) == tally.mentions - tally.late - tally.duplicates
    assert [(row.entity, row.at_ms) for row in rows] == sorted({(row.entity, row.at_ms) for row in rows})
    assert all(row.at_ms % 3_600_000 == 0 and 0 < row.votes <= row.mentions for row in rows)
    assert all(0 <= row.low <= row.baseline <= row.high <= 1 for row in rows)
    assert all(0.02 <= row.margin <= 0.15 for row in rows)
    surge = [row for row in rows if row.entity == BAD and row.at_ms > SURGE.timestamp() * 1000]
    assert max(row.negative / row.votes for row in surge) > 0.8


def test_it_tells_how_far_it_is_and_which_records_are_bad(tmp_path: Path, records) -> None:
    told: list[RunProgress] = []
    bad: list[BadRecord] = []
    source = ListSource({0: records}, bad=[3])
    run(tmp_path / "journal", source, on_progress=told.append, on_bad=bad.append)
    assert told[-1].records == told[-1].total == len(records)
    assert [one.records for one in told] == sorted(one.records for one in told)
    assert told[-1].event_time is not None
    assert [one.where for one in bad] == ["line 3"]


def test_counts_are_told_by_model_and_reason(tmp_path: Path, records) -> None:
    twice = [*records[:500], records[499], *records[500:]]
    run(tmp_path / "journal", ListSource({0: twice}, bad=[1, 2]))
    with Journal(tmp_path / "journal") as journal:
        tally = journal.tally()
    mentions = sum(isinstance(record, Mention) for record in twice)
    assert tally.models == {"given@1": mentions}
    assert tally.bad == {"not_json": 2}
    assert tally.duplicates == isinstance(records[499], Mention)


def test_python_collects_garbage_seldom_during_a_run_and_as_before_afterwards(tmp_path: Path, records) -> None:
    before = gc.get_threshold()
    during = []
    run(tmp_path / "whole", ListSource({0: records}), on_progress=lambda told: during.append(gc.get_threshold()))
    assert gc.get_threshold() == before
    assert max(young for young, *_ in during) >= 10 * before[0]
    with pytest.raises(BrokenError):
        run(tmp_path / "broken", ListSource({0: records}, breaks_after=100))
    assert gc.get_threshold() == before
