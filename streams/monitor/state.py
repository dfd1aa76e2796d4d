"""What is remembered per entity, and how it is written down.

Plain structs with a schema version, as MessagePack. All of it is bounded: counts are numbers, sets have a cap, and of
the stories behind an alert only the strongest few keep their texts. What changes with every message of a day (ids,
stories, authors) is kept apart in hourly chunks, see `streams.monitor.horizon`.

The structs are trees, so that none can be part of a cycle: the garbage collector need not look at them (`gc=False`),
which with a hundred thousand companies would take it as long as all the rest.
"""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from streams.monitor.method_states import Composed, Counting, Pace, Scoring
from streams.monitor.model_states import Scale
from streams.monitor.squeeze import expand, squeeze
from streams.records import AlertState, Evidence, Severity, Suppressed

SCHEMA = 2
CLOCK_SCHEMA = 1
TOP_STORIES = 8
"""Stories of an alert that are kept with their texts."""
SET_LIMIT = 512
"""Sources and authors are counted exactly up to this many."""


class BaselineState(msgspec.Struct, gc=False):
    """Discounted votes and their sum of P(negative), as of `at_ms`."""

    votes: float = 0.0
    negative: float = 0.0
    at_ms: int = 0


class Lately(msgspec.Struct, array_like=True, gc=False):
    """Votes of the last hours and their sum of P(negative), faded to `at_ms`."""

    votes: float = 0.0
    negative: float = 0.0
    at_ms: int = 0


class Unrest(msgspec.Struct, array_like=True, gc=False):
    """How far the share of an hour strays from the usual one: an open block, and the variance from closed ones."""

    votes: float = 0.0
    """Of the open block, as are the next four."""
    negative: float = 0.0
    squares: float = 0.0
    """Sum of P(negative) squared."""
    usual: float = 0.0
    """What was usual when it began."""
    began_ms: int = 0
    variance: float = 0.0
    """Faded sum over closed blocks: squared deviation less what chance explains. May be negative."""
    blocks: float = 0.0
    """Their faded number."""


