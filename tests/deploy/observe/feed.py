"""A feed for dashboards to show: quiet news on some companies, an incident at one, refused records, and verdicts."""

from __future__ import annotations

import random
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

from kafka import KafkaProducer

from deploy.demo.phrases import NEGATIVE, NEUTRAL, POSITIVE, Phrases
from streams.config import Settings
from streams.records import Mention, Message, Verdict, VerdictKind, decode_mention, encode
from tests.streams.app.harness import records_of

INCIDENT = "MSFT"
QUIET = ("AAPL", "JPM", "XOM", "WMT")
WATCHED = (INCIDENT, *QUIET)
SOURCES = ("wire", "blog", "forum")
_KINDS: tuple[VerdictKind, ...] = ("negative", "neutral", "positive", "wrong_entity")


class Feed:
    """Sends records to a worker's topics, each different from all before.

    Args:
        settings: of the worker.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer = KafkaProducer(**settings.kafka.client_options(), acks="all")
        self._dice = random.Random(7)
        self._sent = 0

    def close(self) -> None:
        self._producer.close()

    def _text(self, company: str, phrases: Phrases) -> str:
        words: dict[str, Any] = {
            "product": self._dice.choice(("chips", "engines", "loans", "phones", "toys", "drugs")),
            "place": self._dice.choice(("Ohio", "Peru", "Kent", "Oslo", "Texas")),
            "pct": self._dice.randint(2, 60),
            "pct2": self._dice.randint(2, 60),
            "n": self._dice.randint(70, 9_000),
            "broker": self._dice.choice(("Alder", "Birch & Co", "Cedar")),
            "person": self._dice.choice(("Ann Low", "Bo Hill", "Cy Dale")),
            "rival": self._dice.choice(("Acme", "Globex", "Initech")),
        }
        clause, consequence = self._dice.choice(phrases.clauses), self._dice.choice(phrases.consequences)
        return f"${company} {clause}. {consequence}".format(**words)

    def _send(self, company: str, phrases: Phrases, at: datetime) -> None:
        source = SOURCES[self._sent % len(SOURCES)]
        message = Message(
            id=str(self._sent),
            source=source,
            author=f"author {self._sent}",
            published_at=at,
            text=self._text(company, phrases),
        )
        self._producer.send(self._settings.topics.messages, key=source.encode(), value=encode(message))
        self._sent += 1

    def history(self, minutes: int) -> None:
        """Some minutes of quiet news, and of an incident at one company, up to now."""
        start = datetime.now(UTC) - timedelta(minutes=minutes)
        for step in range(minutes * 6):
            at = start + step * timedelta(seconds=10)
            for company in QUIET:
                self._send(company, self._dice.choice((NEUTRAL, POSITIVE)), at)
            self._send(INCIDENT, NEGATIVE, at)
        self._producer.flush()

    def live(self) -> None:
        """A moment of the present: news, a repost, a message on nobody, and one that is refused."""
        now = datetime.now(UTC)
        for company in WATCHED:
            self._send(company, NEGATIVE if company == INCIDENT else NEUTRAL, now)
        text = f"${QUIET[0]} shares are unchanged ahead of results"
        for about in (text, "Fair weather is expected in the north"):
            message = Message(id=str(self._sent), source="wire", published_at=now, text=about)
            self._producer.send(self._settings.topics.messages, key=b"wire", value=encode(message))
            self._sent += 1
        self._producer.send(self._settings.topics.messages, key=b"wire", value=b"{no json")
        self._producer.flush()

    def judge(self, most: int) -> None:
        """The desk's verdicts on messages that were scored: whatever comes, and most of them different."""
        mentions = [
            decode_mention(record.value) for record in records_of(self._settings, self._settings.topics.mentions)
        ]
        names = [mention.message_id for mention in mentions if isinstance(mention, Mention)][-most:]
        for number, name in enumerate(names):
            said = Verdict(
                message_id=name, alert_id=None, verdict=_KINDS[number % 4], by="desk", learned_at=datetime.now(UTC)
            )
            self._producer.send(self._settings.topics.labels, key=name.encode(), value=encode(said))
        self._producer.flush()


class Live:
    """Keeps a feed going in the background, twice a second, until the block ends."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._over.wait(0.5):
            self._feed.live()

    def __enter__(self) -> Live:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
