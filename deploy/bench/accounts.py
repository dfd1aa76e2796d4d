"""Whether every message of a mixed feed is where it belongs, once: looked for on the topics, not only counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from deploy.bench.mixed_feed import MixedFeed, fate_of, fates
from streams.config import Settings
from streams.errors import RecordError, SquallError
from streams.records import DeadLetter, Mention, decode_mention
from streams.replay.log import read_topic

_ANY_TIME = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Accounts:
    """Where all messages are.

    Attributes:
        expected: messages by fate, as published.
        counted: the same, as the worker counted them.
        mentioned_ids: different message ids on the mentions topic.
        missing_ids: messages that ought to be mentioned and are not.
        second_copies: mentions beyond one per message.
        refused_places: different records that dead letters name.
    """

    expected: dict[str, int]
    counted: dict[str, int]
    mentioned_ids: int
    missing_ids: int
    second_copies: int
    refused_places: int

    @property
    def is_complete(self) -> bool:
        """Whether nothing is lost: every message is where it belongs, whatever stands there twice."""
        return (
            not self.missing_ids
            and self.mentioned_ids == self.expected.get("mentioned", 0)
            and self.refused_places == self.expected.get("refused", 0)
        )

    @property
    def is_exact(self) -> bool:
        """Whether it is complete, nothing stands there twice, and the worker has counted the same."""
        wanted = {fate: self.expected.get(fate, 0) for fate in self.counted}
        return self.is_complete and not self.second_copies and self.counted == wanted


def account(settings: Settings, feed: MixedFeed, count: int, metrics: Mapping[str, float]) -> Accounts:
    """Look for the first `count` messages of a feed.

    Args:
        settings: whose topics.
        feed: what was published.
        count: how many of its messages.
        metrics: of the worker that read them all.

    Raises:
        SquallError: a topic cannot be read, or holds what nobody understands.
    """
    mentioned = [mention.message_id for _, mention in read_mentions(settings)]
    ids = set(mentioned)
    wanted = {
        feed.message_id(feed.row(number, _ANY_TIME).number) for number in range(count) if fate_of(number) == "mentioned"
    }
    return Accounts(
        expected=dict(fates(count)),
        counted={fate: round(metrics.get(f"squall_messages_total{{{fate}}}", 0)) for fate in fates(100)},
        mentioned_ids=len(ids),
        missing_ids=len(wanted - ids),
        second_copies=len(mentioned) - len(ids),
        refused_places=len({(at.topic, at.partition, at.offset) for at in read_dead_letters(settings)}),
    )


def read_mentions(settings: Settings) -> Iterator[tuple[Any, Mention]]:
    """Yield every mention with its Kafka record."""
    for record in read_topic(settings, settings.topics.mentions):
        item = decode_mention(record.value)
        if isinstance(item, Mention):
            yield record, item


def read_dead_letters(settings: Settings) -> Iterator[DeadLetter]:
    """Yield every dead letter. Raises SquallError for one that cannot be read."""
    for record in read_topic(settings, settings.topics.dead_letters):
        try:
            yield DeadLetter.from_headers(record.headers, key=record.key, value=record.value)
        except RecordError as error:
            raise SquallError(f"a dead letter cannot be read: {error}") from error
