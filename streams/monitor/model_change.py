"""A change of the model: scores of a new one are brought to the scale of those that a company's history is made of.

A promoted model may score everything higher or lower than the one before. Held against a share that is usual by the old
scores, the difference would look like a surge, at all companies at once. It is measured at each company alone, and not
over the fleet: a replay of one company must find what the live monitor found, and models differ by what is written of a
company.

With n votes of the new model, each e_i = p_i less the company's level by known models, what is taken off a vote before
any rule sees it is

    shift = (sum_i e_i + PRIOR_VOTES ALLOWED) / (n + PRIOR_VOTES),        p' = min(1, max(0, p - shift))

It is the posterior mean of the difference under the least favourable prior: that the new model scores higher than the
old one by as much as a promotion may make it. It is known before the votes that it is taken off. Let the difference be
d, at most `ALLOWED`, in the mean; then E[shift] = (n d + PRIOR_VOTES ALLOWED) / (n + PRIOR_VOTES) >= d at every n, so
that E[p'] is at most what it was by the old scores, and the null hypothesis of the e-detector
(`streams.monitor.e_detector`) holds in the mean from the first vote on. That the shift is an estimate costs about 0.03
at its worst (one deviation, near n = PRIOR_VOTES), which is less than a usual margin.

It costs power and does not end it: a surge is found later, as its votes count 0.2 lower at first and 0.03 at the end.
Votes of what may be a rise (evidence of `HOLD_LOG_E`, an alert that is pending) are held back from the estimate until
it has come to nothing, and are dropped if it fires: a surge must not become the model's excuse. What has been open for
`LONGEST_UNREST_MS` is no rise any longer. Rules on something else than scores have no say in it, nor has novelty: its
alert is one vote, and an estimate that leaves out the worst votes is too low.

After `WARM_VOTES` the difference is taken for known, d' = sum e_i / n. If the model came in the place of others, what
all rules have learned is moved by d', and votes count as they are from then on. If others go on scoring (a model for
another language), nothing is moved: it is one of the company's models now. That is read off the last `LATELY_VOTES` or
so, as a promotion takes its time; while others become fewer and fewer, the answer waits.

Counts of negative stories and means of sentiment (`negative_count`, `mean_sentiment`) cannot be moved: what such rules
have learned, and what is in their windows, begins anew. A volume is no score, and stays.

What is not covered: a model that is off by more than `ALLOWED` may fire before it is known. A company with little
history has nothing that could be off, and takes a new model as it comes. Votes of the first tier (`degraded`) are none
of this: it comes and goes. Novelty holds a single story against a bound and not against a history, and what is taken
off to be on the safe side would silence it at the quiet companies that it is for: it reads scores as they were given,
and a model that scores higher brings it more stories. Whatever is counted (`negative_count`) is on scale, and counted
sparingly until the model is known.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from streams.monitor.bins import DAY_MS
from streams.monitor.e_detector import HOLD_LOG_E
from streams.monitor.model_states import Arrival, Scale
from streams.monitor.rules import Rule
from streams.monitor.state import EntityState, RuleState, Unrest, Vote
from streams.monitor.tally import Ballot
from streams.records import ModelChange

ALLOWED = 0.2
"""How much higher a new model may score in the mean without an alarm from the first vote on."""
PRIOR_VOTES = 20.0
"""The prior weighs as much as so many votes of the new model."""
WARM_VOTES = 100.0
"""After so many the difference is known well enough: to 0.025 (one deviation), if scores have one of 0.25."""
LEAST_VOTES = 20.0
"""With fewer votes of its own a company has no level to hold a model against."""
HALF_LIFE_DAYS = 5.0
"""Of the level."""
MOST_ARRIVING = 4
MOST_KNOWN = 8
REPLACED_BELOW = 0.25
"""A model with fewer votes of others lately than this share of its own came in their place."""
LATELY_VOTES = 50.0
"""Who still scores is read off about so many votes."""
FADING_BELOW = 0.75
"""Models whose part lately is below this share of their part in the whole warm-up are on their way out."""
LONGEST_WARM_VOTES = 300.0
"""For no longer than this is it waited for."""
GONE_BELOW = 1e-9
"""A new model without a vote among about the last thousand (`LATELY_VOTES` log 1 / this) is forgotten: it was the last
word of one that was replaced."""
LONGEST_UNREST_MS = DAY_MS
"""An alert that has been open for longer holds nothing back: what goes on is what is usual now."""


def shift_of(arrival: Arrival) -> float:
    """Return what is taken off a new model's P(negative)."""
    return (arrival.excess + PRIOR_VOTES * ALLOWED) / (arrival.votes + PRIOR_VOTES)


