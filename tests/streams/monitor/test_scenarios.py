"""The default rules on an invented stream: a real surge fires and ends; what only looks like one does not."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from streams.monitor import default_rules
from streams.records import Alert, Mention
from tests.streams.monitor.invented import START, in_order, mention, run, words

DAYS = 3
CRISIS = START + timedelta(days=2, hours=6)


class Feed:
    """Invented mentions of one company: about twelve an hour, one in five of them negative."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.mentions: list[Mention] = []
        minutes = 0.0
        while minutes < DAYS * 1440:
            minutes += self.rng.expovariate(12 / 60)
            self.add(minutes, negative_share=0.2)

    def add(self, minute: float, *, negative_share: float, **more: str) -> None:
        negative = self.rng.random() < negative_share
        number = len(self.mentions)
        self.mentions.append(
            mention(
                number,
                START + timedelta(minutes=minute),
                round(self.rng.uniform(0.75, 1.0) if negative else self.rng.uniform(0.0, 0.3), 4),
                text=more.pop("text", words(self.rng)),
                source=more.pop("source", f"wire-{self.rng.randrange(8)}"),
                author=more.pop("author", f"author-{self.rng.randrange(400)}"),
            )
        )

    def crisis_minutes(self, count: int, hours: float = 2.0) -> list[float]:
        begin = (CRISIS - START) / timedelta(minutes=1)
        return sorted(begin + self.rng.uniform(0, hours * 60) for _ in range(count))

    def alerts(self) -> list[Alert]:
        log = in_order(sorted(self.mentions, key=lambda m: (m.published_at, m.message_id)), partitions=1)
        return run(log, rules=default_rules())


SEEDS = pytest.mark.parametrize("seed", range(4))


@SEEDS
def test_an_ordinary_week_is_quiet(seed: int) -> None:
    assert [alert for alert in Feed(seed).alerts() if alert.state == "firing"] == []


@SEEDS
def test_a_surge_of_negative_stories_fires_within_the_hour_and_resolves(seed: int) -> None:
    feed = Feed(seed)
    for minute in feed.crisis_minutes(120):
        feed.add(minute, negative_share=0.9)
    surge = [alert for alert in feed.alerts() if alert.rule == "NegativeShareSurge"]
    fired = [alert for alert in surge if alert.state == "firing"]
    resolved = [alert for alert in surge if alert.state == "resolved"]
    assert fired
    assert CRISIS < fired[0].at <= CRISIS + timedelta(hours=1)
    assert fired[0].evidence.onset >= CRISIS - timedelta(hours=2)
    assert len(resolved) == 1
    assert fired[0].id == resolved[0].id
    assert resolved[0].at > CRISIS + timedelta(hours=1)


@SEEDS
def test_a_burst_of_volume_alone_does_not_fire(seed: int) -> None:
    feed = Feed(seed)
    for minute in feed.crisis_minutes(300):
        feed.add(minute, negative_share=0.2)
    assert [alert for alert in feed.alerts() if alert.state == "firing"] == []


@SEEDS
def test_one_syndicated_story_does_not_fire_however_often_it_is_printed(seed: int) -> None:
    feed = Feed(seed)
    story = words(feed.rng, 14)
    for number, minute in enumerate(feed.crisis_minutes(200)):
        prefix = feed.rng.choice(["", "", "RT @x: ", "UPDATE 1-", "BREAKING: "])
        feed.add(minute, negative_share=1.0, text=f"{prefix}{story}", source=f"paper-{number}")
    assert [alert for alert in feed.alerts() if alert.state == "firing"] == []


@SEEDS
def test_a_flood_by_a_few_bots_does_not_fire(seed: int) -> None:
    feed = Feed(seed)
    for number, minute in enumerate(feed.crisis_minutes(300)):
        feed.add(minute, negative_share=1.0, author=f"bot-{number % 2}", source="chirp")
    assert [alert for alert in feed.alerts() if alert.state == "firing"] == []
