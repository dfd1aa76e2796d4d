"""`type: novelty`: one new story that is bad enough, from where the rule listens; no history is needed for it.

A story is new that is no copy of one within the story horizon and whose author has a vote left. An alert is about its
story and no later one: where that lies back by `keep_firing_for`, the next bin ends the alert, and a new story in it
raises another. Below about 60 messages a day no statistic finds a rise in time, and this is what is left; `quiet_below`
keeps a rule to such companies. Scores are read as their model gave them, also those of a model that is new at the
company (`streams.monitor.model_change`): what is taken off them to be on the safe side would silence the rule.
"""

from __future__ import annotations

import math

from msgspec.structs import replace

from streams.monitor.bins import DAY_MS
from streams.monitor.lifecycle import Condition, severity_of
from streams.monitor.method_states import Pace
from streams.monitor.reading import Reading
from streams.monitor.rules import Rule
from streams.monitor.run import Usual, collect
from streams.monitor.state import RuleState
from streams.monitor.tally import Ballot, Tally

_HALF_LIFE_MS = 5 * DAY_MS
"""With which the pace of a company fades."""


def read_bin(rule: Rule, state: RuleState, tally: Tally, usual: float) -> Reading | None:
    """Step a novelty rule over a bin, of which it reads all; see `streams.monitor.methods.read_bin`."""
    pace = state.pace
    if pace is None:
        pace = state.pace = Pace()
    firing = state.life.state != "inactive"
    if firing and pace.last_ms and tally.start_ms - pace.last_ms >= max(rule.keep_firing_for_ms, rule.for_ms):
        pace.last_ms = 0
        state.life.calm_since_ms = tally.end_ms - rule.keep_firing_for_ms
        return _reading(rule, state, usual, fires=False, calm=True, is_over=True)
    speaks = rule.quiet_below is None or stories_per_day(pace, tally.start_ms) < rule.quiet_below
    heard = [_as_scored(ballot) for ballot in tally.ballots if _is_heard(rule, ballot)]
    novel = [ballot for ballot in heard if rule.fire_bound.met(ballot.vote.negative)] if speaks else []
    _learn_pace(pace, tally)
    pace.worst = max([ballot.vote.negative for ballot in heard], default=0.0)
    if not novel and not firing:
        state.run = None
        return None
    if novel:
        pace.last_ms = tally.end_ms
        collect(state, tally, [ballot.vote.negative for ballot in novel], ballots=novel)
    return _reading(rule, state, usual, fires=bool(novel), calm=not novel, is_over=False)


def stories_per_day(pace: Pace, at_ms: int) -> float:
    """Return how many stories a company usually has a day: with a half-life of 5 days, and over a day at least."""
    if not pace.since_ms:
        return 0.0
    per_day = _HALF_LIFE_MS / math.log(2) / DAY_MS
    seen_days = per_day * -math.expm1(-math.log(2) * (at_ms - pace.since_ms) / _HALF_LIFE_MS)
    return _faded(pace, at_ms) / max(1.0, seen_days)


def _faded(pace: Pace, at_ms: int) -> float:
    keep: float = 0.5 ** (max(0, at_ms - pace.at_ms) / _HALF_LIFE_MS)
    return pace.stories * keep


def _learn_pace(pace: Pace, tally: Tally) -> None:
    if pace.at_ms >= tally.end_ms or not tally.scores:
        return  # read a second time, after the end of an older story's alert
    pace.stories = _faded(pace, tally.end_ms) + len(tally.scores)
    pace.at_ms = tally.end_ms
    pace.since_ms = pace.since_ms or tally.start_ms


def _is_heard(rule: Rule, ballot: Ballot) -> bool:
    vote = ballot.vote
    if not ballot.counts or vote.relevance < rule.relevance:
        return False
    return rule.where is None or rule.where.takes(vote)


def _as_scored(ballot: Ballot) -> Ballot:
    vote = ballot.vote
    if vote.unscaled is None:
        return ballot
    return Ballot(replace(vote, negative=vote.unscaled, unscaled=None), ballot.story, ballot.copy, ballot.counts)


def _reading(rule: Rule, state: RuleState, usual: float, *, fires: bool, calm: bool, is_over: bool) -> Reading:
    run = state.run
    stories = 0 if run is None else run.votes
    enough = run is not None and rule.min_support.supports(
        stories=stories, sources=len(run.sources), authors=len(run.authors)
    )
    return Reading(
        condition=Condition(
            opens=fires and enough,
            holds=not is_over,
            fires=fires and enough,
            calm=calm,
            severity=severity_of(rule, effect=0.0, stories=stories),
        ),
        log_e=None,
        threshold=rule.fire_bound.value,
        against=Usual(usual, 0.0),
        in_words="a story that was not told before is this negative; no statement about chance",
        signal="novel_story",
        is_over=is_over,
    )
