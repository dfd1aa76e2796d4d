"""What each kind of rule makes of a closed bin: its state moves on, and a Condition for the alert's life comes out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from streams.monitor import baseline as baselines
from streams.monitor import e_detector
from streams.monitor.bins import BIN_MS
from streams.monitor.lifecycle import Condition, severity_of
from streams.monitor.rules import Rule, duration_ms
from streams.monitor.run import Tested, gather
from streams.monitor.state import RuleState, Run, Vote

_RECENT_HALF_LIFE_MS = 30 * 60_000
_RECENT_PER_VOTE = 0.85
"""Whether a rise is over is read off the votes of about the last half hour or off the last half a dozen, whichever is
more: by time alone a quiet company would never be seen to be back to usual."""
_RECENT_VOTES = 3.0
"""With less than this in sight nothing is said to be over."""


_LONGEST_RUN_MS = 2 * 86_400_000
"""A rise that has not fired within two days is taken for what is usual now. Otherwise a company whose alert can never
have the support that its rule asks for would keep the baseline of long ago for ever."""


@dataclass(frozen=True, slots=True)
class Ballot:
    """A mention of a closed bin with what its story and its author make of it."""

    vote: Vote
    story: str
    copy: bool
    counts: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """What a rule read off a bin, for the evidence."""

    condition: Condition
    weights: tuple[float, ...]
    """How the bets are mixed; [bets]."""
    log_e: float | None
    threshold: float
    tested: Tested | None = None
    """What a threshold rule tested; an e-detector tests the run."""


def read_bin(rule: Rule, state: RuleState, ballots: Sequence[Ballot], *, start_ms: int, late: int) -> Reading:
    """Step one rule over one closed bin, changing `state` in place.

    Args:
        rule: the rule.
        state: its memory of the entity.
        ballots: the bin's mentions in order of (time, id); not empty.
        start_ms: start of the bin.
        late: mentions that came too late since the bin before.
    """
    usual = baselines.share(state.baseline, rule.baseline)
    read = _read_e_detector if rule.is_e_detector else _read_threshold
    return read(rule, state, ballots, usual=usual, start_ms=start_ms, late=late)


def learn(rule: Rule, state: RuleState, ballots: Sequence[Ballot], *, end_ms: int) -> None:
    """Let the baseline learn from a closed bin, after the alert's life has moved on.

    Votes of a run are held back until the run has come to nothing, and are forgotten once it has fired: the baseline
    stays what it was at the onset, and still sees every vote of an ordinary day.
    """
    if state.life.state == "firing":
        state.held_votes = state.held_negative = 0.0
        return
    scores = [ballot.vote.negative for ballot in ballots if ballot.counts]
    negative = math.fsum(scores)
    state.held_votes += len(scores)
    state.held_negative += baselines.winsorised(state.baseline, rule.baseline, votes=len(scores), negative=negative)
    if state.run is None and state.held_votes:
        baselines.update(
            state.baseline, rule.baseline, votes=state.held_votes, negative=state.held_negative, at_ms=end_ms
        )
        state.held_votes = state.held_negative = 0.0


def spend_evidence(rule: Rule, state: RuleState) -> None:
    """Start from nothing after an alert, after its end, and after one that a cooldown kept back.

    Without the reset at the end, what had gathered while it fired would raise the next alert on a handful of votes.
    """
    if rule.is_e_detector:
        state.logs = e_detector.fresh()


def after_end(state: RuleState) -> None:
    """Forget the run of an alert that is over."""
    state.run = None
    state.cusum = 0.0


def _collect(
    state: RuleState, ballots: Sequence[Ballot], terms: Sequence[tuple[float, ...]], *, start_ms: int, late: int
) -> Run:
    if state.run is None:
        state.run = Run(onset_ms=start_ms)
    state.run.late += late
    for ballot, term in zip(ballots, terms, strict=True):
        gather(state.run, ballot.vote, story=ballot.story, copy=ballot.copy, counts=ballot.counts, terms=term)
    return state.run


def _supported(rule: Rule, run: Run, usual: float) -> tuple[bool, float]:
    effect = run.negative / run.votes - usual if run.votes else 0.0
    enough = run.votes >= rule.min_support.stories and len(run.sources) >= rule.min_support.sources
    return enough and effect >= rule.effect_min, effect


def _read_e_detector(
    rule: Rule, state: RuleState, ballots: Sequence[Ballot], *, usual: float, start_ms: int, late: int
) -> Reading:
    null_mean = min(0.95, usual + rule.margin)
    terms = [e_detector.terms(ballot.vote.negative, null_mean) for ballot in ballots]
    counted = [term for ballot, term in zip(ballots, terms, strict=True) if ballot.counts]
    run = _collect(state, ballots, terms, start_ms=start_ms, late=late)
    _recall(state, ballots, start_ms + BIN_MS)
    if counted:
        state.logs = e_detector.step(state.logs or e_detector.fresh(), counted)
        state.cusum = max(0.0, state.cusum + math.fsum(term[e_detector.ONSET_BET] for term in counted))
    if state.life.state != "firing" and start_ms - run.onset_ms > _LONGEST_RUN_MS:
        state.cusum = 0.0
        spend_evidence(rule, state)
    logs = state.logs or e_detector.fresh()
    log_e = e_detector.log_e_value(logs)
    supported, effect = _supported(rule, run, usual)
    recent = state.recent_negative / state.recent_votes if state.recent_votes >= _RECENT_VOTES else None
    reading = Reading(
        condition=Condition(
            opens=bool(counted) and state.cusum > 0 and log_e >= math.log(rule.pending_bins) and supported,
            holds=state.cusum > 0,
            fires=bool(counted) and log_e >= math.log(rule.arl_bins) and supported,
            calm=recent is not None and recent < usual + rule.resolve.margin,
            severity=severity_of(rule, effect=effect, stories=run.votes),
        ),
        weights=e_detector.bet_weights(logs),
        log_e=log_e,
        threshold=rule.arl_bins,
    )
    if state.cusum == 0 and state.life.state == "inactive":
        state.run = None  # nothing has begun: the onset lies ahead
    return reading


def _recall(state: RuleState, ballots: Sequence[Ballot], end_ms: int) -> None:
    scores = [ballot.vote.negative for ballot in ballots if ballot.counts]
    by_time = 0.5 ** ((end_ms - state.recent_ms) / _RECENT_HALF_LIFE_MS)
    keep = max(by_time, _RECENT_PER_VOTE ** len(scores)) if state.recent_ms else 0.0
    state.recent_votes = state.recent_votes * keep + len(scores)
    state.recent_negative = state.recent_negative * keep + math.fsum(scores)
    state.recent_ms = end_ms


def _read_threshold(
    rule: Rule, state: RuleState, ballots: Sequence[Ballot], *, usual: float, start_ms: int, late: int
) -> Reading:
    gte = rule.fire.gte if rule.fire.gte is not None else 1.0
    lower = rule.resolve.lt if rule.resolve.lt is not None else gte
    scores = [ballot.vote.negative for ballot in ballots if ballot.counts]
    oldest = start_ms + BIN_MS - duration_ms(rule.window)
    state.window = [item for item in state.window if item[0] >= oldest]
    state.window.append((start_ms, len(scores), math.fsum(scores)))
    votes = sum(item[1] for item in state.window)
    share = math.fsum(item[2] for item in state.window) / votes if votes else 0.0
    # The evidence adds up P(negative) above the usual share; there are no bets here.
    terms = [(ballot.vote.negative - usual,) for ballot in ballots]
    run = _collect(state, ballots, terms, start_ms=start_ms, late=late)
    supported, effect = _supported(rule, run, usual)
    reading = Reading(
        condition=Condition(
            opens=share >= gte and supported and votes >= rule.min_support.stories,
            holds=share >= lower,
            fires=share >= gte and supported and votes >= rule.min_support.stories,
            calm=share < lower,
            severity=severity_of(rule, effect=effect, stories=run.votes),
        ),
        weights=(1.0,),
        log_e=None,
        threshold=gte,
        tested=Tested(share=share, votes=votes, since_ms=oldest),
    )
    if share < lower and state.life.state == "inactive":
        state.run = None
    return reading
