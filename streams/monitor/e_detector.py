"""The share e-detector: evidence against "the negative share is at most its baseline plus a margin".

After Shin, Ramdas and Rinaldo, "E-detectors: a nonparametric framework for sequential change detection" (2023): the
Shiryaev-Roberts sum of a betting e-process, mixed over a few bets. Under the null, and whatever the distribution of
the scores, the average run length until `e_value >= threshold` is at least `threshold` steps. A step is a closed bin
with votes, so in minutes of clock time the run is longer still.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from math import exp, log1p

BETS = (0.4, 0.8, 1.4)
"""Small bets find small rises with many votes, large bets find large rises with few."""
_HIGHEST_BET = max(BETS)
ONSET_BET = 1
"""Index into BETS of the bet whose CUSUM estimates the onset."""
_LARGEST_LOG = 700.0
"""exp overflows beyond; evidence this strong needs no more digits."""

Terms = tuple[float, ...]
"""Log evidence per bet; [bets]."""


def fresh() -> list[float]:
    """Return the state of a detector that has seen nothing: log of the e-value per bet; [bets]."""
    return [-math.inf] * len(BETS)


def terms(negative: float, null_mean: float) -> Terms:
    """Log evidence of one vote, per bet.

    Args:
        negative: P(negative) of the vote, 0 to 1.
        null_mean: the largest mean that the null hypothesis allows, above 0 and below 1.

    Returns:
        log(1 + bet (negative - null_mean)) for each bet; a bet is held below 1 / null_mean, or one vote could
        bankrupt it.
    """
    largest, excess = 0.95 / null_mean, negative - null_mean
    if largest >= _HIGHEST_BET:
        return tuple([log1p(bet * excess) for bet in BETS])
    return tuple([log1p(min(bet, largest) * excess) for bet in BETS])


def step(logs: Sequence[float], votes: Sequence[Terms]) -> list[float]:
    """Close one bin: L <- log(1 + exp L) + the log evidence of its votes.

    Args:
        logs: state before; [bets].
        votes: log evidence of each effective vote of the bin; [votes, bets].
    """
    gains = votes[0] if len(votes) == 1 else [math.fsum(vote[k] for vote in votes) for k in range(len(logs))]
    stepped = [
        (log + log1p(exp(-log)) if log > 0 else log1p(exp(log))) + gain for log, gain in zip(logs, gains, strict=True)
    ]
    return stepped if max(stepped) <= _LARGEST_LOG else [min(_LARGEST_LOG, log) for log in stepped]


def log_e_value(logs: Sequence[float]) -> float:
    """Log of the mean over the bets."""
    top = max(logs)
    if top == -math.inf:
        return -math.inf
    return top + math.log(math.fsum(math.exp(log - top) for log in logs) / len(logs))


def bet_weights(logs: Sequence[float]) -> Terms:
    """Each bet's part of the e-value, adding up to 1: how single votes' terms are mixed for attribution."""
    top = max(logs)
    if top == -math.inf:
        return tuple(1 / len(logs) for _ in logs)
    parts = [math.exp(log - top) for log in logs]
    total = math.fsum(parts)
    return tuple(part / total for part in parts)
