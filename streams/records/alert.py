"""Alert: one transition of an alert's life, with the evidence for it."""

from __future__ import annotations

from typing import Literal

import msgspec

from streams.records.codec import UtcTime, VersionedDecoder, require_utc

SCHEMA = 1

AlertState = Literal["pending", "firing", "recovering", "resolved", "suppressed", "inactive"]
"""`pending`: worth a look, nobody is called. `firing`. `recovering`: it fires and is calm, but not for long enough to
be over. `resolved`: it fired and is over. `suppressed`: it would fire, and something keeps it back, so that nobody is
called. `inactive`: it was pending and came to nothing, or was kept back to its end."""
Severity = Literal["info", "warning", "critical"]


KeptBackBy = Literal["cooldown", "silence", "inhibition"]


class Suppressed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What keeps an alert back."""

    by: KeptBackBy
    what: str
    """The silence by its id; of an inhibition the rule that fires, of a cooldown the rule itself."""
    until: UtcTime | None = None
    """When it ends by itself, event time; None if that is not known."""

    def __post_init__(self) -> None:
        require_utc(self.until)


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen in the alert's window: since the onset, or in the window that a threshold rule tests.

    Messages, sources and authors are counted since the onset in both cases.
    """

    share: float
    """Mean P(negative) over the effective votes, 0 to 1."""
    low: float
    high: float
    """`low` to `high` is the 90 % interval of the share."""
    votes: float
    """Effective votes: one per story, capped per author and hour."""
    messages: int
    """Raw mentions, reposts included."""
    stories: int
    sources: int
    authors: int
    window_start: UtcTime
    window_end: UtcTime

    def __post_init__(self) -> None:
        require_utc(self.window_start, self.window_end)


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """What the entity's own history explains."""

    share: float
    low: float
    high: float
    margin: float
    """The null hypothesis is: the mean share is at most `share + margin`."""
    votes: float
    """Discounted votes that the baseline rests on."""
    warm: bool
    """The baseline has enough history of its own; otherwise the prior weighs in."""


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule measured that does not go by the share of negative stories alone."""

    value: float
    """The signal over the window: stories (`volume`), negative stories (`negative_count`), mean of P(positive) less
    P(negative) (`mean_sentiment`), or the share."""
    usual: float | None
    """What the company's own history expects there; None for a plain threshold, which asks for none."""
    window_s: float
    """Length of the window, in seconds of event time."""
    z: float | msgspec.UnsetType = msgspec.UNSET
    """Deviations above the usual value; written by the method `zscore`, as what `threshold` is of."""
    return_period_days: float | msgspec.UnsetType = msgspec.UNSET
    """So much comes once in so many days; written by the method `return_period`, and what `threshold` is of."""
    beyond_history: bool | msgspec.UnsetType = msgspec.UNSET
    """It is rarer than the history can tell, whose days are the return period then; written where it is so."""


class EvidenceMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One story of the evidence, shown by its first message."""

    message_id: str
    text: str
    source: str
    published_at: UtcTime
    negative: float
    contribution: float
    """Share of the log evidence that this story gave; the shares of all stories add up to 1."""
    copies: int
    """Messages of the same story in the window, this one included."""
    story: str
    topic: str
    author: str | None = None
    title: str | None = None
    url: str | None = None

    def __post_init__(self) -> None:
        require_utc(self.published_at)


class Counterfactual(msgspec.Struct, frozen=True, kw_only=True):
    """Would it have fired without its strongest story?"""

    e_value: float
    fires: bool


class ModelChange(msgspec.Struct, frozen=True, kw_only=True):
    """A model that is new at the company: how its scores compare with those of the model before is being measured."""

    model: str
    """The new one, as `name@version`."""
    before: tuple[str, ...]
    """Those that the company's history was scored by."""
    votes: int
    """Effective votes that the new model scored here."""
    needed: int
    """With so many the difference is known, and the votes count as they are scored."""
    taken_off: float
    """What is taken off P(negative) of its votes until then, at most what a promotion may make of it; the evidence, its
    messages included, shows what is left. Negative where it scores lower than the models before."""


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """What to know before one trusts the evidence."""

    late: int
    """Mentions later than the allowed lateness since the window began: kept, but outside the evidence."""
    truncated: int
    """Messages in the window that the classifier read only in part."""
    clamped: int
    """Messages in the window that came with a time in the future."""
    capped: int
    """Stories in the window that lost their vote to the author cap."""
    warm: bool
    degraded: int | msgspec.UnsetType = msgspec.UNSET
    """Messages in the window that the first tier scored alone, because the worker was overloaded; not written where
    there are none."""
    model_change: ModelChange | msgspec.UnsetType = msgspec.UNSET
    """Not written unless a model is new here."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Why: observed against baseline, how surprising it is, and the messages behind it."""

    signal: str
    observed: Observed
    baseline: Baseline
    e_value: float | None
    """The detector's evidence against "nothing new"; None for a rule without one."""
    threshold: float
    """What `e_value` (or the observed share, for a threshold rule; or what `measure` says) had to reach."""
    in_words: str
    onset: UtcTime
    """When the evidence began to grow for good: the estimate of when it started."""
    delay_s: float
    """From onset to this transition, in event time, seconds."""
    topics: dict[str, float]
    """Share of the log evidence per topic."""
    counterfactual: Counterfactual | None
    messages: tuple[EvidenceMessage, ...]
    """Strongest first, one per story."""
    quality: Quality
    measure: Measure | msgspec.UnsetType = msgspec.UNSET
    """Not written by a rule on the negative share, whose `observed` and `baseline` say all."""
    parts: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    """The rules that held, of an alert of a composite rule; all else here is the evidence of the strongest of them."""

    def __post_init__(self) -> None:
        require_utc(self.onset)


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One transition of an alert, on `squall.alerts`, keyed by `id`.

    It holds event times only, no clock of the machine that ran: a restart, a second worker and a replay write the
    same bytes. `id` is the hash of (rule version, labels, opening bin); (`id`, `transition`) is what a receiver
    de-duplicates by.
    """

    id: str
    transition: int
    """0 for the first record of this alert, then 1, 2, ..."""
    state: AlertState
    severity: Severity
    rule: str
    rule_version: str
    labels: dict[str, str]
    annotations: dict[str, str]
    at: UtcTime
    """Event time of this transition: the end of the bin that caused it."""
    starts_at: UtcTime
    """Event time at which the alert left `inactive`."""
    evidence: Evidence
    versions: dict[str, str]
    """`squall` and `model` versions behind the evidence."""
    replay: str
    """The command that recomputes this alert from history."""
    fired_at: UtcTime | None = None
    ends_at: UtcTime | None = None
    schema: int = SCHEMA
    suppressed: Suppressed | msgspec.UnsetType = msgspec.UNSET
    """Of `suppressed`: what keeps it back; of `inactive`: what kept it back to its end. Not written otherwise."""
    again: bool | msgspec.UnsetType = msgspec.UNSET
    """True of a `firing` that was `recovering`: it is no news, as whoever was called was never told that it is over.
    Not written otherwise."""

    def __post_init__(self) -> None:
        require_utc(self.at, self.starts_at, self.fired_at, self.ends_at)

    @property
    def is_news(self) -> bool:
        """Whether somebody is called for it; the others stay on the alerts topic."""
        return self.state == "resolved" or (self.state == "firing" and self.again is not True)


decode_alert: VersionedDecoder[Alert] = VersionedDecoder(Alert, name="alert", newest=SCHEMA)
"""Bytes of `squall.alerts` to an Alert; raises RecordError."""
