"""`method: return_period`: more stories, or more negative ones, than come once in so many days at this company.

The method is `streams.monitor.return_period`. Its steps are pieces of the clock; one that is over is learned from when
the next vote comes, and what lay between is learned at once as silence, so that a silent company costs nothing. The
open step is judged with every bin that closes in it: more can only make it rarer. While nothing was heard of any
company the feed was down: that is no silence, and nothing is learned of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET

from streams.monitor.lifecycle import Condition, severity_of
from streams.monitor.method_states import Counting
from streams.monitor.outages import Outage, silences
from streams.monitor.reading import Reading
from streams.monitor.return_period import ReturnPeriod, glance, in_words, pass_quietly, pass_without_data, step
from streams.monitor.rules import Rule
from streams.monitor.run import Usual, rounded
from streams.monitor.signals import total_of
from streams.monitor.state import RuleState
from streams.monitor.tally import Tally
from streams.monitor.window_run import follow, may_learn, supported
from streams.records import Measure


def read_bin(rule: Rule, state: RuleState, tally: Tally, usual: float) -> Reading | None:
    """Step a return period; see `streams.monitor.methods.read_bin`."""
    counting = state.counting
    if counting is None:
        counting = state.counting = Counting()
    _move_on(rule, state, counting, tally.start_ms, tally.outages)
    counting.count += total_of(rule.signal, tally)
    found = judged(rule, state)
    days = 0.0 if found is None else found.days
    run = follow(rule, state, tally, near=found is not None, upward=True)
    if run is None or (state.life.state == "inactive" and days < rule.pending_days):
        return None
    stories = 0 if found is None else round(found.observed)
    enough = supported(rule, run, stories)
    return Reading(
        condition=Condition(
            opens=enough and days >= rule.pending_days,
            holds=days >= rule.calm_days,
            fires=enough and days >= rule.fire_days,
            calm=days < rule.calm_days,
            severity=severity_of(rule, effect=0.0, stories=stories),
        ),
        log_e=None,
        threshold=rule.fire_days,
        against=Usual(usual, 0.0),
        measure=_measure(rule, counting, found),
        in_words=None if found is None else words(rule, found),
    )


def judged(rule: Rule, state: RuleState) -> ReturnPeriod | None:
    """Say how rare the open step is with what has come so far; None if it is not, or little is known."""
    counting = state.counting
    if counting is None or not counting.open_ms:
        return None
    return glance(
        counting.period, rule.period_options, count=counting.count, at_ms=counting.open_ms, season=rule.season
    )


def words(rule: Rule, found: ReturnPeriod) -> str:
    """Say a return period of a company: "so many stories come once in about 74 days for this company"."""
    what = "negative stories" if rule.signal == "negative_count" else "stories"
    if found.beyond_history:
        return f"so many {what} are {in_words(found)} of this company"
    return f"so many {what} come {in_words(found)} for this company"


def _move_on(rule: Rule, state: RuleState, counting: Counting, at_ms: int, outages: Sequence[Outage]) -> None:
    """Close the open step if a bin lies beyond it, and open the bin's."""
    options = rule.period_options
    open_ms = at_ms - at_ms % options.step_ms
    if open_ms == counting.open_ms:
        return
    if counting.open_ms:
        learn = may_learn(state, counting.open_ms)
        step(counting.period, options, count=counting.count, at_ms=counting.open_ms, learn=learn, season=rule.season)
        for _, end_ms, up in silences(counting.period.end_ms, open_ms, outages):
            if up:
                pass_quietly(counting.period, options, until_ms=end_ms, season=rule.season)
            else:
                pass_without_data(counting.period, options, until_ms=end_ms)
    counting.open_ms, counting.count = open_ms, 0.0


def _measure(rule: Rule, counting: Counting, found: ReturnPeriod | None) -> Measure:
    if found is None:
        step_s = rule.period_options.step_ms / 1000
        return Measure(value=counting.count, usual=None, window_s=step_s, return_period_days=0.0)
    return Measure(
        value=found.observed,
        usual=rounded(found.expected),
        window_s=found.window_ms / 1000,
        return_period_days=rounded(found.days),
        beyond_history=found.beyond_history or UNSET,
    )
