"""Mention: one (message, entity) pair with its scores. Progress: how far a message partition has come. AheadProgress:
how far it was read ahead for watched companies. Seed: what an entity's history taught, for a baseline that would begin
from nothing.

All travel on `squall.mentions`, told apart by `type`: the monitor's state follows from that log alone, so that whoever
reads it again sees the same watermarks and the same baselines.
"""

from __future__ import annotations

from datetime import UTC
from typing import Annotated, Literal

import msgspec

from streams.records.codec import UtcTime, VersionedDecoder, require_utc

SCHEMA = 1

Probability = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Votes = Annotated[float, msgspec.Meta(ge=0.0)]


class ModelVersion(msgspec.Struct, frozen=True, kw_only=True):
    """Which model gave a prediction."""

    name: str
    version: str


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where on `squall.messages` a mention came from."""

    partition: int
    offset: int


class Mention(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="mention"):
    """One (message, entity) pair with its scores, on `squall.mentions`, keyed by `entity`.

    A scored message has no story: only the monitor sees all mentions of an entity in one order, so it is the monitor
    that recognises reposts (`streams.monitor.stories`).
    """

    message_id: str
    """Unique over all sources: `source` and the publisher's id, joined by a colon."""
    entity: str
    relevance: Probability
    """How much the message is about the entity: a title or a cashtag beats a passing word."""
    source: str
    published_at: UtcTime
    """The source's clock; clamped if it was in the future (`clamped`)."""
    received_at: UtcTime
    """Kafka's clock when the message arrived."""
    scored_at: UtcTime
    text: str
    """Normalised and redacted, cut to the configured length."""
    negative: Probability
    neutral: Probability
    positive: Probability
    topic: str
    topics: dict[str, float]
    """Probabilities of the likeliest topics, at most five."""
    model: ModelVersion
    origin: Origin
    title: str | None = None
    author: str | None = None
    url: str | None = None
    lang: str | None = None
    truncated: bool = False
    """The classifier did not read the whole text."""
    clamped: bool = False
    """`published_at` was in the future and was set to the arrival time plus the allowed skew."""
    watched: bool = False
    """The entity is on a watch list."""
    tier: Literal["transformer", "linear"] | msgspec.UnsetType = msgspec.UNSET
    """What scored the text: the linear model where it was sure; not written where it was the network."""
    degraded: bool | msgspec.UnsetType = msgspec.UNSET
    """The linear model scored it alone, sure or not, because the worker was overloaded; written where it is so."""
    abstained: bool | msgspec.UnsetType = msgspec.UNSET
    """The likeliest sentiment is too unsure to be acted on, and the probabilities say how unsure; written where it is
    so."""
    own_topics: dict[str, float] | msgspec.UnsetType = msgspec.UNSET
    """Probabilities of the topics that the desk added (`classifier.own_topics`); not written where there are none."""
    ahead: bool | msgspec.UnsetType = msgspec.UNSET
    """Its message was taken before its turn, as the company is watched and the others wait; written where it is so. Its
    time then says nothing of how far its partition has come."""
    story: str | msgspec.UnsetType = msgspec.UNSET
    """The story that the mention's author says it belongs to: in a replay of scored history, on request
    (`--trust-stories`). The monitor takes it where it is set. The scorer never sets it, and it is then not written.
    """
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        # What is decoded has the usual object for UTC: seen here, it costs no call for each of millions.
        if not (self.published_at.tzinfo is UTC and self.received_at.tzinfo is UTC and self.scored_at.tzinfo is UTC):
            require_utc(self.published_at, self.received_at, self.scored_at)


class Progress(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="progress"):
    """How far a partition of `squall.messages` has come, sent to every partition of `squall.mentions`.

    The monitor's watermark is the least event time over all message partitions that are not idle, so a backlog that
    is read partition by partition closes no bin too early.
    """

    partition: int
    """Partition of `squall.messages`."""
    partitions: int
    """How many partitions `squall.messages` has."""
    event_time: UtcTime | None
    """Highest event time seen on the partition; None if it never held a message."""
    idle: bool
    """Nothing is waiting on the partition: it holds no bin open until its next message."""
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        require_utc(self.event_time)


class AheadProgress(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="ahead"):
    """How far a partition of `squall.messages` was read ahead of its turn, sent to every partition of
    `squall.mentions`: all that speaks of companies on a watch list stands before this record.

    While messages wait, the minutes of watched companies close by this, and need not wait for the rest. A record of its
    own and no field of `Progress`: a monitor that does not know it must not take it for one.
    """

    partition: int
    """Partition of `squall.messages`."""
    event_time: UtcTime
    """Highest event time that was read there."""
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        require_utc(self.event_time)


class SeededUnrest(msgspec.Struct, frozen=True, kw_only=True):
    """How much an entity's share swings from hour to hour; see `streams.monitor.usual.Unrest`."""

    variance: float
    blocks: Votes
    votes: Votes
    negative: Votes
    squares: Votes
    usual: float
    began: UtcTime

    def __post_init__(self) -> None:
        require_utc(self.began)


class SeededBaseline(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule has learned of an entity: discounted votes and their sum of P(negative), as of `at`."""

    rule_version: str
    """The rule as it was when it learned; another version learns in another way."""
    votes: Votes
    negative: Votes
    at: UtcTime
    recent_votes: Votes | msgspec.UnsetType = msgspec.UNSET
    """Votes of the last hours, as of `at`; this and the next two are not written where the rule has none."""
    recent_negative: Votes | msgspec.UnsetType = msgspec.UNSET
    """Their sum of P(negative)."""
    unrest: SeededUnrest | msgspec.UnsetType = msgspec.UNSET

    def __post_init__(self) -> None:
        require_utc(self.at)
        for negative, votes in ((self.negative, self.votes), (self.recent_negative, self.recent_votes)):
            if (negative or 0.0) > (votes or 0.0):
                msg = f"P(negative) adds up to {negative:g}, more than the {votes or 0.0:g} votes"
                raise ValueError(msg)


class Seed(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="seed"):
    """What history taught of one entity, on the entity's own partition of `squall.mentions` (`squall warm`).

    The monitor takes it where the entity's own baseline knows nothing later; `streams.monitor.seeds`.
    """

    entity: str
    learned_until: UtcTime
    """Event time up to which the history was read: what is older was learned, or was not there."""
    learned_at: UtcTime
    """When this was made: who asks what was known at a time must not see what was seeded later."""
    baselines: dict[str, SeededBaseline]
    """By rule name."""
    identity: str
    """Hash of what it was learned from: the source, the rules, the model."""
    force: bool = False
    """Take it although the entity's own baseline is fresher."""
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        require_utc(self.learned_until, self.learned_at)
        for name, learned in self.baselines.items():
            if learned.at > self.learned_until:
                msg = f"{name}: it learned at {learned.at.isoformat()}, after {self.learned_until.isoformat()}"
                raise ValueError(msg)


LogEntry = Mention | Progress | AheadProgress | Seed
"""One record of `squall.mentions`."""

decode_mention: VersionedDecoder[LogEntry] = VersionedDecoder(LogEntry, name="mention", newest=SCHEMA)
"""Bytes of `squall.mentions` to one of its records; raises RecordError."""
