"""When a receiver may be called at all: a circuit breaker, and the pause that a receiver asks for. Pure.

    closed --so many failures in a row--> open --after a while--> half-open: one probe
       ^                                    ^                          |
       +----------- it succeeds ------------+------- it fails ---------+

One circuit serves all alerts of a receiver: what is down for one alert is down for all, and is called by one of them
until it is back. A refusal is an answer: the receiver lives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["closed", "open", "half-open"]

_MOST_DOUBLINGS = 16


@dataclass(frozen=True, slots=True)
class CircuitOptions:
    """Bounds of a circuit."""

    open_after: int = 5
    """Failures in a row that open it."""
    open_for_s: float = 10.0
    """How long it stays open at first; twice as long after each probe that fails."""
    most_open_for_s: float = 60.0
    probe_wait_s: float = 1.0
    """How long others wait before they ask again whether a probe has succeeded."""


class Circuit:
    """Says when a receiver may be called. Who was let through reports exactly once what came of it.

    Args:
        options: its bounds.
    """

    def __init__(self, options: CircuitOptions | None = None) -> None:
        self._options = options or CircuitOptions()
        self._state: State = "closed"
        self._failures = 0
        self._openings = 0
        self._open_until_s = 0.0
        self._held_until_s = 0.0

    @property
    def state(self) -> State:
        """Where it stands."""
        return self._state

    def ask(self, now_s: float) -> float:
        """Return 0 if the receiver may be called now, otherwise after how many seconds to ask again.

        Args:
            now_s: a clock that only goes forward.
        """
        if now_s < self._held_until_s:
            return self._held_until_s - now_s
        if self._state == "closed":
            return 0.0
        if self._state == "half-open":
            return self._options.probe_wait_s
        if now_s < self._open_until_s:
            return self._open_until_s - now_s
        self._state = "half-open"
        return 0.0

    def succeeded(self) -> None:
        """The receiver answered."""
        self._state = "closed"
        self._failures = self._openings = 0

    def failed(self, now_s: float, *, after_s: float = 0.0) -> None:
        """The receiver could not be reached, or asked for patience.

        Args:
            now_s: a clock that only goes forward.
            after_s: how long it asked to be left alone.
        """
        self._failures += 1
        self._held_until_s = max(self._held_until_s, now_s + after_s)
        if self._state == "half-open" or (self._state == "closed" and self._failures >= self._options.open_after):
            doubled = self._options.open_for_s * 2 ** min(self._openings, _MOST_DOUBLINGS)
            self._open_until_s = now_s + min(doubled, self._options.most_open_for_s)
            self._openings += 1
            self._state = "open"

    def abandoned(self) -> None:
        """Nothing is known of the call: its task was cancelled, or broke. The next one who asks may probe."""
        if self._state == "half-open":
            self._state = "open"
