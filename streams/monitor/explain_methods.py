"""What the types and methods beside the share e-detector and the plain share ask for, and what there is of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from streams.monitor import counted, novel, scored, threshold
from streams.monitor.composite import held_parts
from streams.monitor.rules import Rule
from streams.monitor.state import RuleState


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that a rule asks for.

    Attributes:
        name: `evidence`, `share`, `stories`, `sources`, `voices`, `effect` or `cooldown`; or the name of a signal,
            `z`, `return_period`, `story`, `pace`, or `rule` and a rule's name.
        value: what there is: an e-value, a share, a count; for `cooldown` minutes that are left.
        needed: what the rule asks for.
        met: it is there.
        side: whether `needed` is the least or the most.
    """

    name: str
    value: float
    needed: float
    met: bool
    side: str = "at least"


@dataclass(frozen=True, slots=True)
class Measured:
    """What a rule measured.

    Attributes:
        value: of its signal; None where there is none.
        usual: what the company's own history expects; None where it is not asked.
        window_ms: length of the window.
        stories: effective stories in it.
    """

    value: float | None
    usual: float | None
    window_ms: int
    stories: int


def measured_of(rule: Rule, memory: RuleState) -> Measured | None:
    """Return what a rule measured in its last bin; None for one that measures nothing but a share."""
    if rule.method == "return_period":
        found = counted.judged(rule, memory)
        if found is not None:
            return Measured(found.observed, found.expected, found.window_ms, round(found.observed))
        count = 0.0 if memory.counting is None else memory.counting.count
        return Measured(count, None, rule.period_options.step_ms, round(count))
    if rule.method == "zscore":
        value, z = scored.judged(rule, memory)
        votes = 0 if memory.scoring is None else memory.scoring.votes
        return Measured(value, None if z is None else z.mean, rule.window_ms, votes)
    if rule.type == "threshold" and not rule.is_share_threshold:
        value, votes = threshold.window_value(rule, memory)
        return Measured(value, None, rule.window_ms, votes)
    return None


def checks_of(rule: Rule, memory: RuleState, others: Mapping[str, RuleState], *, end_ms: int) -> list[Check]:
    """Return what decides, support and cooldown apart.

    Args:
        rule: the rule.
        memory: its memory of the company.
        others: the memories of all rules, by name.
        end_ms: end of the bin, ms since the epoch.
    """
    if rule.type == "composite":
        return _parts(rule, others, end_ms)
    if rule.type == "novelty":
        return _novelty(rule, memory, end_ms)
    if rule.method == "return_period":
        found = counted.judged(rule, memory)
        days = 0.0 if found is None else found.days
        return [Check("return_period", days, rule.fire_days, days >= rule.fire_days)]
    bound = rule.fire_bound
    if rule.method == "zscore":
        _, score = scored.judged(rule, memory)
        z = 0.0 if score is None else score.z
        return [Check("z", z, bound.value, score is not None and bound.met(z), bound.words)]
    value, _ = threshold.window_value(rule, memory)
    met = value is not None and bound.met(value)
    return [Check(rule.signal, 0.0 if value is None else value, bound.value, met, bound.words)]


def _novelty(rule: Rule, memory: RuleState, end_ms: int) -> list[Check]:
    pace, bound = memory.pace, rule.fire_bound
    worst = pace.worst if pace is not None and pace.at_ms == end_ms else 0.0
    found = [Check("story", worst, bound.value, bound.met(worst), bound.words)]
    if rule.quiet_below is not None:
        per_day = 0.0 if pace is None else novel.stories_per_day(pace, end_ms)
        found.append(Check("pace", per_day, rule.quiet_below, per_day < rule.quiet_below, "below"))
    return found


def _parts(rule: Rule, others: Mapping[str, RuleState], end_ms: int) -> list[Check]:
    held = held_parts(rule, others, end_ms=end_ms)
    fire = rule.fire
    found = [Check(f"rule {name}", float(name in held), 1.0, name in held) for name in dict.fromkeys(fire.all_)]
    if fire.any_:
        count = sum(name in held for name in dict.fromkeys(fire.any_))
        found.append(Check(f"one of {', '.join(fire.any_)}", float(count), 1.0, count > 0))
    for name in dict.fromkeys(fire.none):
        found.append(Check(f"rule {name}", float(name in held), 0.0, name not in held, "at most"))
    return found
