"""The run behind an alert of a rule that looks at a window: gathered while the window is near to what fires."""

from __future__ import annotations

from streams.monitor.bins import DAY_MS
from streams.monitor.rules import Rule
from streams.monitor.run import collect
from streams.monitor.signals import gains
from streams.monitor.state import RuleState, Run
from streams.monitor.tally import Tally

_LONGEST_RUN_MS = 2 * DAY_MS
"""A run that has not fired within two days begins anew: what an alert shows is what led to it."""
_FROZEN_MS = DAY_MS
"""While an alert fires its baseline learns nothing, for a day: what goes on for longer is what is usual now."""


def follow(rule: Rule, state: RuleState, tally: Tally, *, near: bool, upward: bool) -> Run | None:
    """Add a bin to the run, begin one or end it.

    Args:
        rule: the rule.
        state: changed in place.
        tally: the bin.
        near: the window is near to what fires.
        upward: the rule fires on much, not on little.

    Returns:
        The run; None while the alert is inactive and the window is not near to what fires.
    """
    is_inactive = state.life.state == "inactive"
    if is_inactive and not near:
        state.run = None
        return None
    if state.run is not None and state.life.state != "firing" and tally.start_ms - state.run.onset_ms > _LONGEST_RUN_MS:
        state.run = None
    return collect(state, tally, gains(rule.signal, tally.ballots, upward=upward))


def supported(rule: Rule, run: Run, stories: int) -> bool:
    """Whether an alert rests on enough: the window's stories, and who the run heard them from."""
    return rule.min_support.supports(stories=stories, sources=len(run.sources), authors=len(run.authors))


def may_learn(state: RuleState, at_ms: int) -> bool:
    """Whether the method may learn from what began at a time: not while an alert fires, for a day."""
    return state.life.state != "firing" or at_ms - state.life.fired_ms >= _FROZEN_MS
