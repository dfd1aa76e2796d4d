"""The rules that people usually write, to be held beside ours on the same stream.

Both count messages, copies and all, and know nothing of a company's usual share. To be fair they get our cooldown:
without it they would fire at every message of an incident.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

WINDOW = timedelta(hours=1)
COOLDOWN = timedelta(hours=12)
NEGATIVE = 0.5
"""A message counts as negative above this P(negative)."""


class Firing(NamedTuple):
    """An alarm of one of these rules."""

    entity: str
    at: datetime


class UsualRule(Protocol):
    """A rule that is fed messages in order of time."""

    name: str
    firings: list[Firing]

    def feed(self, entity: str, at: datetime, negative: float) -> None:
        """Take one message."""
        ...


@dataclass
class _Seen:
    """What a rule remembers of a company."""

    last_hour: deque[tuple[datetime, bool]] = field(default_factory=deque)
    hour_before: deque[datetime] = field(default_factory=deque)
    fired: datetime | None = None


class _Cooled:
    def __init__(self) -> None:
        self.firings: list[Firing] = []
        self._seen: dict[str, _Seen] = {}

    def _fire(self, seen: _Seen, entity: str, at: datetime) -> None:
        if seen.fired is None or at - seen.fired >= COOLDOWN:
            seen.fired = at
            self.firings.append(Firing(entity, at))


class NaiveShare(_Cooled):
    """At least 60 % of the last hour's messages are negative, and there are five or more."""

    name = "share of the last hour >= 60 %, n >= 5"

    def feed(self, entity: str, at: datetime, negative: float) -> None:
        """Take one message."""
        seen = self._seen.setdefault(entity, _Seen())
        hour = seen.last_hour
        hour.append((at, negative > NEGATIVE))
        while at - hour[0][0] > WINDOW:
            hour.popleft()
        bad = sum(is_bad for _, is_bad in hour)
        if len(hour) >= 5 and bad >= 0.6 * len(hour):
            self._fire(seen, entity, at)


class Spike(_Cooled):
    """Three times as many negative messages in the last hour as in the hour before, and five or more: ElastAlert's
    `spike` with `spike_height: 3`, `spike_type: up`, `threshold_cur: 5` and `threshold_ref: 1`.
    """

    name = "negative messages x3 of the hour before, n >= 5"

    def feed(self, entity: str, at: datetime, negative: float) -> None:
        """Take one message."""
        if negative <= NEGATIVE:
            return
        seen = self._seen.setdefault(entity, _Seen())
        hour, before = seen.last_hour, seen.hour_before
        hour.append((at, True))
        while at - hour[0][0] > WINDOW:
            before.append(hour.popleft()[0])
        while before and at - before[0] > 2 * WINDOW:
            before.popleft()
        if len(hour) >= 5 and before and len(hour) >= 3 * len(before):
            self._fire(seen, entity, at)
