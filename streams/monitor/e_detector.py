"""The share e-detector: evidence against "the negative share is at most its usual level plus a margin".

After Shin, Ramdas and Rinaldo, "E-detectors: a nonparametric framework for sequential change detection" (2023): a
Shiryaev-Roberts sum of a betting e-process, here with a start for every minute and with evidence that fades. Over a
closed bin with votes p_1 .. p_n (P(negative)), `minutes` after the last bin with votes,

    E <- (E / 2^(minutes / FADE_HALF_LIFE_MIN) + min(minutes, LONGEST_WAIT_MIN)) prod_i (1 + A p_i) / (1 + A m0)

with A = ODDS - 1 and m0 = usual share + margin (`streams.monitor.usual`), both known before the bin. It fires at
E >= ARL in minutes, and starts from 0 then. A vote's factor is a likelihood ratio: the odds of a negative vote are
`ODDS` times those at m0. It is the bet 1 + b (p - m0) with b = A / (1 + A m0): always below 1 / m0, so that no vote can
bankrupt it, and the same rise for a company with 5 % as for one with 40 %.

What holds. While each vote's mean, given all that came before and the times of the votes, is at most m0, each factor
has mean at most 1, and fading only lowers E. So E less the minutes that were added is a supermartingale, and the
expected time until a false alarm is at least ARL, in minutes of the clock, whatever the distribution of the scores.

What does not. Nothing is promised of a share that really rises above m0, be it for a reason that no desk cares for: a
company whose share swings by more than its margin fires more often. And it is a bound on the mean time, not on each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from math import exp, log, log1p

VERSION = 2
"""Part of the version of every rule that uses it: raised when the same votes come to another e-value."""
ODDS = 5.0
"""The bet: the odds of a negative vote are these times what they are at the null mean. Mixed with others (3, 7) it
found as much, and raised more false alarms."""
FADE_HALF_LIFE_MIN = 45.0
"""Half-life of the evidence: the slow drift of an afternoon does not add up to what a surge brings in an hour."""
LONGEST_WAIT_MIN = 15.0
"""The minutes since the last bin count up to this many: a feed that was down has not been watched, and with an hour two
bots with four votes each raised an alarm at a company with two messages an hour."""
HOLD_LOG_E = 3.0
"""From this log evidence on, votes are held back from the baseline until the run is over. Below it they are learned at
once: held back at the first sign, the baseline would lag behind a drift and then take it for a surge."""

NOTHING = -math.inf
"""Log of the e-value before anything was seen."""
_A = ODDS - 1
_LARGEST_LOG = 700.0
"""exp overflows beyond; evidence this strong needs no more digits."""
_FADE = math.log(2.0) / FADE_HALF_LIFE_MIN


def weighed(scores: Sequence[float]) -> float:
    """Return what a bin's votes bring before the null mean is taken off, the same for all rules: sum of log(1 + A p).

    Args:
        scores: P(negative) of its effective votes, 0 to 1; [votes].
    """
    if len(scores) == 1:
        return log1p(_A * scores[0])
    return math.fsum([log1p(_A * score) for score in scores])


def gain(weight: float, votes: int, null_mean: float) -> float:
    """Log evidence of a bin's votes.

    Args:
        weight: what `weighed` says of them.
        votes: their number.
        null_mean: the largest mean that the null hypothesis allows, 0 to 1, known before the bin.
    """
    return weight - votes * log1p(_A * null_mean)


def term(negative: float, null_mean: float) -> float:
    """Log evidence of one vote; those of a bin add up to its `gain`.

    Args:
        negative: its P(negative), 0 to 1.
        null_mean: as in `gain`.
    """
    return log1p(_A * negative) - log1p(_A * null_mean)


def step(log_e: float, gained: float, *, waited_min: float) -> float:
    """Close one bin with votes and return the log of the e-value after it.

    Args:
        log_e: before it; `NOTHING` at first.
        gained: log evidence of its votes.
        waited_min: minutes since the last bin with votes, from start to start; 1 for the first one.
    """
    started = waited_min if waited_min < LONGEST_WAIT_MIN else LONGEST_WAIT_MIN
    kept = log_e - _FADE * waited_min
    grown = kept + log1p(started * exp(-kept)) if kept > 0 else log(started + exp(kept))
    stepped = grown + gained
    return stepped if stepped < _LARGEST_LOG else _LARGEST_LOG
