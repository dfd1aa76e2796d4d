"""The run: what came in since the onset, gathered vote by vote, and the Evidence made of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from streams.monitor import baseline as baselines
from streams.monitor.bins import from_ms
from streams.monitor.rules import Rule
from streams.monitor.state import SET_LIMIT, TOP_STORIES, RuleState, Run, StoryItem, Vote
from streams.monitor.tally import Ballot, Tally
from streams.monitor.usual import usual_votes
from streams.records import Baseline, Counterfactual, Evidence, EvidenceMessage, Measure, ModelChange, Observed, Quality

TEXT_CHARS = 280
"""An alert shows this much of a message."""
_KEPT_CHARS = TEXT_CHARS + 1
"""A run keeps this much, which shows whether there was more."""
_MINUTES_PER_DAY = 1440


@dataclass(frozen=True, slots=True)
class Tested:
    """The window that a threshold rule looked at: what it tested is what its alert must show."""

    share: float
    votes: int
    since_ms: int


@dataclass(frozen=True, slots=True)
class Usual:
    """What a rule held a bin against: the share that is usual, and how far above it is still nothing."""

    share: float
    margin: float
    """0 for a rule without one."""


def collect(state: RuleState, tally: Tally, gains: Sequence[float], *, ballots: Sequence[Ballot] | None = None) -> Run:
    """Add a bin to the run, which it may begin.

    Args:
        state: changed in place.
        tally: the bin.
        gains: log evidence of its effective votes; [votes].
        ballots: those of the bin that are gathered; without them all.
    """
    run = state.run
    if run is None:
        run = state.run = Run(onset_ms=tally.start_ms)
    run.late += tally.late
    counted = iter(gains)
    for ballot in tally.ballots if ballots is None else ballots:
        counts = ballot.counts
        gather(run, ballot.vote, ballot.story, copy=ballot.copy, counts=counts, gain=next(counted) if counts else 0.0)
    return run


def gather(run: Run, vote: Vote, story: str, *, copy: bool, counts: bool, gain: float) -> None:
    """Add one mention of a closed bin.

    Args:
        run: changed in place.
        vote: the mention.
        story: its story.
        copy: an earlier message of the story is known.
        counts: it is an effective vote: no copy, and its author has a vote left.
        gain: its log evidence; used if it counts.
    """
    run.messages += 1
    if vote.truncated:
        run.truncated += 1
    if vote.clamped:
        run.clamped += 1
    if vote.degraded:
        run.degraded += 1
    run.models.add(vote.model)
    if copy:
        for item in run.top:
            if item.story == story:
                item.copies += 1
        return
    if not counts:
        run.capped += 1
        return
    run.votes += 1
    run.negative += vote.negative
    if len(run.sources) < SET_LIMIT:
        run.sources.add(vote.source)
    if vote.author is not None and len(run.authors) < SET_LIMIT:
        run.authors.add(vote.author)
    run.gain += gain
    run.topics[vote.topic] = run.topics.get(vote.topic, 0.0) + gain
    if len(vote.text) > _KEPT_CHARS:
        vote = msgspec.structs.replace(vote, text=vote.text[:_KEPT_CHARS])
    run.top.append(StoryItem(story=story, vote=vote, gain=gain))
    if len(run.top) > TOP_STORIES:
        _drop_weakest(run.top)


def _drop_weakest(top: list[StoryItem]) -> None:
    """Of equally weak ones the latest goes, then the one with the smallest story."""
    least = min([item.gain for item in top])
    weakest = [number for number, item in enumerate(top) if item.gain == least]
    del top[min(weakest, key=lambda number: (-top[number].vote.at_ms, top[number].story))]


def build_evidence(
    rule: Rule,
    state: RuleState,
    run: Run,
    *,
    at_ms: int,
    against: Usual,
    log_e: float | None,
    threshold: float,
    tested: Tested | None = None,
    measure: Measure | None = None,
    in_words: str | None = None,
    signal: str | None = None,
    change: ModelChange | msgspec.UnsetType = msgspec.UNSET,
) -> Evidence:
    """Say why, from the run up to `at_ms`.

    Args:
        rule: the rule that speaks.
        state: its state, for what the baseline rests on.
        run: what came in since the onset.
        at_ms: end of the bin that caused the transition.
        against: what that bin was held against.
        log_e: log of the e-value; None for a rule without one.
        threshold: what the e-value (minutes to a false alarm in the mean), or the share, had to reach.
        tested: the window that a threshold rule tested; None where the run itself was tested.
        measure: what a rule on something else than the share measured.
        in_words: how unusual it is; without it as the e-value says.
        signal: what was measured; without it the rule's signal.
        change: a model that is new at the company.
    """
    if tested is None:
        tested = Tested(run.negative / run.votes if run.votes else 0.0, run.votes, run.onset_ms)
    usual = against.share
    rests_on = state.baseline.votes + rule.baseline.prior_votes
    if rule.is_e_detector:
        rests_on = usual_votes(state.lately, rests_on)
    warm = baselines.is_warm(state.baseline, rule.baseline)
    low, high = baselines.interval(tested.share, tested.votes)
    usual_low, usual_high = baselines.interval(usual, rests_on)
    ranked = sorted(run.top, key=lambda item: (-item.gain, item.vote.at_ms, item.story))
    return Evidence(
        signal=signal or rule.signal,
        observed=Observed(
            share=rounded(tested.share),
            low=rounded(low),
            high=rounded(high),
            votes=float(tested.votes),  # as a restored state has it, or the same alert would be other bytes
            messages=run.messages,
            stories=tested.votes,
            sources=len(run.sources),
            authors=len(run.authors),
            window_start=from_ms(tested.since_ms),
            window_end=from_ms(at_ms),
        ),
        baseline=Baseline(
            share=rounded(usual),
            low=rounded(usual_low),
            high=rounded(usual_high),
            margin=rounded(against.margin),
            votes=rounded(state.baseline.votes),
            warm=warm,
        ),
        e_value=None if log_e is None else rounded(math.exp(log_e)),
        threshold=threshold,
        in_words=_in_words(log_e) if in_words is None else in_words,
        onset=from_ms(run.onset_ms),
        delay_s=(at_ms - run.onset_ms) / 1000,
        topics=_topic_shares(run),
        counterfactual=_without_the_strongest(rule, run, ranked, log_e=log_e, threshold=threshold, usual=usual),
        messages=tuple(_shown(item, run.gain) for item in ranked),
        quality=Quality(
            late=run.late,
            truncated=run.truncated,
            clamped=run.clamped,
            capped=run.capped,
            warm=warm,
            degraded=run.degraded or msgspec.UNSET,
            model_change=change,
        ),
        measure=measure or msgspec.UNSET,
    )


def rounded(value: float) -> float:
    """Six significant digits: more is noise, and reads badly."""
    return float(f"{value:.6g}")


def _topic_shares(run: Run) -> dict[str, float]:
    if run.gain <= 0:
        return {}
    shares = {topic: gain / run.gain for topic, gain in run.topics.items()}
    return {topic: rounded(value) for topic, value in sorted(shares.items(), key=lambda kv: (-kv[1], kv[0]))}


def _without_the_strongest(
    rule: Rule,
    run: Run,
    ranked: Sequence[StoryItem],
    *,
    log_e: float | None,
    threshold: float,
    usual: float,
) -> Counterfactual | None:
    """Take the strongest story's log evidence off the e-value, and the story off the support that the rule needs.

    What was usual stays what it was held against. Every start of the sum that the story has a part in has its factor
    once, so that without it the e-value is no less than this; what started after it is taken down too. "Would still
    fire" errs on the side of no.
    """
    if log_e is None or not ranked:
        return None
    e_value = math.exp(log_e - max(0.0, ranked[0].gain))
    left = run.votes - 1
    effect = (run.negative - ranked[0].vote.negative) / left - usual if left else 0.0
    supported = left >= rule.min_support.stories and effect >= rule.effect_min
    return Counterfactual(e_value=rounded(e_value), fires=supported and e_value >= threshold)


def _shown(item: StoryItem, total: float) -> EvidenceMessage:
    vote = item.vote
    text = vote.text if len(vote.text) <= TEXT_CHARS else vote.text[: TEXT_CHARS - 1].rstrip() + "…"
    return EvidenceMessage(
        message_id=vote.message_id,
        text=text,
        source=vote.source,
        published_at=from_ms(vote.at_ms),
        negative=vote.negative,
        contribution=rounded(item.gain / total) if total > 0 else 0.0,
        copies=item.copies,
        story=item.story,
        topic=vote.topic,
        author=vote.author,
        title=vote.title,
        url=vote.url,
    )


def _in_words(log_e: float | None) -> str:
    """The e-detector's bound as a sentence: by chance, an e-value of n comes at most once in n minutes in the mean."""
    if log_e is None:
        return "a plain threshold was passed; no statement about chance"
    days = math.exp(log_e) / _MINUTES_PER_DAY
    if days < 1.5:
        return "by chance, a rise like this may come every day or so at this company"
    if days < 365:
        return f"by chance, a rise like this comes at most once in about {days:.0f} days at this company"
    years = days / 365.25
    if years >= 100:
        return "by chance, a rise like this comes at most once in more than 100 years at this company"
    span = "a year" if years < 1.5 else f"{years:.0f} years"
    return f"by chance, a rise like this comes at most once in about {span} at this company"
