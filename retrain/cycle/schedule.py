"""When the next run is: a cron expression, in UTC. Pure but for the waiting."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from cronsim import CronSim, CronSimError

from streams.errors import ConfigError

_STEP_S = 30.0
"""A machine that slept, or whose clock was set, notices within this."""


def next_run(expression: str, now: datetime) -> datetime:
    """Return the first time after `now` that a cron expression names, in UTC.

    Args:
        expression: five fields: minute, hour, day of the month, month, day of the week.
        now: with an offset.

    Raises:
        ConfigError: it is no cron expression, or names no time that ever comes.
    """
    try:
        return next(CronSim(expression, now.astimezone(UTC)))
    except CronSimError:
        msg = f"{expression!r} is no cron expression: five fields, such as '0 2 * * *' for every day at 02:00 UTC"
        raise ConfigError(msg) from None
    except StopIteration:
        raise ConfigError(f"{expression!r} names no time that ever comes") from None


def run_on_schedule(
    expression: str,
    work: Callable[[], None],
    *,
    stopping: threading.Event,
    say: Callable[[str], None],
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    wait: Callable[[threading.Event, float], bool] = threading.Event.wait,
) -> None:
    """Work at each time that a cron expression names, until told to stop.

    A time that passes while a run is under way is left out: the next one counts.

    Args:
        expression: see `next_run`.
        work: one run; it raises nothing.
        stopping: set to end.
        say: told when the next run is.
        now: reads the clock.
        wait: waits for the event, at most so many seconds, and returns whether it is set.

    Raises:
        ConfigError: as `next_run`.
    """
    while not stopping.is_set():
        due = next_run(expression, now())
        say(f"next run at {due:%Y-%m-%d %H:%M} UTC")
        while (left := due - now()) > timedelta(0):
            if wait(stopping, min(_STEP_S, left.total_seconds())):
                return
        work()
