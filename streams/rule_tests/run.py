"""Runs one rule test: makes its mentions, hands them to a monitor in order of arrival, and compares its alerts."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from streams.monitor import MonitorOptions, PartitionMonitor, RuleSet
from streams.records import Alert, Mention, ModelVersion, Origin, Progress
from streams.rule_tests.files import Expected, Mentions, RuleTest, span_s

START = datetime(2026, 3, 2, tzinfo=UTC)
"""When a test begins: a Monday, 00:00 UTC."""
_MODEL = ModelVersion(name="invented", version="1")
_SYLLABLES = "bar cor den fel gro hil jam kel lom mar nor pel quin ros sol tam ul ver wyn zan".split()
_WORDS = 11


@dataclass(frozen=True)
class Outcome:
    """What came of a test."""

    test: RuleTest
    missing: tuple[Expected, ...]
    """Expected, and not raised."""
    unexpected: tuple[Alert, ...]
    """Fired, and not expected."""
    raised: tuple[Alert, ...]
    """All records of alerts, in order."""

    @property
    def passed(self) -> bool:
        """Whether all came as expected."""
        return not self.missing and not self.unexpected


def run_test(test: RuleTest, rules: RuleSet, options: MonitorOptions | None = None) -> Outcome:
    """Run a test. The same test gives the same outcome, always.

    A record of an alert answers one expectation at most. Every alert that fires must be expected, whatever severity it
    rises to later; other states are looked at only where they are.
    """
    options = options or MonitorOptions()
    monitor = PartitionMonitor(0, rules, options)
    raised = monitor.absorb(Progress(partition=0, partitions=1, event_time=None, idle=False), 0)
    last = START
    number = 0
    for number, mention in enumerate(_mentions(test), 1):
        raised += monitor.absorb(mention, number)
        last = max(last, mention.published_at)
    end = last + timedelta(seconds=options.allowed_lateness_s + 60)
    raised += monitor.absorb(Progress(partition=0, partitions=1, event_time=end, idle=False), number + 1)
    left = list(raised)
    missing = []
    expected = set()
    for wanted in sorted(test.expect, key=_freedom):
        found = next((alert for alert in left if _answers(alert, wanted, test.entity)), None)
        if found is None:
            missing.append(wanted)
        else:
            left.remove(found)
            if wanted.state == "firing":
                expected.add(found.id)
    unexpected = tuple(alert for alert in left if alert.state == "firing" and alert.id not in expected)
    return Outcome(test, tuple(missing), unexpected, tuple(raised))


def since_start(at: datetime) -> str:
    """Return a time as a test writes it: `2d1h30m`."""
    seconds = round((at - START).total_seconds())
    parts = []
    for unit, letter in ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")):
        count, seconds = divmod(seconds, unit)
        if count:
            parts.append(f"{count}{letter}")
    return "".join(parts) or "0s"


def _freedom(wanted: Expected) -> tuple[bool, int, bool]:
    """The narrower an expectation, the earlier it takes its record."""
    return wanted.to is None, 0 if wanted.to is None else span_s(wanted.to), wanted.severity is None


def _answers(alert: Alert, wanted: Expected, entity: str) -> bool:
    at_s = (alert.at - START).total_seconds()
    return (
        alert.rule == wanted.alert
        and alert.state == wanted.state
        and alert.labels.get("entity") == (wanted.entity or entity)
        and (wanted.severity is None or alert.severity == wanted.severity)
        and at_s >= span_s(wanted.from_)
        and (wanted.to is None or at_s <= span_s(wanted.to))
    )


def _mentions(test: RuleTest) -> Iterator[Mention]:
    """All mentions in the order in which they arrive."""
    arriving: list[tuple[datetime, int, Mention]] = []
    for place, group in enumerate(test.mentions):
        for at in _times(group):
            for _ in range(group.count):
                number = len(arriving)
                mention = _mention(test, place, group, number, at)
                arriving.append((mention.received_at, number, mention))
    for _, _, mention in sorted(arriving, key=lambda item: item[:2]):
        yield mention


def _times(group: Mentions) -> Iterator[datetime]:
    begin = span_s(group.from_)
    if group.to is None or group.every is None:
        yield START + timedelta(seconds=begin)
        return
    for offset in range(begin, span_s(group.to) + 1, span_s(group.every)):
        yield START + timedelta(seconds=offset)


def _mention(test: RuleTest, place: int, group: Mentions, number: int, at: datetime) -> Mention:
    dice = random.Random(f"{test.name}/{number}")  # noqa: S311 - invented data, always alike
    low, high = group.negative if isinstance(group.negative, list) else (group.negative, group.negative)
    negative = round(dice.uniform(low, high), 4)
    positive = group.positive or 0.0
    words = ("".join(dice.choices(_SYLLABLES, k=3)) for _ in range(_WORDS))
    return Mention(
        message_id=f"test:{number}",
        entity=group.entity or test.entity,
        relevance=group.relevance,
        source=group.source or f"source-{number % group.sources + 1}",
        published_at=at,
        received_at=at + timedelta(seconds=span_s(group.late) if group.late else 0),
        scored_at=at,
        text=group.text or " ".join(words),
        negative=negative,
        neutral=round(1 - negative - positive, 4),
        positive=positive,
        topic=group.topic,
        topics={},
        model=_MODEL,
        origin=Origin(partition=0, offset=number),
        lang=group.language,
        author=f"author-{place}-{number % group.authors + 1}" if group.authors else None,
    )
