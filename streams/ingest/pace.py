"""The pace of history: when something that happened is due again, at the original speed or at a multiple of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta


class Pace:
    """When an event is due, counted from the first one.

    Args:
        speed: 1.0 is the original pace, 60.0 an hour a minute; None is as fast as possible.
        started: the clock's seconds at the start; the first event moves it to when that came.
    """

    def __init__(self, speed: float | None, started: float) -> None:
        self._speed = speed
        self._started = started
        self._origin: datetime | None = None

    def delay_s(self, event_time: datetime, now: float) -> float:
        """Seconds until an event is due; not above 0 if it is due already.

        Args:
            event_time: when it happened.
            now: seconds of the clock that `started` was read from.
        """
        if self._speed is None:
            return 0.0
        if self._origin is None:
            self._origin = event_time
            self._started = now
        due = self._started + (event_time - self._origin).total_seconds() / self._speed
        return due - now

    def waits(
        self,
        event_time: datetime,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        *,
        longest_s: float = float("inf"),
    ) -> Iterator[datetime]:
        """Wait until an event is due; before each part of the wait, yield the event time that it is by then.

        Args:
            event_time: when it happened.
            clock: the clock that `started` was read from.
            sleep: waits for so many seconds.
            longest_s: a longer wait is cut up into waits of this.
        """
        while (delay_s := self.delay_s(event_time, clock())) > 0:
            yield event_time - timedelta(seconds=delay_s * (self._speed or 1.0))
            sleep(min(delay_s, longest_s))
