"""Why a rule fires, or why not: what it had seen at a moment, against what it asks for. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from streams.monitor import baseline as baselines
from streams.monitor.bins import BIN_MS
from streams.monitor.detect import usual_share_of
from streams.monitor.explain_methods import Check, Measured, checks_of, measured_of
from streams.monitor.rules import Rule
from streams.monitor.state import RuleState, Run
from streams.monitor.usual import margin
from streams.records import Suppressed


@dataclass(frozen=True, slots=True)
class Explanation:
    """A rule's view of a company, as of the end of a bin.

    Attributes:
        rule: the rule.
        state: where its alert stands, in the words of its records; resolved is inactive.
        since_ms: since when, in event time; None while inactive.
        usual: share that is usual, 0 to 1.
        margin: how far above it is still nothing; 0 for a threshold.
        warm: the baseline rests on enough votes of its own.
        votes: votes of the run, or of a threshold's window.
        share: their mean P(negative); None without votes.
        onset_ms: when the run began; None without one.
        checks: what the rule asks for. It fires when all are met, for as long as `for` says.
        measured: what was measured beside a share; None for a rule that goes by that alone.
        kept: what keeps the alert back; None for nothing.
    """

    rule: Rule
    state: str
    since_ms: int | None
    usual: float
    margin: float
    warm: bool
    votes: int
    share: float | None
    onset_ms: int | None
    checks: tuple[Check, ...]
    measured: Measured | None = None
    kept: Suppressed | None = None

    @property
    def unmet(self) -> tuple[Check, ...]:
        """What is missing for a firing."""
        return tuple(check for check in self.checks if not check.met)


def explain(
    rule: Rule, memory: RuleState, *, end_ms: int, others: Mapping[str, RuleState] | None = None
) -> Explanation:
    """Say what a rule knows of a company at the end of a bin.

    Args:
        rule: the rule.
        memory: its memory of the company, as it was after that bin.
        end_ms: end of the bin, ms since the epoch.
        others: the memories of all rules, by name; for a rule that is made of others.
    """
    run = memory.run or Run(onset_ms=end_ms - BIN_MS)
    usual = usual_share_of(rule, memory)
    life = memory.life
    if rule.is_e_detector:
        # A firing spends the evidence; what raised the alert is what is told of it then.
        log_e = memory.log_e if life.state != "firing" or life.peak_log_e is None else life.peak_log_e
        reached = math.exp(log_e)
        checks = [Check("evidence", reached, rule.arl_minutes, reached >= rule.arl_minutes)]
        votes, negative = run.votes, run.negative
    elif not rule.is_share_threshold:
        checks = checks_of(rule, memory, others or {}, end_ms=end_ms)
        votes, negative = run.votes, run.negative
    else:
        votes = sum(votes for _, votes, _ in memory.window)
        negative = math.fsum(negative for _, _, negative in memory.window)
        share = negative / votes if votes else 0.0
        needed = 1.0 if rule.fire.gte is None else rule.fire.gte
        checks = [Check("share", share, needed, share >= needed)]
    measured = measured_of(rule, memory)
    stories = votes if measured is None else measured.stories
    effect = negative / votes - usual if votes else 0.0
    if rule.type == "composite":
        pass  # its parts have support of their own
    elif memory.run is None and not rule.is_e_detector:
        # Nobody looked at who said it: what is measured alone keeps the rule from firing.
        checks.append(Check("stories", stories, rule.min_support.stories, stories >= rule.min_support.stories))
    else:
        checks += _support(rule, run, stories)
        effect = run.negative / run.votes - usual if run.votes else 0.0
    if rule.is_e_detector or (rule.type == "threshold" and rule.signal == "negative_share"):
        if not (rule.is_e_detector or rule.fire_bound.is_upward):
            effect = -effect  # of a share that is to be low, how far it has fallen
        checks.append(Check("effect", effect, rule.effect_min, effect >= rule.effect_min))
    if life.state != "firing":
        left_min = max(0, life.cooldown_until_ms - end_ms) / BIN_MS
        checks.append(Check("cooldown", left_min, 0.0, left_min == 0))
    since = {"pending": life.opened_ms, "firing": life.fired_ms, "suppressed": life.opened_ms}
    return Explanation(
        rule=rule,
        state=life.standing,
        kept=life.kept,
        since_ms=since.get(life.state),
        usual=usual,
        margin=margin(rule.margin, memory.unrest) if rule.is_e_detector else 0.0,
        warm=baselines.is_warm(memory.baseline, rule.baseline),
        votes=votes,
        share=negative / votes if votes else None,
        onset_ms=None if memory.run is None else memory.run.onset_ms,
        checks=tuple(checks),
        measured=measured,
    )


def _support(rule: Rule, run: Run, votes: int) -> list[Check]:
    support = rule.min_support
    sources, authors = len(run.sources), len(run.authors)
    stories = min(votes, run.votes) if rule.is_share_threshold else votes
    found = [Check("stories", stories, support.stories, stories >= support.stories)]
    if support.sources is not None:
        found.append(Check("sources", sources, support.sources, sources >= support.sources))
    asked = support.asked_voices
    if asked is not None:
        voices = max(sources, authors)
        found.append(Check("voices", voices, asked, voices >= asked))
    return found
