from datetime import timedelta

import msgspec
import pytest

from streams.monitor import MonitorOptions, PartitionMonitor, default_rules
from streams.records import Alert, encode
from streams.replay import LogRecord, compare_alerts, replay_partition
from streams.replay.sources.partitioner import partition_of
from tests.streams.replay.replay_log import BAD, QUIET, SURGE, story

OPTIONS = MonitorOptions(squall_version="test")
NAMES = {BAD: "Plunderhaven Foods"}


@pytest.fixture(scope="module")
def log() -> list[LogRecord]:
    return [LogRecord(0, offset, encode(record)) for offset, (_, record) in enumerate(story())]


@pytest.fixture(scope="module")
def live() -> list[Alert]:
    """What a monitor says that saves its state after every record, and is restored from it now and then."""
    saved: dict[str, bytes] = {}
    monitor = PartitionMonitor(0, default_rules(), OPTIONS, names=NAMES)
    alerts = []
    for offset, (_, record) in enumerate(story()):
        alerts += monitor.absorb(record, offset)
        entities, clock = monitor.changes()
        for key, value in (*entities, *clock):
            if value is None:
                saved.pop(key, None)
            else:
                saved[key] = value
        if offset % 500 == 499:
            monitor = PartitionMonitor(0, default_rules(), OPTIONS, names=NAMES)
            monitor.restore(saved.items())
    return alerts


def _replay(log, **only) -> list[Alert]:
    return list(replay_partition(0, log, rules=default_rules(), options=OPTIONS, names=NAMES, **only))


def test_a_replay_gives_the_bytes_that_were_live(log, live) -> None:
    assert any(alert.state == "firing" and alert.labels["entity"] == BAD for alert in live)
    assert [encode(alert) for alert in _replay(log)] == [encode(alert) for alert in live]


def test_one_entity_gives_the_same_alerts_as_all_do(log, live) -> None:
    for entity in (BAD, *QUIET):
        alone = [encode(alert) for alert in _replay(log, entity=entity)]
        assert alone == [encode(alert) for alert in live if alert.labels["entity"] == entity]


def test_until_keeps_what_happened_up_to_that_moment_and_reads_no_further(log, live) -> None:
    fired = next(alert for alert in live if alert.state == "firing")
    read = []
    records = (read.append(record.offset) or record for record in log)
    found = _replay(records, until=fired.at)
    assert found[-1] == fired
    assert [encode(alert) for alert in found] == [encode(alert) for alert in live if alert.at <= fired.at]
    assert len(read) < len(log)


def test_nothing_has_happened_before_the_surge(log) -> None:
    assert not any(alert.state == "firing" for alert in _replay(log, until=SURGE - timedelta(minutes=1)))


def test_a_record_that_cannot_be_read_changes_nothing(log, live, caplog) -> None:
    broken = [*log[:700], LogRecord(0, 700, b'{"type": "men'), LogRecord(0, 700, None), *log[700:]]
    assert _replay(broken) == live
    assert "mentions[0]@700 is passed over: not_json" in caplog.text


def test_the_partition_of_an_entity_is_the_one_that_kafkas_clients_choose() -> None:
    from aiokafka.partitioner import DefaultPartitioner

    for entity in ("AAPL", "BRK.B", "600000.SS", "00700.HK", BAD, *QUIET):
        assert partition_of(entity, 7) == DefaultPartitioner()(entity.encode(), list(range(7)), [])


def test_equal_alerts_have_no_difference_even_if_one_was_written_twice(live) -> None:
    assert compare_alerts(live, [*live, live[0]]) is None


def test_the_first_difference_in_event_time_is_told(live) -> None:
    assert "follows from the log, but is not among" in str(compare_alerts(live, live[1:]))
    assert "was raised, but does not follow" in str(compare_alerts(live[:-1], live))
    severe = msgspec.structs.replace(live[1], severity="critical", annotations={"name": "other"})
    found = compare_alerts(live, [live[0], severe, *live[3:]])
    assert found is not None
    assert found.kind == "different"
    assert found.alert == live[1]
    assert "annotations" in str(found)