def on_scale(state: EntityState, votes: Sequence[Vote]) -> Sequence[Vote]:
    """Return a bin's votes on the scale of the company's known models; the same votes if all models are known.

    Args:
        state: changed in place where a model is new.
        votes: in order of (time, id).
    """
    scale = state.scale
    if scale is None:
        scale = state.scale = Scale()
    models = scale.models
    for vote in votes:
        if vote.model not in models and not vote.degraded:
            return [_scaled(scale, vote) for vote in votes]
    return votes


def _scaled(scale: Scale, vote: Vote) -> Vote:
    model = vote.model
    if vote.degraded or model in scale.models:
        return vote
    arrival = scale.arriving.get(model)
    if arrival is None:
        if scale.votes < LEAST_VOTES:
            _know(scale, model)
            return vote
        arrival = scale.arriving[model] = Arrival()
        if len(scale.arriving) > MOST_ARRIVING:
            del scale.arriving[min(scale.arriving, key=lambda name: (name == model, scale.arriving[name].votes, name))]
    negative = min(1.0, max(0.0, vote.negative - shift_of(arrival)))
    return msgspec.structs.replace(vote, negative=round(negative, 6), unscaled=vote.negative)


def _know(scale: Scale, model: str) -> None:
    scale.models = (*scale.models, model)[-MOST_KNOWN:]


def learn_scale(
    state: EntityState, rules: Sequence[Rule], scored: Sequence[Vote], ballots: Sequence[Ballot], *, at_ms: int
) -> None:
    """Learn from a closed bin, after its rules have; where a new model has become known, move what they have learned.

    Args:
        state: changed in place.
        rules: those in force; each has its memory.
        scored: the bin's votes as they were scored.
        ballots: the same, on scale.
        at_ms: end of the bin.
    """
    scale = state.scale
    if scale is None:
        return
    rising, firing = _unrest(state, rules, at_ms)
    if not scale.arriving:
        if not firing and (not rising or scale.votes < LEAST_VOTES):  # to a new company its own usual share is a rise
            counted = [vote.negative for vote, ballot in zip(scored, ballots, strict=True) if _says(vote, ballot)]
            _learn_level(scale, counted, at_ms)
        return
    level = scale.negative / scale.votes
    known: list[float] = []
    scoring: dict[str, int] = {}
    for vote, ballot in zip(scored, ballots, strict=True):
        if not _says(vote, ballot):
            continue
        arrival = scale.arriving.get(vote.model)
        if arrival is None:
            known.append(vote.negative)
            continue
        scoring[vote.model] = scoring.get(vote.model, 0) + 1
        arrival.held_votes += 1
        arrival.held_excess += vote.negative - level
        arrival.held_taken += vote.negative - ballot.vote.negative
    for model, arrival in sorted(scale.arriving.items()):
        _see_who_scores(arrival, own=scoring.get(model, 0), others=len(known))
        if arrival.lately < GONE_BELOW and arrival.others_lately > LEAST_VOTES:
            scale.arriving.pop(model, None)
            continue
        arrival.held_others += len(known)
        _release(arrival, rising=rising, firing=firing)
        if rising or arrival.votes < WARM_VOTES or model not in scale.arriving:
            continue
        replaces = _replaces(arrival)
        if replaces is not None:
            _finish(state, scale, rules, model, arrival, replaces=replaces)
    if known and not rising and not firing:
        _learn_level(scale, known, at_ms)


def _says(vote: Vote, ballot: Ballot) -> bool:
    """Whether a vote says anything of a model: it counts, and is none of the first tier's."""
    return ballot.counts and not vote.degraded


def _unrest(state: EntityState, rules: Sequence[Rule], at_ms: int) -> tuple[bool, bool]:
    """Whether by a rule on scores there may be a rise, and whether one has fired or would but for a cooldown."""
    rising = firing = False
    for rule in rules:
        memory = state.rules[rule.alert]
        life = memory.life
        if life.state == "inactive":
            if memory.run is not None and memory.log_e >= HOLD_LOG_E:
                rising = True
        elif _is_on_scores(rule) and at_ms - max(life.opened_ms, life.fired_ms) < LONGEST_UNREST_MS:
            rising = True
            if life.state != "pending":
                firing = True
    return rising, firing


