"""What a rule measures of a company's votes: how much there is, how much of it is bad, and how bad it is on the whole.

Votes are effective stories: one per story, capped per author. A story counts as negative at P(negative) >= 0.5. The
sentiment of a story is P(positive) - P(negative), from -1 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from streams.monitor.tally import Ballot, Tally

Signal = Literal["negative_share", "negative_count", "volume", "mean_sentiment"]
NEGATIVE_FROM = 0.5


def is_count(signal: Signal) -> bool:
    """Whether it counts stories: what it is without votes is 0 then, and not unknown."""
    return signal in ("negative_count", "volume")


def of_story(signal: Signal, ballot: Ballot) -> float:
    """Return what one vote adds to the signal's sum."""
    vote = ballot.vote
    if signal == "volume":
        return 1.0
    if signal == "negative_count":
        return 1.0 if vote.negative >= NEGATIVE_FROM else 0.0
    return vote.positive - vote.negative if signal == "mean_sentiment" else vote.negative


def total_of(signal: Signal, tally: Tally) -> float:
    """Return the signal's sum over the votes of a bin."""
    if signal == "volume":
        return float(len(tally.scores))
    if signal == "negative_share":
        return tally.negative
    return math.fsum([of_story(signal, ballot) for ballot in tally.ballots if ballot.counts])


def value_of(signal: Signal, total: float, votes: int) -> float | None:
    """Return the signal, of a sum over so many votes; None for a mean of nothing."""
    if is_count(signal):
        return total
    return total / votes if votes else None


def gains(signal: Signal, ballots: Sequence[Ballot], *, upward: bool) -> list[float]:
    """Return what each vote gave to what a rule fires on, for the evidence; [votes].

    A mean of sentiment that is too low is the work of what is negative, so there the sign is turned.
    """
    found = [of_story(signal, ballot) for ballot in ballots if ballot.counts]
    return found if upward else [-gain for gain in found]
