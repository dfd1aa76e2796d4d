"""`method: zscore`: a signal so many deviations off its own past, window by window of the clock.

Time is cut into windows of the rule's `window`, from midnight UTC on. One that is over is learned from when the next
vote comes, and the windows between in which nothing was counted are learned at once (`streams.monitor.zscore`); a mean
of nothing is no value, and is not learned. The open window is judged with every bin that closes in it: a count can
only grow, and a mean is judged once there are as many stories as the rule asks for.
"""

from __future__ import annotations

from collections.abc import Sequence

from streams.monitor.lifecycle import Condition, severity_of
from streams.monitor.method_states import Scoring
from streams.monitor.outages import Outage, silences
from streams.monitor.reading import Reading
from streams.monitor.rules import Rule
from streams.monitor.run import Usual, rounded
from streams.monitor.signals import is_count, total_of, value_of
from streams.monitor.state import RuleState
from streams.monitor.tally import Tally
from streams.monitor.window_run import follow, may_learn, supported
from streams.monitor.zscore import Zscore, pass_zeros, step, zscore
from streams.records import Measure


def read_bin(rule: Rule, state: RuleState, tally: Tally, usual: float) -> Reading | None:
    """Step a z-score; see `streams.monitor.methods.read_bin`."""
    scoring = state.scoring
    if scoring is None:
        scoring = state.scoring = Scoring()
    _move_on(rule, state, scoring, tally.start_ms, tally.outages)
    scoring.votes += len(tally.scores)
    scoring.total += total_of(rule.signal, tally)
    bound = rule.fire_bound
    value, found = judged(rule, state)
    reached = found is not None and bound.met(found.z)
    calm = found is None or _is_calm(rule, scoring, found)
    run = follow(rule, state, tally, near=reached or not calm, upward=bound.is_upward)
    if run is None or (state.life.state == "inactive" and not reached):
        return None
    enough = reached and supported(rule, run, scoring.votes)
    return Reading(
        condition=Condition(
            opens=enough,
            holds=not calm,
            fires=enough,
            calm=found is not None and calm,
            severity=severity_of(rule, effect=0.0, stories=scoring.votes),
        ),
        log_e=None,
        threshold=bound.value,
        against=Usual(usual, 0.0),
        measure=Measure(
            value=rounded(value or 0.0),
            usual=None if found is None else rounded(found.mean),
            window_s=rule.window_ms / 1000,
            z=0.0 if found is None else rounded(found.z),
        ),
        in_words=None if found is None else words(found),
    )


def judged(rule: Rule, state: RuleState) -> tuple[float | None, Zscore | None]:
    """Return the open window's value with what has come so far, and its z-score; None where there is none."""
    scoring = state.scoring
    if scoring is None or not scoring.open_ms:
        return None, None
    value = value_of(rule.signal, scoring.total, scoring.votes)
    if value is None or (not is_count(rule.signal) and scoring.votes < rule.min_support.stories):
        return value, None
    return value, zscore(scoring.past, rule.zscore_options, value)


def words(found: Zscore) -> str:
    """Say a z-score of a company."""
    side = "above" if found.z >= 0 else "below"
    return f"{abs(found.z):.1f} standard deviations {side} this company's own past; no statement about how often"


def _is_calm(rule: Rule, scoring: Scoring, found: Zscore) -> bool:
    """Whether it is over: of a count the window before has a say, as the open one begins with nothing."""
    if not rule.calm_bound.met(found.z):
        return False
    if not is_count(rule.signal) or scoring.last is None:
        return True
    return rule.calm_bound.met((scoring.last - found.mean) / found.deviation)


def _move_on(rule: Rule, state: RuleState, scoring: Scoring, at_ms: int, outages: Sequence[Outage]) -> None:
    """Close the open window if a bin lies beyond it, and open the bin's."""
    window_ms, options = rule.window_ms, rule.zscore_options
    open_ms = at_ms - at_ms % window_ms
    if open_ms == scoring.open_ms:
        return
    if scoring.open_ms:
        value = value_of(rule.signal, scoring.total, scoring.votes)
        end_ms = scoring.open_ms + window_ms
        if value is not None:
            step(scoring.past, options, value=value, at_ms=end_ms, learn=may_learn(state, scoring.open_ms))
            scoring.last = value
        if is_count(rule.signal):
            for since_ms, until_ms, up in silences(end_ms, open_ms, outages):
                begin_ms = since_ms + -since_ms % window_ms
                silent = (until_ms - begin_ms) // window_ms
                if up and silent > 0:
                    pass_zeros(scoring.past, options, count=silent, every_ms=window_ms, at_ms=begin_ms + window_ms)
                    scoring.last = 0.0
    scoring.open_ms, scoring.votes, scoring.total = open_ms, 0, 0.0
