"""What is usual for a company right now, and how much its share swings: the null hypothesis of the share e-detector.

The usual share follows the last hours as far as they have votes, and the level of days (`streams.monitor.baseline`)
where they have not:

    usual = (S + RECENT_PRIOR_VOTES level) / (N + RECENT_PRIOR_VOTES)

with N votes and S their sum of P(negative), faded with a half-life of `RECENT_HALF_LIFE_H`: shrinkage as in an
empirical Bayes estimate (Efron and Morris 1975). News has mornings and afternoons, and only a level that goes along
lets the margin be small.

The margin follows the company's own unrest. Its history is cut into blocks of at least an hour and 20 votes. A block's
share lies off what was usual at its beginning, by chance and beyond: what the number of votes explains, s^2 / n, is
taken off the square (the method of moments for a variance between groups), and the remainder is averaged:

    V = (20 * 0.04^2 + sum_b k^b ((mean_b - usual_b)^2 - s_b^2 / n_b)) / (20 + sum_b k^b),    k = 2^(-1 / 80)
    margin = deviations sqrt(V), from `floor` to `ceiling`

Both are known before the bin that they are held against, which is all that the detector's bound asks of them
(`streams.monitor.e_detector`). That a share stays below usual + margin is no promise of theirs.
"""

from __future__ import annotations

import math

from streams.monitor.bins import BIN_MS, HOUR_MS
from streams.monitor.options import MarginOptions
from streams.monitor.state import Lately, Unrest

RECENT_HALF_LIFE_H = 6.0
RECENT_PRIOR_VOTES = 60.0
"""The level of days weighs as much as this many recent votes: about variance within over variance between hours."""

_BLOCK_MS = 60 * BIN_MS
_BLOCK_VOTES = 20.0
_PRIOR_VARIANCE = 0.04**2
_PRIOR_BLOCKS = 20.0
"""Until it is known, the share of an hour lies 0.04 (one deviation) off the usual one; that weighs as 20 blocks do."""
_BLOCK_KEEP = 0.5 ** (1 / 80)
"""Blocks fade with a half-life of 80 blocks."""
_HALF_LIFE_MS = RECENT_HALF_LIFE_H * HOUR_MS


def usual_share(lately: Lately, level: float) -> float:
    """Return the usual share, 0 to 1: recent votes shrunk to the level of days, as of the last bin learned from."""
    return (lately.negative + RECENT_PRIOR_VOTES * level) / (lately.votes + RECENT_PRIOR_VOTES)


def usual_votes(lately: Lately, level_votes: float) -> float:
    """Return as many votes as the usual share is worth, for its interval.

    With n recent votes and a level of v votes its variance is (n + 60^2 / v) / (n + 60)^2 of a single vote's, recent
    votes and level taken as independent.

    Args:
        lately: recent votes.
        level_votes: what the level of days rests on, its prior included; above 0.
    """
    total = lately.votes + RECENT_PRIOR_VOTES
    return total * total / (lately.votes + RECENT_PRIOR_VOTES**2 / level_votes)


def margin(options: MarginOptions | float, unrest: Unrest) -> float:
    """Return how far above the usual share is still nothing; a number stands for itself."""
    if isinstance(options, float):
        return options
    variance = (_PRIOR_VARIANCE * _PRIOR_BLOCKS + unrest.variance) / (_PRIOR_BLOCKS + unrest.blocks)
    found = options.deviations * math.sqrt(variance) if variance > 0 else 0.0
    if found < options.floor:
        return options.floor
    return found if found < options.ceiling else options.ceiling


def learn_lately(lately: Lately, *, votes: float, negative: float, at_ms: int) -> None:
    """Fade to `at_ms` and add votes.

    Args:
        lately: changed in place.
        votes: effective votes.
        negative: their sum of P(negative), winsorised.
        at_ms: end of the bin.
    """
    if lately.at_ms:
        keep = 0.5 ** ((at_ms - lately.at_ms) / _HALF_LIFE_MS)
        lately.votes *= keep
        lately.negative *= keep
    lately.at_ms = at_ms
    lately.votes += votes
    lately.negative += negative


def learn_unrest(unrest: Unrest, *, votes: float, negative: float, squares: float, usual: float, at_ms: int) -> None:
    """Add votes to the open block, which is closed when it has an hour and 20 votes.

    Args:
        unrest: changed in place.
        votes: effective votes, more than 0.
        negative: their sum of P(negative), winsorised.
        squares: their sum of P(negative) squared.
        usual: the usual share before them.
        at_ms: end of the bin.
    """
    if unrest.votes == 0.0:
        unrest.usual, unrest.began_ms = usual, at_ms
    unrest.votes += votes
    unrest.negative += negative
    unrest.squares += squares
    if unrest.votes < _BLOCK_VOTES or at_ms - unrest.began_ms < _BLOCK_MS:
        return
    mean = unrest.negative / unrest.votes
    by_chance = max(0.0, unrest.squares / unrest.votes - mean * mean) / unrest.votes
    strayed = mean - unrest.usual
    unrest.variance = unrest.variance * _BLOCK_KEEP + strayed * strayed - by_chance
    unrest.blocks = unrest.blocks * _BLOCK_KEEP + 1.0
    unrest.votes = unrest.negative = unrest.squares = 0.0
