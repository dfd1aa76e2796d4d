"""The measure of alerts on labelled streams: what counts as found, as a decoy, and as a false alarm."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from deploy.bench.alerts import run
from deploy.bench.usual_rules import NaiveShare, Spike
from streams.errors import InputError
from streams.monitor.rule_files import parse_rules
from tests.streams.monitor.invented import words

START = datetime(2026, 3, 2, tzinfo=UTC)
RULES = parse_rules(
    """
rules:
  - {alert: High, type: threshold, window: 30m, fire: {gte: 0.6}, min_support: {stories: 5}, keep_firing_for: 5m,
     resolve: {lt: 0.4}}
""",
    name="bench.yaml",
)


def stream(folder: Path, *, loud: list[tuple[str, int, int, str | None]]) -> None:
    """A day of two companies, ten mentions an hour; `loud`: company, first minute, last one, one text for all."""
    dice = random.Random(1)
    rows: list[tuple[int, str, float, str]] = []
    for entity in ("ACME", "BRND"):
        rows += [(minute, entity, dice.uniform(0.0, 0.2), words(dice)) for minute in range(0, 1440, 6)]
    for entity, begin, end, text in loud:
        rows += [(minute, entity, 0.95, text or words(dice)) for minute in range(begin, end) for _ in range(2)]
    with (folder / "mentions.jsonl").open("wb") as file:
        for number, (minute, entity, negative, text) in enumerate(sorted(rows)):
            at = START + timedelta(minutes=minute)
            row = {
                "id": str(number),
                "entity": entity,
                "source": f"s{number % 5}",
                "author": f"a{number % 40}",
                "story": "not to be read",
                "published_at": at,
                "negative": round(negative, 4),
                "neutral": round(1 - negative, 4),
                "positive": 0.0,
                "text": text,
            }
            file.write(msgspec.json.encode(row) + b"\n")


def events(folder: Path, *planted: tuple[str, str, int | None, int, int]) -> None:
    with (folder / "events.jsonl").open("wb") as file:
        for entity, kind, factor, begin, end in planted:
            span = {"start": START + timedelta(minutes=begin), "end": START + timedelta(minutes=end)}
            event = {"entity": entity, "kind": kind, "factor": factor, "fire": kind == "surge", **span}
            file.write(msgspec.json.encode(event) + b"\n")


def test_surges_decoys_and_false_alarms_are_told_apart(tmp_path: Path) -> None:
    copies = "Acme recalls every kettle it ever made after a boy in Ghent is scalded"
    loud = [("ACME", 300, 340, None), ("ACME", 1100, 1140, copies), ("BRND", 900, 940, None)]
    stream(tmp_path, loud=loud)
    events(tmp_path, ("ACME", "surge", 10, 300, 400), ("ACME", "syndicated", None, 1100, 1200))
    outcome, alerts = run(tmp_path, RULES)
    assert outcome.surges[10][:2] == (1, 1)
    assert 0 < outcome.surges[10][2] <= 40  # type: ignore[operator]
    assert outcome.decoys == {"syndicated": (0, 1)}
    assert outcome.false_alarms == 1  # the third rise is nobody's event
    assert outcome.weeks == pytest.approx(2 / 7, rel=0.01)
    assert sum(alert.state == "firing" for alert in alerts) == 2
    naive = outcome.beside[NaiveShare().name]
    assert naive.surges[10][:2] == (1, 1)
    assert naive.decoys == {"syndicated": (1, 1)}, "it counts copies"
    assert naive.false_alarms == 1


def test_an_alert_three_hours_late_has_not_found_the_surge(tmp_path: Path) -> None:
    stream(tmp_path, loud=[("ACME", 700, 740, None)])
    events(tmp_path, ("ACME", "surge", 5, 500, 800))
    outcome, _ = run(tmp_path, RULES)
    assert outcome.surges[5] == (0, 1, None)
    assert outcome.false_alarms == 0, "it lies within the event"


def test_files_that_are_missing_or_broken_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*events\.jsonl"):
        run(tmp_path)
    events(tmp_path)
    (tmp_path / "mentions.jsonl").write_text('{"id": 1}\n')
    with pytest.raises(InputError, match=r"mentions\.jsonl:1: "):
        run(tmp_path)


def minutes(count: int, begin: int = 0) -> list[datetime]:
    return [START + timedelta(minutes=begin + number) for number in range(count)]


def test_the_naive_share_needs_five_messages_and_fires_once_per_cooldown() -> None:
    rule = NaiveShare()
    for at in minutes(4):
        rule.feed("ACME", at, 0.9)
    assert rule.firings == []
    for at in minutes(60, begin=4):
        rule.feed("ACME", at, 0.9)
    assert [firing.at for firing in rule.firings] == [START + timedelta(minutes=4)]
    for at in minutes(5, begin=4 + 12 * 60):
        rule.feed("ACME", at, 0.9)
    assert len(rule.firings) == 2
    for at in minutes(60):
        rule.feed("BRND", at, 0.4)
    assert len(rule.firings) == 2


def test_the_spike_compares_an_hour_with_the_one_before() -> None:
    rule = Spike()
    for at in minutes(60):
        rule.feed("ACME", at, 0.9)
    assert rule.firings == [], "there is no hour before"
    for at in [*minutes(2, begin=500), *minutes(6, begin=570)]:
        rule.feed("ACME", at, 0.9)
    assert [firing.at for firing in rule.firings] == [START + timedelta(minutes=575)]
    for at in minutes(60, begin=900):
        rule.feed("ACME", at, 0.4)
    assert len(rule.firings) == 1, "what is not negative does not count"
