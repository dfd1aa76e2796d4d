"""Rules: `spike`, `threshold`, `novelty` and `composite`. Files of them: `streams.monitor.rule_files`.

Words are Alertmanager's and Grafana's where they have one. A rule's version is the hash of its meaning: a comment or
another order of keys does not change it, another threshold does.
"""

from __future__ import annotations

import hashlib
import math
import re
from functools import cached_property
from typing import Annotated, Literal

import msgspec

from streams.errors import RuleError
from streams.monitor import e_detector
from streams.monitor.bins import DAY_MS
from streams.monitor.bounds import Bound, bound_of
from streams.monitor.inhibition import InhibitRule
from streams.monitor.meaning import meaning_of
from streams.monitor.options import BaselineOptions, MarginOptions
from streams.monitor.return_period import ReturnPeriodOptions
from streams.monitor.sessions import sessions
from streams.monitor.signals import Signal, is_count
from streams.monitor.volume import SeasonKey, hour_and_weekend
from streams.monitor.where import Where
from streams.monitor.zscore import ZscoreOptions
from streams.records import Severity

_DURATION = re.compile(r"^(\d+)(m|h|d)$")
MINUTE_MS = 60_000
_UNITS_MS = {"m": MINUTE_MS, "h": 3_600_000, "d": 86_400_000}
PLACEHOLDERS = frozenset(
    "entity share baseline stories sources minutes in_words signal value usual threshold window z return_period "
    "parts".split()
)
PLACEHOLDER = re.compile(r"\{(\w+)\}")
_SINGULAR = {"stories": "story", "sources": "source", "minutes": "minute", "authors": "author", "voices": "voice"}
_COUNTED = re.compile(r"\{(\w+)\} (" + "|".join(_SINGULAR) + r")\b")

