"""A plain bound on any signal over a window that moves on with every bin: simple, auditable, and no statistics."""

from __future__ import annotations

import math
from operator import itemgetter

from streams.monitor.lifecycle import Condition, severity_of
from streams.monitor.reading import Reading
from streams.monitor.rules import Rule
from streams.monitor.run import Tested, Usual, rounded
from streams.monitor.signals import is_count, total_of, value_of
from streams.monitor.state import RuleState
from streams.monitor.tally import Tally
from streams.monitor.window_run import follow, supported
from streams.records import Measure

_VOTES, _TOTAL = itemgetter(1), itemgetter(2)


def add_to_window(rule: Rule, state: RuleState, tally: Tally) -> None:
    """Put a bin into a threshold's window, and let go of what has left it."""
    oldest = tally.end_ms - rule.window_ms
    window = state.window
    while window and window[0][0] < oldest:
        del window[0]
    start_ms = tally.start_ms - tally.start_ms % rule.window_step_ms
    votes, total = len(tally.scores), total_of(rule.signal, tally)
    if window and window[-1][0] == start_ms:
        _, before, sum_before = window.pop()
        votes, total = before + votes, sum_before + total
    window.append((start_ms, votes, total))


def window_value(rule: Rule, state: RuleState) -> tuple[float | None, int]:
    """Return the signal over the window, and its votes; None for a mean without votes."""
    votes = sum(map(_VOTES, state.window))
    return value_of(rule.signal, math.fsum(map(_TOTAL, state.window)), votes), votes


def read_bin(rule: Rule, state: RuleState, tally: Tally, usual: float) -> Reading | None:
    """Step a threshold; see `streams.monitor.methods.read_bin`."""
    add_to_window(rule, state, tally)
    value, votes = window_value(rule, state)
    bound = rule.fire_bound
    if value is None:
        return None  # copies alone: nothing is known that was not known before
    reached, calm = bound.met(value), rule.calm_bound.met(value)
    # A count grows vote by vote, and what it grew from is to be shown.
    near = reached or not calm or (is_count(rule.signal) and bound.is_upward and value >= bound.value / 2)
    run = follow(rule, state, tally, near=near, upward=bound.is_upward)
    if run is None or (state.life.state == "inactive" and not reached):
        return None
    is_share = rule.signal == "negative_share"
    effect = (value - usual if bound.is_upward else usual - value) if is_share else 0.0
    reached = reached and supported(rule, run, votes) and (not is_share or effect >= rule.effect_min)
    return Reading(
        condition=Condition(
            opens=reached,
            holds=not calm,
            fires=reached,
            calm=calm,
            severity=severity_of(rule, effect=effect, stories=votes),
        ),
        log_e=None,
        threshold=bound.value,
        against=Usual(usual, 0.0),
        tested=Tested(share=value, votes=votes, since_ms=tally.end_ms - rule.window_ms) if is_share else None,
        measure=None if is_share else Measure(value=rounded(value), usual=None, window_s=rule.window_ms / 1000),
    )
