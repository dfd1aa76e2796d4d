"""How long to wait between attempts, and when to give up. Pure.

Exponential back-off with full jitter: each pause is drawn from zero to a bound that doubles, so that many alerts that
failed together do not come back together (Marc Brooker, "Exponential Backoff And Jitter", 2015).
"""

from __future__ import annotations

from dataclasses import dataclass

_MOST_DOUBLINGS = 16
RETRY_FOR_S = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class Patience:
    """Bounds of retrying."""

    retry_for_s: float = RETRY_FOR_S
    """An alert is tried until it is this old, and once at least."""
    first_wait_s: float = 1.0
    """Bound of the first pause; each further one is twice as long."""
    most_wait_s: float = 60.0
    """Longest pause of Squall's own choice."""
    most_retry_after_s: float = 900.0
    """Longest pause that a receiver can ask for."""


def pause_s(patience: Patience, attempt: int, luck: float, *, after_s: float = 0.0) -> float:
    """Return how long to wait after an attempt that failed.

    Args:
        patience: bounds.
        attempt: 1 for the first.
        luck: a random number, 0 to 1.
        after_s: what the receiver asked for.
    """
    doubled = patience.first_wait_s * float(2 ** min(attempt - 1, _MOST_DOUBLINGS))
    bound = min(patience.most_wait_s, doubled)
    return max(luck * bound, min(after_s, patience.most_retry_after_s))


def gives_up(patience: Patience, *, age_s: float, pause_s: float) -> bool:
    """Whether an alert would be too old for another attempt.

    Args:
        patience: bounds.
        age_s: time since the alert was written.
        pause_s: the pause before that attempt.
    """
    return age_s + pause_s > patience.retry_for_s
