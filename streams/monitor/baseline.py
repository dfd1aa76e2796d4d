"""What an entity's own history explains: a discounted Beta of its negative share.

Old votes fade with a half-life, so the state is two numbers however long the history. A prior stands in until there
is history of its own. What comes in while a rise may be under way is held back until it is known to have been none
(`streams.monitor.detect.learn`), or a long incident would become its own excuse.
"""

from __future__ import annotations

import math

from streams.monitor.bins import DAY_MS
from streams.monitor.options import BaselineOptions
from streams.monitor.state import BaselineState

_WINSOR_EFFECT = 0.3
_WINSOR_DEVIATIONS = 3.0
"""A bin's mean share counts at most this far above the baseline: by this share, or by this many standard deviations of
a mean of so many votes, whichever is more. A fixed share alone would cut nearly every bin of a single vote."""


def share(state: BaselineState, options: BaselineOptions) -> float:
    """Posterior mean of the negative share, 0 to 1."""
    total = options.prior_votes + state.votes
    return (options.prior_share * options.prior_votes + state.negative) / total


def is_warm(state: BaselineState, options: BaselineOptions) -> bool:
    """Whether the baseline rests on enough votes of its own."""
    return state.votes >= options.warm_votes


def winsorised(state: BaselineState, options: BaselineOptions, *, votes: int, negative: float) -> float:
    """Return a bin's sum of P(negative), cut down to what the baseline may learn from so many votes."""
    return winsorised_at(share(state, options), votes=votes, negative=negative)


def winsorised_at(usual: float, *, votes: int, negative: float) -> float:
    """The same as `winsorised`, the usual share being known."""
    if not votes:
        return 0.0
    if negative <= (usual + _WINSOR_EFFECT) * votes:
        return negative  # what the deviations allow is no less
    spread = _WINSOR_DEVIATIONS * math.sqrt(usual * (1 - usual) / votes)
    return min(negative, (usual + max(_WINSOR_EFFECT, spread)) * votes)


def update(state: BaselineState, options: BaselineOptions, *, votes: float, negative: float, at_ms: int) -> None:
    """Fade what is known to `at_ms` and add votes.

    Args:
        state: changed in place.
        options: how the baseline learns.
        votes: effective votes.
        negative: their sum of P(negative), winsorised.
        at_ms: end of the bin.
    """
    if state.at_ms:
        keep = 0.5 ** ((at_ms - state.at_ms) / (options.half_life_days * DAY_MS))
        state.votes *= keep
        state.negative *= keep
    state.at_ms = at_ms
    state.votes += votes
    state.negative += negative


def interval(share_: float, votes: float, *, z: float = 1.6449) -> tuple[float, float]:
    """Wilson's score interval of a share (Wilson 1927), by default at 90 %; (0, 1) without votes."""
    if votes <= 0:
        return 0.0, 1.0
    z2 = z * z
    centre = (share_ + z2 / (2 * votes)) / (1 + z2 / votes)
    half = z / (1 + z2 / votes) * math.sqrt(share_ * (1 - share_) / votes + z2 / (4 * votes * votes))
    return max(0.0, centre - half), min(1.0, centre + half)
