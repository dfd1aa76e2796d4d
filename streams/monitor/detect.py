"""What each kind of rule makes of a closed bin: its state moves on, and a Condition for the alert's life comes out.

Nearly every bin is quiet: no alert is open, none opens, and the run that the bin would start ends with it. That is
seen first, and nothing is gathered or worked out for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import itemgetter

from streams.monitor import baseline as baselines
from streams.monitor import e_detector
from streams.monitor.bins import BIN_MS
from streams.monitor.lifecycle import Condition, severity_of
from streams.monitor.methods import read_bin as read_by_method
from streams.monitor.reading import Reading
from streams.monitor.rules import Rule
from streams.monitor.run import Tested, Usual, collect
from streams.monitor.state import RuleState, Run
from streams.monitor.tally import Ballot, Tally
from streams.monitor.usual import learn_lately, learn_unrest, margin, usual_share

_RECENT_HALF_LIFE_MS = 30 * 60_000
_RECENT_PER_VOTE = 0.85
"""Whether a rise is over is read off the votes of about the last half hour or off the last half a dozen, whichever is
more: by time alone a quiet company would never be seen to be back to usual."""
_RECENT_VOTES = 3.0
"""With less than this in sight nothing is said to be over."""


_HIGHEST_NULL_MEAN = 0.95

_LONGEST_RUN_MS = 2 * 86_400_000
"""A rise that has not fired within two days is taken for what is usual now. Otherwise a company whose alert can never
have the support that its rule asks for would keep the baseline of long ago for ever."""


def count_votes(start_ms: int, ballots: Sequence[Ballot], *, late: int) -> Tally:
    """Sum up a bin for the rules; see `Tally` for the arguments."""
    scores = [ballot.vote.negative for ballot in ballots if ballot.counts]
    return Tally(start_ms, start_ms + BIN_MS, ballots, scores, math.fsum(scores), e_detector.weighed(scores), late)


def usual_share_of(rule: Rule, state: RuleState) -> float:
    """Return what a rule takes for the usual share of the next bin, 0 to 1.

    A spike rule follows the last hours; a threshold rule, whose window may be hours itself, keeps to the level of days.
    """
    level = baselines.share(state.baseline, rule.baseline)
    return usual_share(state.lately, level) if rule.is_e_detector else level


def read_bin(rule: Rule, state: RuleState, tally: Tally, usual: float) -> Reading | None:
    """Step one rule over one closed bin, changing `state` in place; None where its alert is inactive and stays so.

    Args:
        rule: the rule.
        state: its memory of the entity.
        tally: the bin.
        usual: the usual share, from `usual_share_of`.
    """
    if rule.is_e_detector:
        return _read_e_detector(rule, state, tally, usual)
    if rule.is_share_threshold:
        return _read_threshold(rule, state, tally, usual)
    return read_by_method(rule, state, tally, usual)


def learn(rule: Rule, state: RuleState, tally: Tally, usual: float) -> None:
    """Let the baseline learn from a closed bin, after the alert's life has moved on.

    Votes of a run are held back until the run has come to nothing, and are forgotten once it has fired: the baseline
    stays what it was before, and still sees every vote of an ordinary day. An e-detector's run is held back only once
    there is some evidence (`e_detector.HOLD_LOG_E`): every other hour begins a run that comes to nothing. Bins that a
    seed has learned from (`streams.monitor.seeds`) count no second time. `usual` is what `read_bin` was given.
    """
    if state.life.state == "firing" or tally.end_ms <= state.seeded_until_ms:
        state.held_votes = state.held_negative = state.held_squares = 0.0
        return
    is_e_detector, scores = rule.is_e_detector, tally.scores
    votes, negative, squares = float(len(scores)), 0.0, 0.0
    if scores:
        negative = baselines.winsorised_at(usual, votes=len(scores), negative=tally.negative)
        if is_e_detector:
            squares = math.fsum([score * score for score in scores])
    if state.held_votes:
        votes += state.held_votes
        negative += state.held_negative
        squares += state.held_squares
    if state.run is not None and (not is_e_detector or state.log_e >= e_detector.HOLD_LOG_E):
        state.held_votes, state.held_negative, state.held_squares = votes, negative, squares
        return
    if not votes:
        return
    at_ms = tally.end_ms
    baselines.update(state.baseline, rule.baseline, votes=votes, negative=negative, at_ms=at_ms)
    if is_e_detector:
        learn_lately(state.lately, votes=votes, negative=negative, at_ms=at_ms)
        learn_unrest(state.unrest, votes=votes, negative=negative, squares=squares, usual=usual, at_ms=at_ms)
    if state.held_votes:
        state.held_votes = state.held_negative = state.held_squares = 0.0


def spend_evidence(rule: Rule, state: RuleState) -> None:
    """Start from nothing after an alert, after its end, and after one that a cooldown kept back.

    Without the reset at the end, what had gathered while it fired would raise the next alert on a handful of votes.
    """
    if rule.is_e_detector:
        state.log_e = e_detector.NOTHING


def after_end(state: RuleState) -> None:
    """Forget the run of an alert that is over."""
    state.run = None
    state.cusum = 0.0


def _supported(rule: Rule, run: Run, usual: float) -> tuple[bool, float]:
    effect = run.negative / run.votes - usual if run.votes else 0.0
    support = rule.min_support
    enough = support.supports(stories=run.votes, sources=len(run.sources), authors=len(run.authors))
    return enough and effect >= rule.effect_min, effect


def _read_e_detector(rule: Rule, state: RuleState, tally: Tally, usual: float) -> Reading | None:
    scores = tally.scores
    against = margin(rule.margin, state.unrest)
    null_mean = min(_HIGHEST_NULL_MEAN, usual + against)
    if scores:
        gained = e_detector.gain(tally.weight, len(scores), null_mean)
        waited_min = (tally.start_ms - state.voted_ms) / BIN_MS if state.voted_ms else 1.0
        state.voted_ms = tally.start_ms
        state.log_e = e_detector.step(state.log_e, gained, waited_min=waited_min)
        cusum = state.cusum + gained
        state.cusum = cusum if cusum > 0 else 0.0
    _recall(state, tally)
    inactive = state.life.state == "inactive"
    if inactive and state.cusum == 0 and state.run is None and state.log_e < rule.log_arl:
        return None
    run = collect(state, tally, [e_detector.term(score, null_mean) for score in scores])
    if state.life.state != "firing" and tally.start_ms - run.onset_ms > _LONGEST_RUN_MS:
        state.cusum = 0.0
        spend_evidence(rule, state)
    quiet = inactive and state.log_e < min(rule.log_pending, rule.log_arl)
    reading = None if quiet else _judge_e_detector(rule, state, run, Usual(usual, against), has_votes=bool(scores))
    if state.cusum == 0 and inactive:
        state.run = None  # nothing has begun: the onset lies ahead
    return reading


def _judge_e_detector(rule: Rule, state: RuleState, run: Run, against: Usual, *, has_votes: bool) -> Reading:
    usual, log_e = against.share, state.log_e
    supported, effect = _supported(rule, run, usual)
    recent = state.recent_negative / state.recent_votes if state.recent_votes >= _RECENT_VOTES else None
    return Reading(
        condition=Condition(
            opens=has_votes and state.cusum > 0 and log_e >= rule.log_pending and supported,
            holds=state.cusum > 0,
            fires=has_votes and log_e >= rule.log_arl and supported,
            calm=recent is not None and recent < usual + rule.resolve.margin,
            severity=severity_of(rule, effect=effect, stories=run.votes),
        ),
        log_e=log_e,
        threshold=rule.arl_minutes,
        against=against,
    )


def _recall(state: RuleState, tally: Tally) -> None:
    end_ms, votes = tally.end_ms, len(tally.scores)
    by_time = 0.5 ** ((end_ms - state.recent_ms) / _RECENT_HALF_LIFE_MS)
    keep = max(by_time, _RECENT_PER_VOTE**votes) if state.recent_ms else 0.0
    state.recent_votes = state.recent_votes * keep + votes
    state.recent_negative = state.recent_negative * keep + tally.negative
    state.recent_ms = end_ms


def _read_threshold(rule: Rule, state: RuleState, tally: Tally, usual: float) -> Reading | None:
    gte = rule.fire.gte if rule.fire.gte is not None else 1.0
    lower = rule.resolve.lt if rule.resolve.lt is not None else gte
    oldest = tally.end_ms - rule.window_ms
    window = state.window
    while window and window[0][0] < oldest:
        del window[0]
    start_ms = tally.start_ms - tally.start_ms % rule.window_step_ms
    if window and window[-1][0] == start_ms:
        _, votes, negative = window.pop()
        window.append((start_ms, votes + len(tally.scores), negative + tally.negative))
    else:
        window.append((start_ms, len(tally.scores), tally.negative))
    votes = sum(map(_VOTES, window))
    share = math.fsum(map(_NEGATIVE, window)) / votes if votes else 0.0
    inactive = state.life.state == "inactive"
    if inactive and state.run is None and share < gte and share < lower:
        return None
    # The evidence adds up P(negative) above the usual share; there are no bets here.
    run = collect(state, tally, [score - usual for score in tally.scores])
    quiet = inactive and share < gte
    tested = Tested(share=share, votes=votes, since_ms=oldest)
    reading = None if quiet else _judge_threshold(rule, run, tested, usual, gte=gte, lower=lower)
    if share < lower and inactive:
        state.run = None
    return reading


_VOTES, _NEGATIVE = itemgetter(1), itemgetter(2)


def _judge_threshold(rule: Rule, run: Run, tested: Tested, usual: float, *, gte: float, lower: float) -> Reading:
    supported, effect = _supported(rule, run, usual)
    reached = tested.share >= gte and supported and tested.votes >= rule.min_support.stories
    return Reading(
        condition=Condition(
            opens=reached,
            holds=tested.share >= lower,
            fires=reached,
            calm=tested.share < lower,
            severity=severity_of(rule, effect=effect, stories=run.votes),
        ),
        log_e=None,
        threshold=gte,
        against=Usual(usual, 0.0),
        tested=tested,
    )
