"""The path in memory: a settable clock, the worker's own objects, and the same answer whatever the driver does."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from models.testing import FakeClassifier
from streams.assembly import monitor_options
from streams.config import Settings
from streams.ingest.entities import Linker
from streams.ingest.entities.table import Entity, EntityTable
from streams.monitor.rule_files import parse_rules
from streams.records import Alert, FeedMark, Message, Progress, decode_mention, encode
from streams.replay import replay_partition
from streams.replay.driver import MemoryPath

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
RULES = parse_rules(
    """
rules:
  - alert: Surge
    type: spike
    fire: {arl: 2d}
    pending: {arl: 1h}
    min_support: {stories: 3, sources: 2}
""",
    name="test",
)
LINKER = Linker(EntityTable([Entity(symbol="OSTMB", name="Ostermere Bank"), Entity(symbol="KELD", name="Keldholm")]))
TROUBLES = ("fraud", "probe", "default", "losses", "outage", "lawsuit", "layoffs", "scandal", "recall", "breach")


def path(**changes: object) -> MemoryPath:
    return MemoryPath(FakeClassifier(), now=START, settings=Settings(), linker=LINKER, rules=RULES, **changes)  # type: ignore[arg-type]


def message(number: int, at: datetime, text: str, source: str | None = None) -> Message:
    name = source or f"wire-{number % 5}"
    return Message(id=str(number), source=name, published_at=at, text=text, author=f"author-{number}")


def bad_day(path: MemoryPath, count: int = 30) -> list[Alert]:
    """Thirty stories of trouble, a minute apart, as they happen."""
    alerts: list[Alert] = []
    pick = random.Random(4)
    for number in range(count):
        alerts += path.advance(timedelta(minutes=1))
        words = " ".join(f"{pick.choice(TROUBLES)} {pick.randrange(10**6)}" for _ in range(4))
        alerts += path.send(message(number, path.now, f"Ostermere Bank: {words} falls"))
    return alerts


def idle_records(path: MemoryPath) -> Iterator[Progress]:
    for records in path.log.values():
        for entry in records:
            record = decode_mention(entry.value)
            if isinstance(record, Progress) and record.idle:
                yield record


def test_a_surge_fires_while_the_clock_moves_and_no_time_passes_in_the_test() -> None:
    driven = path()
    alerts = bad_day(driven)
    fired = [alert for alert in alerts if alert.state == "firing"]
    assert [alert.labels["entity"] for alert in fired] == ["OSTMB"]
    assert fired[0].at <= driven.now
    assert alerts == driven.alerts


def test_silence_closes_the_last_bin_of_a_live_feed() -> None:
    driven = path()
    bad_day(driven, count=8)
    before = len(driven.alerts)
    assert driven.send() == [], "nothing arrived, nothing follows"
    later = driven.advance(timedelta(minutes=10))
    assert len(driven.alerts) == before + len(later)
    assert later, "the bins that the last messages left open have closed by the clock alone"


def test_a_crash_at_any_point_changes_no_alert() -> None:
    whole = path()
    bad_day(whole)
    crashing = path()
    pick = random.Random(4)
    for number in range(30):
        crashing.advance(timedelta(minutes=1))
        words = " ".join(f"{pick.choice(TROUBLES)} {pick.randrange(10**6)}" for _ in range(4))
        crashing.send(message(number, crashing.now, f"Ostermere Bank: {words} falls"))
        if number % 7 == 3:
            crashing.crash()
    assert [encode(alert) for alert in crashing.alerts] == [encode(alert) for alert in whole.alerts]


def test_its_log_replayed_gives_its_alerts() -> None:
    driven = path()
    bad_day(driven)
    driven.advance(timedelta(hours=1))
    options = monitor_options(Settings())
    replayed = [
        alert
        for number, records in driven.log.items()
        for alert in replay_partition(number, records, rules=RULES, options=options)
    ]
    assert [encode(alert) for alert in replayed] == [encode(alert) for alert in driven.alerts]
    assert replayed


def test_what_is_no_message_goes_to_the_dead_letters_and_the_rest_goes_on() -> None:
    driven = path()
    driven.send(b"\xff not a message", message(1, START, "Keldholm climbs"))
    assert [letter.value for letter in driven.dead_letters] == [b"\xff not a message"]
    assert [mention.entity for mention in driven.mentions] == ["KELD"]


def test_history_inside_a_feed_waits_for_its_marks_and_not_for_the_clock() -> None:
    driven = path()
    old = START - timedelta(days=30)
    driven.send(FeedMark(feed="archive", event_time=None), message(1, old, "Keldholm probe falls"))
    driven.advance(timedelta(seconds=30))
    assert not any(idle_records(driven)), "a partition inside a feed is not idle"
    driven.send(FeedMark(feed="archive", event_time=old, done=True))
    driven.advance(timedelta(seconds=30))
    assert len(list(idle_records(driven))) == 16, "each of four partitions, told to each of four monitors"


def test_time_cannot_go_back() -> None:
    with pytest.raises(ValueError, match="go back"):
        path().advance(timedelta(seconds=-1))
