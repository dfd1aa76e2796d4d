"""What a run leaves is read again as it was, and what is no finished run is told."""

from __future__ import annotations

import gzip
import json
from io import BytesIO
from pathlib import Path

import msgspec
import pytest

from streams.errors import InputError
from streams.monitor import MonitorOptions, PartitionMonitor, default_rules
from streams.records import Alert, decode_alert, encode
from streams.replay.finish import write_timeline
from streams.replay.hours import TimelineRow
from streams.replay.results import alert_from_line, alert_line, load_run, read_timeline
from streams.replay.timeline import Timeline, shown_rule
from tests.streams.replay.replay_source import one_partition


@pytest.fixture(scope="module")
def alerts() -> list[Alert]:
    monitor = PartitionMonitor(0, default_rules(), MonitorOptions())
    return [alert for offset, record in enumerate(one_partition()) for alert in monitor.absorb(record, offset)]


def test_an_alert_comes_back_from_its_line_as_it_was_raised(alerts: list[Alert]) -> None:
    for alert in alerts:
        line = alert_line(alert)
        assert encode(alert_from_line(line)) == encode(decode_alert(encode(alert)))
        assert decode_alert(line).evidence == decode_alert(encode(alert)).evidence


def test_a_rule_that_has_a_label_of_that_name_keeps_its_own(alerts: list[Alert]) -> None:
    alert = msgspec.structs.replace(alerts[0], labels={**alerts[0].labels, "ticker": "of the rule"})
    line = alert_line(alert)
    assert json.loads(line)["labels"]["ticker"] == "of the rule"
    assert alert_from_line(line).labels == alert.labels


def test_only_what_is_over_has_an_end(alerts: list[Alert]) -> None:
    for alert in alerts:
        row = json.loads(alert_line(alert))
        assert (row["endsAt"] is None) == (alert.state in ("pending", "firing"))
        assert row["status"] == alert.state
        assert row["startsAt"] == (row["fired_at"] or row["starts_at"])


def _row(entity: str, hour: int) -> TimelineRow:
    return TimelineRow(entity, hour * 3_600_000, 3, 2, 0.1 + 0.2, 0.25, None, 1 / 3, 0.07)


def test_a_timeline_is_read_as_it_was_written_and_equal_ones_are_equal_bytes(tmp_path: Path) -> None:
    rows = [_row("TAMAR", 1), _row("TAMAR", 2)]
    file, other = BytesIO(), BytesIO()
    write_timeline(file, rows)
    write_timeline(other, iter(rows))
    assert file.getvalue() == other.getvalue()
    (tmp_path / "timeline").write_bytes(file.getvalue())
    points = list(read_timeline(tmp_path / "timeline"))
    assert [point.at.hour for point in points] == [1, 2]
    assert (points[0].negative, points[0].low, points[0].high) == (0.3, None, 0.333333)


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"no gzip" + data])
def test_a_damaged_timeline_is_told(tmp_path: Path, damage) -> None:
    file = BytesIO()
    write_timeline(file, [_row("TAMAR", hour) for hour in range(900)])
    (tmp_path / "timeline").write_bytes(damage(file.getvalue()))
    with pytest.raises(InputError, match="timeline: line"):
        list(read_timeline(tmp_path / "timeline"))
    (tmp_path / "timeline").write_bytes(gzip.compress(b'{"entity": 3}\n'))
    with pytest.raises(InputError, match="line 1"):
        list(read_timeline(tmp_path / "timeline"))


def test_what_is_no_finished_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is not the folder of a finished replay$"):
        load_run(tmp_path / "run")
    (tmp_path / "run.partial").mkdir()
    with pytest.raises(InputError, match=r"run\.partial was never finished; run the same command again"):
        load_run(tmp_path / "run")


@pytest.mark.parametrize("content", ["", "{}", '{"format": "one"}'])
def test_a_summary_that_cannot_be_read_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "summary.json").write_text(content)
    with pytest.raises(InputError, match=r"summary\.json: cannot be read"):
        load_run(tmp_path)


def test_hours_are_handed_over_once_they_cannot_grow_and_kept_until_then() -> None:
    closed: list = []
    monitor = PartitionMonitor(0, default_rules(), MonitorOptions(), on_bin=lambda found: closed.append(found))
    for offset, record in enumerate(one_partition()[:900]):
        monitor.absorb(record, offset)
    hour_ms = 3_600_000
    closed = [found for found in closed if found.entity == closed[0].entity]
    first = closed[0].start_ms // hour_ms * hour_ms
    timeline = Timeline(default_rules())
    for found in closed:
        timeline.add(found)
    over = timeline.ended(closed[-1].start_ms)
    assert [row.at_ms for row in over] == sorted({found.start_ms // hour_ms * hour_ms for found in closed})[:-1]
    assert over[0].at_ms == first
    assert timeline.ended(closed[-1].start_ms) == []
    other = Timeline(default_rules())
    other.load(timeline.dump())
    (last,) = other.ended(None)
    assert last == timeline.ended(None)[0]
    assert sum(row.mentions for row in [*over, last]) == sum(found.mentions for found in closed)
    assert shown_rule(default_rules()).alert == "NegativeShareSurge"
