"""What is planted in the demonstration: real surges, and the decoys that must not fire."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from deploy.demo.crises import BANK_RUN, RECALL
from deploy.demo.messages import Draft, Writer, copies_of, mixed
from deploy.demo.phrases import NEGATIVE, Phrases

Kind = Literal["surge", "volume_burst", "syndicated_story", "bot_flood"]

SURGE_HOURS = 3
_SURGE_PER_HOUR = 26
_SURGE_NEGATIVE = 0.92
"""With the usual messages of these hours among them, the share comes to four times the usual."""
_SURGE_THEME = 0.75
_BURST_HOURS = 4
_BURST_TIMES = 6
_BUSY_HOUR = 0.08
"""Share of a day's messages in one of its busy hours."""
_COPIES = 40
_FLOOD = 200
_FLOOD_ACCOUNTS = ("@profit_oracle_771", "@profit_oracle_772")


@dataclass(frozen=True, slots=True)
class Incident:
    """Something planted."""

    kind: Kind
    entity: str
    start: datetime
    end: datetime
    should_fire: bool
    about: str
    """For people: what happens."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Where an incident is planted: on which day of the demonstration, at which hour of UTC, at which company."""

    kind: Kind
    entity: str
    day: int
    hour: int


PLANS: tuple[Plan, ...] = (
    Plan("surge", "BRMFD", 0, 9),
    Plan("volume_burst", "PLWTM", 0, 13),
    Plan("syndicated_story", "VSTRN", 1, 9),
    Plan("bot_flood", "SLVTN", 1, 15),
    Plan("surge", "OSTMB", 2, 13),
)
_CRISES: dict[str, tuple[Phrases, str]] = {
    "BRMFD": (RECALL, "a food recall, reported and discussed by many"),
    "OSTMB": (BANK_RUN, "depositors lose confidence, reported and discussed by many"),
}


def plant(plan: Plan, writer: Writer, day: datetime) -> tuple[Incident, list[Draft]]:
    """Return an incident and its messages, in no particular order.

    Args:
        plan: what to plant.
        writer: who writes about the company.
        day: midnight of the day, in UTC.
    """
    start = day + timedelta(hours=plan.hour)
    match plan.kind:
        case "surge":
            words, about = _CRISES.get(plan.entity, (NEGATIVE, "bad news from many sides"))
            drafts, end = _surge(writer, start, words), start + timedelta(hours=SURGE_HOURS)
        case "volume_burst":
            drafts, end = _burst(writer, start), start + timedelta(hours=_BURST_HOURS)
            about = "six times the usual number of messages, with the usual mix of good and bad"
        case "syndicated_story":
            drafts, end = _syndicated(writer, start), start + timedelta(minutes=30)
            about = f"one bad story, reposted {_COPIES} times"
        case "bot_flood":
            drafts, end = _flood(writer, start), start + timedelta(minutes=15)
            about = f"{len(_FLOOD_ACCOUNTS)} accounts post {_FLOOD} bad messages"
    incident = Incident(plan.kind, plan.entity, start, end, should_fire=plan.kind == "surge", about=about)
    return incident, drafts


def _surge(writer: Writer, start: datetime, words: Phrases) -> list[Draft]:
    dice = writer.dice
    drafts = []
    for _ in range(SURGE_HOURS * _SURGE_PER_HOUR):
        at = _within(dice, start, timedelta(hours=SURGE_HOURS))
        if dice.random() < _SURGE_NEGATIVE:
            drafts.append(writer.draft("negative", at, phrases=words if dice.random() < _SURGE_THEME else None))
        else:
            drafts.append(writer.draft("neutral", at))
    return drafts


def _burst(writer: Writer, start: datetime) -> list[Draft]:
    dice = writer.dice
    count = round(writer.company.daily * _BUSY_HOUR * _BURST_HOURS * (_BURST_TIMES - 1))
    span = timedelta(hours=_BURST_HOURS)
    # Spread evenly with a jitter: the usual mix all along, and not by luck a bad half hour.
    return [
        writer.draft(tone, start + span * ((position + dice.random()) / count))
        for position, tone in enumerate(mixed(count, dice))
    ]


def _syndicated(writer: Writer, start: datetime) -> list[Draft]:
    place, product = writer.company.places[0], writer.company.products[0]
    text = (
        f"{writer.company.name} shares slump after toxic leak at its plant in {place} forces workers to flee and "
        f"customers to cancel orders for {product}"
    )
    original = Draft(at=start, source="newswire-1", author="Hetty Rusk", text=text, url=writer.link("newswire-1"))
    return copies_of(original, writer, _COPIES, timedelta(minutes=30))


def _flood(writer: Writer, start: datetime) -> list[Draft]:
    dice = writer.dice
    posts = (writer.draft("negative", _within(dice, start, timedelta(minutes=15)), news=False) for _ in range(_FLOOD))
    return [
        Draft(at=post.at, source="chirp", author=dice.choice(_FLOOD_ACCOUNTS), text=post.text, url=post.url)
        for post in posts
    ]


def _within(dice: random.Random, start: datetime, span: timedelta) -> datetime:
    seconds = dice.random() * span.total_seconds()
    return start + timedelta(milliseconds=int(seconds * 1000))