Duration = Annotated[str, msgspec.Meta(pattern=_DURATION.pattern)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
WINDOW_STEPS = 60
"""A threshold's window is kept as so many parts; one of up to an hour to the minute."""
SUPPORTING_VOICES = 2
"""What a rule asks for that says nothing of sources and voices."""


def duration_ms(text: str) -> int:
    """Milliseconds of `30m`, `12h` or `5d`."""
    match = _DURATION.match(text)
    if match is None:
        msg = f"{text!r} is no duration: write a whole number and m, h or d, such as 30m"
        raise RuleError(msg)
    return int(match[1]) * _UNITS_MS[match[2]]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Fire(_Part, frozen=True, kw_only=True):
    """When to fire: `arl` for an e-detector, `return_period` for that method, a bound for a threshold, a z-score or a
    novel story, and names of rules for a composite.
    """

    arl: Duration | None = None
    """Mean time to a false alarm, at least, while the share stays at or below usual + margin."""
    gte: float | None = None
    """The signal over the window, or its z-score, is at least this; novelty: the story's P(negative)."""
    gt: float | None = None
    lte: float | None = None
    lt: float | None = None
    return_period: Duration | None = None
    """So much comes once in this time, at most."""
    all_: tuple[str, ...] = msgspec.field(default=(), name="all")
    """composite: rules of this file all of which must hold: be firing, or have fired `within`."""
    any_: tuple[str, ...] = msgspec.field(default=(), name="any")
    """composite: rules one of which must hold."""
    none: tuple[str, ...] = ()
    """composite: rules none of which may hold."""
    within: Duration = "0m"
    """composite: a rule still holds when it fired this long ago."""

    @property
    def bound(self) -> Bound | None:
        """The bound that is given, if one is."""
        return bound_of(self.gte, self.gt, self.lte, self.lt)


class Resolve(_Part, frozen=True, kw_only=True):
    """When it is over: its own threshold, lower than the one that fires."""

    margin: Share = 0.06
    """e-detector: the recent share is below baseline plus this."""
    lt: float | None = None
    """The window's share, another signal or its z-score is below this."""
    lte: float | None = None
    gt: float | None = None
    """Of a rule that fires on little, such as on a low sentiment."""
    gte: float | None = None
    return_period: Duration | None = None
    """So much comes more often than this again."""

    @property
    def bound(self) -> Bound | None:
        """The bound that is given, if one is."""
        return bound_of(self.gte, self.gt, self.lte, self.lt)


class MinSupport(_Part, frozen=True, kw_only=True):
    """The least that an alert must rest on; without a word on sources and voices, `SUPPORTING_VOICES` voices."""

    stories: int = 3
    sources: int | None = None
    """Distinct sources."""
    voices: int | None = None
    """Distinct voices: sources, or where there are more of them, authors. A desk with a single feed has one source
    and many authors; a feed that names no authors is one voice."""

    @property
    def asked_voices(self) -> int | None:
        """Voices that are asked for; None where sources are, and nothing is said of voices."""
        return SUPPORTING_VOICES if self.voices is None and self.sources is None else self.voices

    def supports(self, *, stories: int, sources: int, authors: int) -> bool:
        """Whether so much is enough."""
        if stories < self.stories or sources < (self.sources or 0):
            return False
        return max(sources, authors) >= (self.asked_voices or 0)


class Cooldown(_Part, frozen=True, kw_only=True, dict=True):
    """Silence after an alert has fired, counted from its firing."""

    for_: Duration = msgspec.field(default="12h", name="for")
    unless: Literal["severity_increases", "never"] = "severity_increases"

    @cached_property
    def for_ms(self) -> int:
        """Its length in milliseconds."""
        return duration_ms(self.for_)


class SeverityStep(_Part, frozen=True, kw_only=True):
    """What it takes for a severity: share above baseline, and stories."""

    effect: Share = 0.0
    stories: int = 0


class Rule(_Part, frozen=True, kw_only=True, dict=True):
    """One alert rule.

    What follows from its fields is worked out once (`dict=True` gives it a place): it is asked for at every bin.
    """

    alert: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]
    """Name, and the label `alertname`."""
    type: Literal["spike", "threshold", "novelty", "composite"]
    fire: Fire
    by: Literal["ticker"] = "ticker"
    """What a rule watches one by one: companies."""
    where: Where | None = None
    """Which mentions it reads; without it all."""
    signal: Signal = "negative_share"
    method: Literal["e_detector", "return_period", "zscore"] | None = None
    """Of a spike; without it the e-detector."""
    margin: Share | MarginOptions = MarginOptions()
    """e-detector: the null hypothesis is a share of at most usual plus margin; a number is the same for all companies,
    whatever their unrest."""
    pending: Fire = Fire()
    window: Duration = "60m"
    """threshold: the signal is taken over this; zscore: time is cut into pieces of this length."""
    windows: tuple[Duration, ...] | None = None
    """return_period: what is counted, ascending; the first is the step, of which the others are multiples."""
    relevance: Share = 0.0
    """novelty: a story that is less about the company does not count."""
    quiet_below: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """novelty: it speaks only for a company that usually has fewer stories a day than this."""
    baseline: BaselineOptions = BaselineOptions()
    effect_min: Share = 0.10
    """No alert for a smaller rise over the baseline, however certain."""
    resolve: Resolve = Resolve()
    for_: Duration = msgspec.field(default="0m", name="for")
    keep_firing_for: Duration = "30m"
    min_support: MinSupport = MinSupport()
    cooldown: Cooldown = Cooldown()
    severity: dict[Severity, SeverityStep] = msgspec.field(default_factory=lambda: {"warning": SeverityStep()})
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}

    @cached_property
    def version(self) -> str:
        """Hash of the rule's meaning, 12 hexadecimal digits; what the method makes of the same keys is part of it."""
        meaning = meaning_of(self)
        if self.is_e_detector:
            meaning += b" e_detector %d" % e_detector.VERSION
        elif self.window_step_ms > MINUTE_MS:
            meaning += b" window steps %d" % WINDOW_STEPS
        return hashlib.sha256(meaning).hexdigest()[:12]

    @cached_property
    def is_e_detector(self) -> bool:
        """Whether the share e-detector decides."""
        return self.type == "spike" and self.method in (None, "e_detector")

    @cached_property
    def is_share_threshold(self) -> bool:
        """Whether it fires where the negative share over its window is at least so much: the plain case."""
        upward = self.fire.gte is not None
        lower = (self.resolve.lte, self.resolve.gt, self.resolve.gte) == (None, None, None)
        return self.type == "threshold" and self.signal == "negative_share" and upward and lower

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """composite: the rules that it is made of, each once."""
        return tuple(dict.fromkeys((*self.fire.all_, *self.fire.any_, *self.fire.none)))

    @cached_property
    def within_ms(self) -> int:
        """`fire.within` in milliseconds."""
        return duration_ms(self.fire.within)

    @cached_property
    def fire_bound(self) -> Bound:
        """What the signal, or its z-score, must pass; a rule without such a bound fires on nothing."""
        return self.fire.bound or Bound("gte", math.inf)

    @cached_property
    def calm_bound(self) -> Bound:
        """What it must pass for the alert to be over: what is given; or of a z-score half of what fires, and else what
        no longer fires.
        """
        given = self.resolve.bound
        if given is not None:
            return given
        opposite = self.fire_bound.opposite
        return Bound(opposite.side, opposite.value / 2) if self.method == "zscore" else opposite

    @cached_property
    def fire_days(self) -> float:
        """return_period: what fires, in days."""
        return duration_ms(self.fire.return_period or "30d") / DAY_MS

    @cached_property
    def pending_days(self) -> float:
        """return_period: what is worth a look, in days."""
        return duration_ms(self.pending.return_period or self.fire.return_period or "30d") / DAY_MS

    @cached_property
    def calm_days(self) -> float:
        """return_period: below this it is over, in days."""
        if self.resolve.return_period is not None:
            return duration_ms(self.resolve.return_period) / DAY_MS
        return min(1.0, self.fire_days)

    @cached_property
    def period_options(self) -> ReturnPeriodOptions:
        """return_period: how it counts."""
        if self.windows is None:
            return ReturnPeriodOptions()
        step_ms = duration_ms(self.windows[0])
        return ReturnPeriodOptions(
            step_ms=step_ms, windows_steps=tuple(duration_ms(window) // step_ms for window in self.windows)
        )

    @cached_property
    def season(self) -> SeasonKey:
        """return_period: what kind of hour it is; raises RuleError for a market that is not known."""
        return hour_and_weekend if self.baseline.season is None else sessions(self.baseline.season)

    @cached_property
    def zscore_options(self) -> ZscoreOptions:
        """zscore: how it learns. A count moves by one story at least, a sentiment by a twentieth."""
        return ZscoreOptions(least_deviation=1.0 if is_count(self.signal) else 0.05)

    @cached_property
    def arl_minutes(self) -> float:
        """Mean time to a false alarm at which the e-detector fires, in minutes of the clock: its threshold."""
        return duration_ms(self.fire.arl or "30d") / MINUTE_MS

    @cached_property
    def log_arl(self) -> float:
        """Log of `arl_minutes`: the e-detector fires at this log e-value."""
        return math.log(self.arl_minutes)

    @cached_property
    def log_pending(self) -> float:
        """The e-detector is pending at this log e-value."""
        return math.log(duration_ms(self.pending.arl or self.fire.arl or "30d") / MINUTE_MS)

    @cached_property
    def window_ms(self) -> int:
        """`window` in milliseconds."""
        return duration_ms(self.window)

    @cached_property
    def window_step_ms(self) -> int:
        """In what steps the window moves on, in milliseconds: in minutes, or a longer one in `WINDOW_STEPS` steps, so
        that what is kept of it is bounded.
        """
        return max(1, -(-self.window_ms // (WINDOW_STEPS * MINUTE_MS))) * MINUTE_MS

    @cached_property
    def for_ms(self) -> int:
        """`for` in milliseconds."""
        return duration_ms(self.for_)

    @cached_property
    def keep_firing_for_ms(self) -> int:
        """`keep_firing_for` in milliseconds."""
        return duration_ms(self.keep_firing_for)


class RuleSet(msgspec.Struct, frozen=True, kw_only=True):
    """The rules in force, in file order."""

    rules: tuple[Rule, ...]
    inhibit_rules: tuple[InhibitRule, ...] = ()
    """What holds alerts of a company back while another fires."""

    @property
    def version(self) -> str:
        """Hash of all rules' versions and of what inhibits them, 12 hexadecimal digits."""
        meaning = " ".join(rule.version for rule in self.rules).encode()
        if self.inhibit_rules:
            meaning += msgspec.json.encode(self.inhibit_rules)
        return hashlib.sha256(meaning).hexdigest()[:12]

    @property
    def for_baselines(self) -> Rule | None:
        """The rule whose baseline stands for a company: the first spike on the share of all its stories, and where
        there is none the first that knows what is usual; None without rules.
        """
        of_all = [rule for rule in self.rules if rule.is_e_detector and rule.where is None]
        learning = [rule for rule in self.rules if rule.type != "composite"]
        return next(iter([*of_all, *learning, *self.rules]), None)


def fill(template: str, values: dict[str, str]) -> str:
    """Put values into an annotation's {placeholders}; nothing else in it is interpreted.

    A word for what is counted, right after it, is put in the singular for one: `{sources} sources` is "1 source".
    """
    counted = _COUNTED.sub(lambda match: _counted(match[0], values.get(match[1]), match[2]), template)
    return PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), counted)


def _counted(text: str, value: str | None, noun: str) -> str:
    return f"1 {_SINGULAR[noun]}" if value == "1" else text
