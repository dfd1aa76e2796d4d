"""A feed of known composition, made message by message as it is published: what a bench under load offers. Pure.

Of a hundred messages 97 are about one company, one is about none, one repeats an id that was sent fifty messages
before, and one is no JSON. So it is known beforehand what each must become, and after the run each can be looked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal

from deploy.bench.feed import SURGE_MESSAGES, BenchCompany, surge
from models.benchmark import generate_texts
from streams.ingest.decode import message_id
from streams.records import Message, encode

Fate = Literal["mentioned", "unlinked", "repeated", "refused"]
"""What must become of a message; the words of `squall_messages_total`."""

_ROUND = 100
_FATES: dict[int, Fate] = {97: "unlinked", 98: "repeated", 99: "refused"}
_REPEATED_AFTER = 50
_SOURCES = 5
_BODIES = 4_096
_AUTHORS = 997
_MOVES_ON_AFTER = 500
_STORY_LASTS = 50
"""Copies of one story, before the next."""
_STRIDE = 7_919
"""A prime, so that companies come in no order that follows the mix."""


@dataclass(frozen=True, slots=True)
class Row:
    """One record to publish."""

    key: bytes | None
    value: bytes | None
    number: int
    """Of the message; that of the first one for a repeat. It decides the partition."""
    fate: Fate | None = None
    """None where nobody knows."""
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Habits:
    """What a feed does beside its mix.

    Attributes:
        at_once: companies that are spoken of at a time; they give way to others. None: all.
        copies: every so many messages, a text is one that comes again with another ending, as reposts do; 0: never.
        surges: every so many messages, the next ones are bad news of one company; 0: never.
        surging: companies that this happens to, in turn. None: all.
        moves_on_after: every so many messages, one company gives way to another.
    """

    at_once: int | None = None
    copies: int = 0
    surges: int = 0
    surging: int | None = None
    moves_on_after: int = _MOVES_ON_AFTER


class MixedFeed:
    """Makes the messages of a feed by number.

    Args:
        companies: who the messages are about; at least one.
        run: a word that tells this feed's ids from those of another.
        seed: of the texts.
        habits: what it does beside its mix.

    Raises:
        ValueError: there is no company.
    """

    def __init__(
        self, companies: Sequence[BenchCompany], *, run: str, seed: int = 7, habits: Habits | None = None
    ) -> None:
        if not companies:
            raise ValueError("a feed needs a company")
        self._companies = companies
        self._run = run
        self._habits = habits or Habits()
        # Without the symbol in front and the number behind: both come with the message.
        self._bodies = [text.split(" ", 1)[1].rsplit(" ", 1)[0] for text in generate_texts(_BODIES, seed)]

    def row(self, number: int, published_at: datetime) -> Row:
        """Return a message.

        Args:
            number: from 0 on.
            published_at: event time, UTC.
        """
        fate = fate_of(number)
        source = f"wire-{number % _SOURCES}"
        if fate == "refused":
            return Row(source.encode(), f'{{"id": "{self._run}-{number}", '.encode(), number, fate)
        first = number - _REPEATED_AFTER if fate == "repeated" else number
        source = f"wire-{first % _SOURCES}"
        body = f"{self._bodies[first * _STRIDE % _BODIES]} {first}"
        text = body if fate == "unlinked" else self._text(body, first)
        message = Message(
            id=f"{self._run}-{first}",
            source=source,
            published_at=published_at,
            text=text,
            author=f"author-{first // 10_000}-{first % _AUTHORS}",
        )
        return Row(source.encode(), encode(message), first, fate)

    def company(self, number: int) -> BenchCompany:
        """Return the company that a message is about."""
        habits, count = self._habits, len(self._companies)
        if habits.surges and number % habits.surges < 2 * SURGE_MESSAGES:
            return self._companies[number // habits.surges % min(habits.surging or count, count)]
        if habits.at_once is None:
            return self._companies[number * _STRIDE % count]
        return self._companies[
            (number * _STRIDE % min(habits.at_once, count) + number // habits.moves_on_after) % count
        ]

    def message_id(self, number: int) -> str:
        """Return the id that a message's mentions bear."""
        return message_id(f"wire-{number % _SOURCES}", f"{self._run}-{number}")

    def _text(self, body: str, number: int) -> str:
        habits, company = self._habits, self.company(number)
        if habits.surges and number % habits.surges < 2 * SURGE_MESSAGES:
            return f"{_bad_news(company)[number % SURGE_MESSAGES]} {number}"
        if habits.copies and number % habits.copies == 0:
            story = self._bodies[number // (_STORY_LASTS * habits.copies) % _BODIES]
            return f"${company.symbol} {story} (via wire {number % 1_000})"
        return f"${company.symbol} {body}"


@lru_cache(maxsize=64)
def _bad_news(company: BenchCompany) -> list[str]:
    return [message.text for message in surge(company, minute=datetime(2020, 1, 1, tzinfo=UTC))]


def fate_of(number: int) -> Fate:
    """Return what must become of a message."""
    return _FATES.get(number % _ROUND, "mentioned")


def fates(count: int) -> Counter[str]:
    """Return how many of the first `count` messages meet each fate."""
    whole, rest = divmod(count, _ROUND)
    found: Counter[str] = Counter({"mentioned": whole * (_ROUND - len(_FATES))})
    for fate in _FATES.values():
        found[fate] += whole
    found.update(fate_of(number) for number in range(rest))
    return found
