"""From phrases to messages: varied, in time order, and the same for the same seed."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from deploy.demo.companies import Company
from deploy.demo.phrases import BROKERS, PERSONS, PHRASES, RIVALS, Phrases, Tone
from streams.records import Message

NEWS_SOURCES = ("newswire-1", "newswire-2", "marketdesk", "regional-press")
POST_SOURCES = ("chirp", "streetboard")

TONE_SHARES: dict[Tone, float] = {"negative": 0.22, "neutral": 0.48, "positive": 0.30}
"""The usual mix."""

_NEWS_SHARE = 0.45
_BYLINE_SHARE = 0.6
_TITLE_SHARE = 0.25
_LINK_SHARE = 0.3
_JOINTS = ("; ", ", ", ", as ", " - ")
_FULL_STOPS = (". ", ". ", "... ", "! ", ", ")
_TAGS = ("", "", "", " #stocks", " #markets", " #trading")

# Share of a day's messages per hour of UTC: a quiet night, and peaks when markets open.
_HOURS = (1, 1, 1, 1, 1, 2, 4, 7, 10, 9, 8, 7, 7, 9, 11, 10, 8, 7, 5, 4, 3, 3, 2, 2)
_WEEKEND = 0.45

_HANDLE_FIRST = (
    "dusty",
    "brisk",
    "amber",
    "quiet",
    "lunar",
    "rusty",
    "early",
    "plain",
    "coastal",
    "tidy",
    "grey",
    "odd",
)
_HANDLE_LAST = ("heron", "ledger", "anchor", "candle", "marmot", "compass", "teapot", "falcon", "barge", "walnut")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Draft:
    """A message before it has an id and a place in the stream."""

    at: datetime
    source: str
    author: str | None
    text: str
    title: str | None = None
    url: str | None = None
    lang: str = "en"

    def message(self, message_id: str) -> Message:
        """Return the message."""
        return Message(
            id=message_id,
            source=self.source,
            published_at=self.at,
            text=self.text,
            title=self.title,
            author=self.author,
            url=self.url,
            lang=self.lang,
        )


class Deck:
    """Deals phrases in random order, each once before any comes again, so that stories of one day differ.

    Args:
        phrases: what to deal.
        dice: the randomness.
    """

    def __init__(self, phrases: Sequence[str], dice: random.Random) -> None:
        self._phrases = phrases
        self._dice = dice
        self._left: list[str] = []

    def deal(self) -> str:
        """Return the next phrase."""
        if not self._left:
            self._left = self._dice.sample(self._phrases, len(self._phrases))
        return self._left.pop()


class Writer:
    """Writes about one company.

    Args:
        company: whom to write about.
        dice: the randomness; two writers with equal dice write the same.
    """

    def __init__(self, company: Company, dice: random.Random) -> None:
        self.company = company
        self.dice = dice
        self._decks: dict[tuple[str, ...], Deck] = {}
        self._used: set[tuple[str, str]] = set()

    def draft(self, tone: Tone, at: datetime, *, phrases: Phrases | None = None, news: bool | None = None) -> Draft:
        """Return a message of a tone.

        Args:
            tone: how it shall read.
            at: when it is published.
            phrases: its words; those of the tone without it.
            news: a headline, or else a post; drawn without it.
        """
        words = phrases or PHRASES[tone]
        if self.dice.random() < _NEWS_SHARE if news is None else news:
            return self._headline(words, at)
        return self._post(words, at)

    def filled(self, phrase: str) -> str:
        """Return a phrase with every placeholder filled in, each time anew."""
        return _PLACEHOLDER.sub(lambda match: self._word(match[1]), phrase)

    def link(self, source: str) -> str:
        """Return an address nobody has."""
        return f"https://{source}.example/{self.dice.randrange(16**8):08x}"

    def handle(self) -> str:
        """Return the name of an account."""
        return f"@{self.dice.choice(_HANDLE_FIRST)}_{self.dice.choice(_HANDLE_LAST)}{self.dice.randrange(10, 100)}"

    def _headline(self, words: Phrases, at: datetime) -> Draft:
        dice = self.dice
        source = dice.choice(NEWS_SOURCES)
        name = self.company.name if dice.random() < 0.75 else self.company.short
        clause, consequence = self._deal_pair(words.clauses, words.consequences)
        head = f"{name} {clause}"
        text = f"{head}{dice.choice(_JOINTS)}{consequence}"
        return Draft(
            at=at,
            source=source,
            author=dice.choice(PERSONS_OF_THE_PRESS) if dice.random() < _BYLINE_SHARE else None,
            title=head if dice.random() < _TITLE_SHARE else None,
            text=text,
            url=self.link(source),
        )

    def _post(self, words: Phrases, at: datetime) -> Draft:
        dice = self.dice
        source = dice.choices(POST_SOURCES, (3, 1))[0]
        said, reaction = self._deal_pair(words.posts, words.reactions)
        stop = " " if said.endswith("?") else dice.choice(_FULL_STOPS)
        text = f"${self.company.symbol} {said}{stop}{reaction}"
        text += dice.choice(_TAGS)
        url = self.link(source) if dice.random() < _LINK_SHARE else None
        if url:
            text += f" {url}"
        return Draft(at=at, source=source, author=self.handle(), text=text, url=url)

    def _deal_pair(self, firsts: tuple[str, ...], seconds: tuple[str, ...]) -> tuple[str, str]:
        """Return two phrases, filled in, that have not stood together before, as long as there are such."""
        first = self._deal(firsts)
        for _ in seconds:
            second = self._deal(seconds)
            if (first, second) not in self._used:
                break
        self._used.add((first, second))
        return self.filled(first), self.filled(second)

    def _deal(self, phrases: tuple[str, ...]) -> str:
        deck = self._decks.get(phrases)
        if deck is None:
            deck = self._decks[phrases] = Deck(phrases, self.dice)
        return deck.deal()

    def _word(self, placeholder: str) -> str:
        dice = self.dice
        match placeholder:
            case "product":
                return dice.choice(self.company.products)
            case "place":
                return dice.choice(self.company.places)
            case "pct":
                return str(dice.randrange(4, 29))
            case "pct2":
                return str(dice.randrange(5, 41))
            case "n":
                return str(dice.randrange(6, 98) * 10)
            case "broker":
                return dice.choice(BROKERS)
            case "person":
                return dice.choice(PERSONS)
            case "rival":
                return dice.choice(RIVALS)
        raise KeyError(placeholder)


PERSONS_OF_THE_PRESS = (
    "Orla Finch", "Dario Mellin", "Hetty Rusk", "Wen Albrecht", "Yusuf Tarrant", "Carys Boone", "Lev Ostrander",
    "Mina Hallgarth", "Rafe Quillon", "Edda Stroud", "Tomas Verrill", "Pilar Noakes", "Jonah Thwaite", "Sigrid Pell",
    "Amara Lysle", "Bram Coldwell", "Freya Undset", "Gus Tolliver", "Imre Kestle", "Lotte Brandreth",
)  # fmt: skip
"""Bylines of the invented wires."""


def quiet_day(writer: Writer, day: datetime) -> list[Draft]:
    """Return an ordinary day of one company, in no particular order.

    Args:
        writer: who writes about it.
        day: midnight, in UTC.
    """
    dice = writer.dice
    mean = writer.company.daily * (_WEEKEND if day.weekday() >= 5 else 1.0)
    count = max(1, round(dice.gauss(mean, mean**0.5)))
    tones: list[Tone] = dice.choices(list(TONE_SHARES), list(TONE_SHARES.values()), k=count)
    return [writer.draft(tone, day + _time_of_day(dice)) for tone in tones]


def mixed(count: int, dice: random.Random) -> list[Tone]:
    """Return tones in the usual mix, in random order, with no more luck in it than rounding."""
    negative, neutral = (round(count * TONE_SHARES[tone]) for tone in ("negative", "neutral"))
    counts: dict[Tone, int] = {"negative": negative, "neutral": neutral, "positive": count - negative - neutral}
    tones = [tone for tone, times in counts.items() for _ in range(times)]
    dice.shuffle(tones)
    return tones


def copies_of(original: Draft, writer: Writer, count: int, within: timedelta) -> list[Draft]:
    """Return an original and its reposts by others: another prefix, another link, or one changed word each."""
    dice = writer.dice
    drafts = [original]
    for _ in range(count - 1):
        source = dice.choice((*NEWS_SOURCES, *POST_SOURCES))
        text = dice.choice(_REPOSTS)(original.text, writer, source)
        drafts.append(
            replace(
                original,
                at=original.at + within * dice.random(),
                source=source,
                author=writer.handle(),
                text=text,
                url=writer.link(source),
            )
        )
    return drafts


def _with_prefix(text: str, writer: Writer, source: str) -> str:
    return f"{writer.dice.choice(_PREFIXES).format(handle=writer.handle())}{text}"


def _with_link(text: str, writer: Writer, source: str) -> str:
    return f"{text} {writer.link(source)}"


def _with_another_word(text: str, writer: Writer, source: str) -> str:
    word, other = writer.dice.choice([pair for pair in _SYNONYMS if re.search(rf"\b{pair[0]}\b", text)] or [("", "")])
    return re.sub(rf"\b{word}\b", other, text, count=1) if word else f"{text} (updated)"


_PREFIXES = ("RT {handle}: ", "BREAKING: ", "JUST IN: ", "UPDATE 2-", "ICYMI: ", "Must read: ")
_SYNONYMS = (
    ("plant", "factory"),
    ("after", "following"),
    ("customers", "clients"),
    ("says", "states"),
    ("toxic", "poisonous"),
    ("workers", "employees"),
)
_REPOSTS = (_with_prefix, _with_link, _with_another_word)


def _time_of_day(dice: random.Random) -> timedelta:
    hour = dice.choices(range(24), _HOURS)[0]
    return timedelta(hours=hour, seconds=dice.randrange(3600), milliseconds=dice.randrange(1000))


def midnight(year: int, month: int, day: int) -> datetime:
    """Return the beginning of a day in UTC."""
    return datetime(year, month, day, tzinfo=UTC)