def _is_on_scores(rule: Rule) -> bool:
    return rule.signal != "volume" and rule.type != "composite" and rule.type != "novelty"


def _learn_level(scale: Scale, counted: Sequence[float], at_ms: int) -> None:
    if not counted:
        return
    if scale.at_ms:
        keep = 0.5 ** ((at_ms - scale.at_ms) / (HALF_LIFE_DAYS * DAY_MS))
        scale.votes *= keep
        scale.negative *= keep
    scale.at_ms = at_ms
    scale.votes += len(counted)
    scale.negative += sum(counted)


def _see_who_scores(arrival: Arrival, *, own: int, others: int) -> None:
    """Count all votes, those of a rise too: who scores does not depend on what is scored."""
    keep = (1 - 1 / LATELY_VOTES) ** (own + others)
    arrival.lately = arrival.lately * keep + own
    arrival.others_lately = arrival.others_lately * keep + others


def _replaces(arrival: Arrival) -> bool | None:
    """Whether a model came in the place of the known ones, and not beside them; None while that is not to be told."""
    own, others = arrival.lately, arrival.others_lately
    if own + others < LEAST_VOTES:
        return None
    if others < REPLACED_BELOW * own:
        return True
    fading = others * arrival.votes < FADING_BELOW * arrival.others * own
    return None if fading and arrival.votes < LONGEST_WARM_VOTES else False


def _release(arrival: Arrival, *, rising: bool, firing: bool) -> None:
    """Count what was held back if there is no rise, and drop it if there was one."""
    if rising and not firing:
        return
    if not firing:
        arrival.votes += arrival.held_votes
        arrival.excess += arrival.held_excess
        arrival.taken += arrival.held_taken
        arrival.others += arrival.held_others
    arrival.held_votes = arrival.held_excess = arrival.held_taken = arrival.held_others = 0.0


def _finish(
    state: EntityState, scale: Scale, rules: Sequence[Rule], model: str, arrival: Arrival, *, replaces: bool
) -> None:
    del scale.arriving[model]
    if not replaces:
        _know(scale, model)
        return
    by = arrival.excess / arrival.votes
    for rule in rules:
        memory = state.rules.get(rule.alert)
        if memory is not None:
            _move(rule, memory, by, arrival)
    scale.models = (model,)
    scale.negative = _within(scale.negative + by * scale.votes, scale.votes)
    scale.arriving.clear()  # what else is new was held against the level of before


def _within(negative: float, votes: float) -> float:
    return min(max(0.0, negative), votes)


def _move(rule: Rule, memory: RuleState, by: float, arrival: Arrival) -> None:
    """Bring what a rule has learned to the new model's scale: old votes by the difference that was measured, those of
    the warm-up by what had been taken off them.
    """
    mean_taken = arrival.taken / arrival.votes
    level, lately = memory.baseline, memory.lately
    for past in (level, lately):
        recent = min(arrival.votes, past.votes)
        moved = by * (past.votes - recent) + mean_taken * recent
        if past is level:
            moved += by * rule.baseline.prior_votes
        past.negative = _within(past.negative + moved, past.votes)
    unrest = memory.unrest
    memory.unrest = Unrest(variance=unrest.variance, blocks=unrest.blocks)
    memory.recent_negative = _within(memory.recent_negative + mean_taken * memory.recent_votes, memory.recent_votes)
    memory.held_negative = _within(memory.held_negative + mean_taken * memory.held_votes, memory.held_votes)
    if rule.signal == "negative_share":
        memory.window = [
            (start_ms, votes, _within(negative + mean_taken * votes, votes))
            for start_ms, votes, negative in memory.window
        ]
    elif rule.signal != "volume":  # how many would have counted, or how negative they were, is not known of a sum
        memory.window = []
        memory.counting = memory.scoring = None


def change_of(state: EntityState) -> ModelChange | msgspec.UnsetType:
    """Return what an alert says of a model that is new here; of several, the one with the most votes."""
    scale = state.scale
    if scale is None or not scale.arriving:
        return msgspec.UNSET
    model, arrival = max(scale.arriving.items(), key=lambda item: (item[1].votes, item[0]))
    return ModelChange(
        model=model,
        before=scale.models,
        votes=int(arrival.votes + arrival.held_votes),
        needed=int(WARM_VOTES),
        taken_off=round(shift_of(arrival), 4),
    )