class Vote(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A mention that waits for its bin to close, with what evidence needs of it."""

    at_ms: int
    message_id: str
    source: str
    negative: float
    topic: str
    text: str
    model: str
    title: str | None = None
    author: str | None = None
    url: str | None = None
    truncated: bool = False
    clamped: bool = False
    degraded: bool = False
    given_story: str | None = None
    """The story that the mention itself names, in a replay that trusts it."""
    positive: float = 0.0
    """P(positive); a vote of a state from before it was kept counts as if it were 0."""
    relevance: float = 1.0
    lang: str | None = None
    unscaled: float | None = None
    """P(negative) as the model gave it, where its model is new and `negative` was brought to the scale of others."""


class StoryItem(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """A story behind the evidence, shown by its first message."""

    story: str
    vote: Vote
    gain: float
    """Log evidence."""
    copies: int = 1


class Run(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """All that came in since the onset: what an alert shows."""

    onset_ms: int
    messages: int = 0
    votes: int = 0
    negative: float = 0.0
    """Sum of P(negative) over the effective votes."""
    sources: set[str] = msgspec.field(default_factory=set)
    authors: set[str] = msgspec.field(default_factory=set)
    gain: float = 0.0
    """Log evidence, summed over the votes; nothing of it fades."""
    topics: dict[str, float] = msgspec.field(default_factory=dict)
    """The same per topic."""
    top: list[StoryItem] = msgspec.field(default_factory=list)
    truncated: int = 0
    clamped: int = 0
    degraded: int = 0
    capped: int = 0
    late: int = 0
    models: set[str] = msgspec.field(default_factory=set)


LifeState = Literal["inactive", "pending", "firing", "suppressed"]
"""`suppressed`: a cooldown keeps it back, and it may still fire. What a silence or an inhibition keeps back is `firing`
here, with `Life.kept`: to the detectors it is an alert like any other."""


class Life(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """Where an alert stands in its life."""

    state: LifeState = "inactive"
    alert_id: str = ""
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    transition: int = -1
    """Number of the last record that was written of this alert."""
    opened_ms: int = 0
    """Start of the bin in which it left `inactive`."""
    holding_since_ms: int | None = None
    """Since when the condition holds without a break."""
    fired_ms: int = 0
    calm_since_ms: int | None = None
    severity: Severity = "info"
    peak_log_e: float | None = None
    """e-detector: the strongest evidence of this alert so far; the detector itself starts anew when it has fired."""
    evidence: Evidence | None = None
    """Evidence of its last record that was not its end."""
    cooldown_until_ms: int = 0
    last_severity: Severity = "info"
    suppressed: int = 0
    """Firings that a cooldown kept back."""
    kept: Suppressed | None = None
    """What keeps it back, as it was last written."""
    untold: bool = False
    """It fires, and nobody was called yet: its end is nobody's news either."""

    @property
    def standing(self) -> AlertState:
        """How the alert stands for those who are called, in the words of its records.

        One that was told goes on firing for them, also while a rise of its severity is kept back.
        """
        if self.untold and self.kept is not None:
            return "suppressed"
        if self.state == "firing" and self.calm_since_ms is not None:
            return "recovering"
        return self.state


class RuleState(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """One rule's memory of one entity."""

    rule_version: str
    baseline: BaselineState = msgspec.field(default_factory=BaselineState)
    lately: Lately = msgspec.field(default_factory=Lately)
    """e-detector: what the last hours say of the usual share."""
    unrest: Unrest = msgspec.field(default_factory=Unrest)
    """e-detector: how much the share swings from hour to hour."""
    life: Life = msgspec.field(default_factory=Life)
    run: Run | None = None
    log_e: float = -math.inf
    """e-detector: log of the e-value."""
    voted_ms: int = 0
    """e-detector: start of the last bin with votes."""
    cusum: float = 0.0
    """e-detector: CUSUM of the log evidence; the onset is where it last left zero."""
    held_votes: float = 0.0
    held_negative: float = 0.0
    held_squares: float = 0.0
    """Votes of the run that the baseline has not learned from."""
    recent_votes: float = 0.0
    recent_negative: float = 0.0
    recent_ms: int = 0
    """e-detector: votes and P(negative) with a short memory, to see that it is over."""
    window: list[tuple[int, int, float]] = msgspec.field(default_factory=list)
    """threshold: (bin start, votes, sum of P(negative)) of the window's bins."""
    seeded_until_ms: int = 0
    """The baseline was taken from a history that reaches up to here: bins that end by then were learned there."""
    counting: Counting | None = None
    """return_period."""
    scoring: Scoring | None = None
    """zscore."""
    pace: Pace | None = None
    """novelty."""
    composed: Composed | None = None
    """composite."""
    migrated: bool = False
    """From the state of an older schema, whose rules had other versions: what the rule of this name has in force now
    takes over the baseline."""


class EntityState(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """Everything about one entity but its hourly chunks."""

    entity: str
    offset: int = -1
    """Last offset of the mentions log that was absorbed: a record read again changes nothing."""
    open: dict[int, list[Vote]] = msgspec.field(default_factory=dict)
    """Mentions in bins that have not closed, by the bin's start; saved in the hourly chunks, as they can be many."""
    chunks: list[tuple[int, int]] = msgspec.field(default_factory=list)
    """The hourly chunks in force, ascending: hour since the epoch, and slot."""
    late: int = 0
    """Mentions that came after their bin had closed."""
    rules: dict[str, RuleState] = msgspec.field(default_factory=dict)
    """By rule name."""
    scale: Scale | None = None
    """The models behind its scores; None before the first bin closed."""
    watched: bool = False
    """It stands on a watch list, by its last mention: its bins close by the watermark of those."""
    closed_ms: int = 0
    """The watermark by which bins of it were closed before the turn of all others; none of them opens again."""
    schema: int = msgspec.field(default_factory=lambda: SCHEMA)  # a plain default would not be written


class FeedState(msgspec.Struct):
    """How far one message partition has come."""

    high_ms: int | None = None
    """Highest event time seen; None before the first message."""
    idle: bool = False


class Heard(msgspec.Struct, array_like=True, gc=False):
    """When anything was published at all, in steps of `streams.monitor.outages.STEP_MS`."""

    last: int = 0
    """The last step with something, of those that are over."""
    ahead: list[int] = msgspec.field(default_factory=list)
    """Steps with something that the watermark has not come to, ascending; of those that no outage can begin or end at
    not all."""
    outages: list[tuple[int, int]] = msgspec.field(default_factory=list)


class ClockState(msgspec.Struct):
    """Everything the watermark depends on; saved beside the entities' states."""

    partitions: int = 0
    """How many message partitions there are; 0 until the first Progress says so."""
    feeds: dict[int, FeedState] = {}
    watermark_ms: int | None = None
    offset: int = -1
    """Last offset of the mentions log that this clock has seen."""
    heard: Heard | None = None
    """Kept while a rule in force asks for it."""
    ahead: dict[int, int] = {}
    """By message partition, the event time that was read ahead for watched companies, where its turn has not come."""
    watched_ms: int | None = None
    """Watermark of watched companies, where it was ever ahead of the other."""
    schema: int = CLOCK_SCHEMA


class _Head(msgspec.Struct):
    schema: int = 1
    """Schema 1 was not written."""


class _Run1(msgspec.Struct):
    onset_ms: int
    models: set[str] = msgspec.field(default_factory=set)


class _RuleState1(msgspec.Struct):
    rule_version: str
    baseline: BaselineState = msgspec.field(default_factory=BaselineState)
    life: Life = msgspec.field(default_factory=Life)
    run: _Run1 | None = None
    seeded_until_ms: int = 0


class _EntityState1(msgspec.Struct):
    """What is taken over of schema 1, whose e-detector mixed three bets over active minutes."""

    entity: str
    offset: int = -1
    chunks: list[tuple[int, int]] = msgspec.field(default_factory=list)
    late: int = 0
    rules: dict[str, _RuleState1] = msgspec.field(default_factory=dict)


_encoder = msgspec.msgpack.Encoder(order="deterministic")
_decoder = msgspec.msgpack.Decoder(EntityState)
_head_decoder = msgspec.msgpack.Decoder(_Head)
_decoder_1 = msgspec.msgpack.Decoder(_EntityState1)


def encode_state(state: EntityState) -> bytes:
    """Write an entity's state without its open votes; equal states are equal bytes."""
    return squeeze(_encoder.encode(msgspec.structs.replace(state, open={})))


def decode_state(data: bytes) -> EntityState | None:
    """Read an entity's state; None if it is of another schema and must be set aside, never misread.

    Of schema 1 the baselines and the alerts' lives are taken over (`RuleState.migrated`).
    """
    try:
        data = expand(data)
        schema = _head_decoder.decode(data).schema
        if schema == 1:
            return _from_schema_1(_decoder_1.decode(data))
        return _decoder.decode(data) if schema == SCHEMA else None
    except (msgspec.DecodeError, ValueError):
        return None


def _from_schema_1(old: _EntityState1) -> EntityState:
    """Evidence of the old bets is none of the new one, and goes; no rule has the version it had then, so that an open
    alert is closed in words when the next bin closes, and what its run held is not asked for again.
    """
    rules = {
        name: RuleState(
            rule_version=memory.rule_version,
            baseline=memory.baseline,
            life=memory.life,
            run=None if memory.run is None else Run(onset_ms=memory.run.onset_ms, models=memory.run.models),
            seeded_until_ms=memory.seeded_until_ms,
            migrated=True,
        )
        for name, memory in old.rules.items()
    }
    return EntityState(entity=old.entity, offset=old.offset, chunks=old.chunks, late=old.late, rules=rules)
