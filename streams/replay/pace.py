"""Alerts of history at the pace of history: so that a desk sees a past week go by in an hour."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from streams.errors import InputError
from streams.ingest.pace import Pace
from streams.records import Alert

LONGEST_WAIT_S = 1.0
"""A long wait is cut up into waits of this, so that whoever watches sees the time go by."""

_SPEED = re.compile(r"^(\d+(?:\.\d+)?)x?$")


def parse_speed(text: str) -> float | None:
    """Return how many times faster than it happened `60x` is; None for `max`.

    Raises:
        InputError: it is neither.
    """
    if text == "max":
        return None
    match = _SPEED.match(text.strip().lower())
    if match is None or not float(match[1]) > 0:
        msg = f"{text!r} is no speed: write 1x for the original pace, 60x for an hour a minute, or max"
        raise InputError(msg)
    return float(match[1])


def paced(
    alerts: Iterable[Alert],
    *,
    speed: float | None,
    since: datetime | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    on_wait: Callable[[float], None] | None = None,
) -> Iterator[Alert]:
    """Yield each alert transition when it is due.

    Args:
        alerts: in the order of event time.
        speed: 1.0 is the pace at which they were raised, 60.0 an hour a minute; None as fast as possible.
        since: event time from which on time counts; the first alert's without it.
        clock: seconds that only go forward.
        sleep: waits for so many seconds.
        on_wait: told before each part of a wait the seconds that are left until the next alert is due.
    """
    pace = Pace(speed, clock())
    if since is not None:
        pace.delay_s(since, clock())
    for alert in alerts:
        while (delay_s := pace.delay_s(alert.at, clock())) > 0:
            if on_wait is not None:
                on_wait(delay_s)
            sleep(min(delay_s, LONGEST_WAIT_S))
        yield alert
