"""Seasons of a market: what kind of hour it is by an exchange's sessions, with its weekends, holidays and half days.

Sessions come from exchange_calendars, by the market's code (its MIC, such as XNYS). They are read once, over all that
the calendar knows from `_FIRST` on: no clock is asked, and what an hour is does not depend on when it is asked for.
A change of daylight saving time moves a market's hours in UTC, and a season by sessions moves with them.

An hour (UTC) is of the first kind that fits:

    open          the market opens in it
    close         it closes in it, or at its end
    midday        it trades, a lunch break included
    after_hours   it begins less than four hours after the hour of the close
    pre_market    it ends at most four hours before the hour of the open begins, or at its beginning
    night         between sessions that are less than a day apart
    closed        a weekend or a holiday
"""

from __future__ import annotations

import difflib
import importlib
import warnings
from bisect import bisect_right
from datetime import UTC, date, datetime
from functools import cache, lru_cache
from typing import Any, Final

from streams.errors import RuleError
from streams.monitor.bins import DAY_MS, HOUR_MS, from_ms, to_ms

KINDS: Final = ("open", "close", "midday", "after_hours", "pre_market", "night", "closed")
"""By season key."""
_OPEN, _CLOSE, _MIDDAY, _AFTER, _PRE, _NIGHT, _CLOSED = range(len(KINDS))
AROUND_MS: Final = 4 * HOUR_MS
"""Before the hour of the open, and after that of the close."""

_FIRST: Final = date(2000, 1, 1)
_LAST: Final = date(2049, 12, 31)
_HOURS_KEPT: Final = 4096
_NANOS_PER_MS: Final = 1_000_000


class Sessions:
    """The sessions of a market, as a season of hours (`streams.monitor.volume.SeasonKey`).

    Args:
        market: its code, for errors.
        opens_ms: when its sessions open, ascending; [sessions].
        closes_ms: when they close; each at or before the next one opens.
        until: the last day that is known, without which a missing session would be a holiday.
    """

    def __init__(self, market: str, opens_ms: list[int], closes_ms: list[int], *, until: date) -> None:
        self.market = market
        self.until = until
        self._opens, self._closes = opens_ms, closes_ms
        self._last_ms = to_ms(datetime(until.year, until.month, until.day, tzinfo=UTC)) + DAY_MS
        self._kind = lru_cache(maxsize=_HOURS_KEPT)(self._kind_of)

    def __call__(self, at_ms: int) -> int:
        """Return the season key of the hour that holds a time, in milliseconds since the epoch.

        Raises:
            RuleError: the calendar does not reach that far.
        """
        return self._kind(at_ms // HOUR_MS)

    def _kind_of(self, hour: int) -> int:
        start_ms, end_ms = hour * HOUR_MS, (hour + 1) * HOUR_MS
        following = bisect_right(self._opens, end_ms - 1)  # the first session that opens after this hour
        if not following or following == len(self._opens) or end_ms > self._last_ms:
            first = from_ms(self._opens[0])
            msg = (
                f"season {self.market}: its calendar has sessions from {first:%Y-%m-%d} to {self.until}, and "
                f"{from_ms(start_ms):%Y-%m-%d %H:%M} UTC lies outside: bring exchange-calendars up to date, or take "
                f"the season out of the rule"
            )
            raise RuleError(msg)
        opened_ms, closed_ms = self._opens[following - 1], self._closes[following - 1]
        if opened_ms >= start_ms:
            return _OPEN
        if closed_ms > start_ms:
            return _CLOSE if closed_ms <= end_ms else _MIDDAY
        next_ms = self._opens[following]
        if start_ms - closed_ms < AROUND_MS:
            return _AFTER
        if next_ms - next_ms % HOUR_MS - start_ms <= AROUND_MS:
            return _PRE
        return _NIGHT if next_ms - closed_ms < DAY_MS else _CLOSED


@cache
def sessions(market: str) -> Sessions:
    """Return the sessions of a market, read once.

    Raises:
        RuleError: no such market is known, or the package that knows markets is not installed.
    """
    calendars = _package()
    known = calendars.get_calendar_names(include_aliases=False)
    if market not in known:
        found = difflib.get_close_matches(market, known, n=1, cutoff=0.5)
        near = f"; did you mean {found[0]}?" if found else "; write a market's code (MIC), such as XNYS or XHKG"
        msg = f"no market {market!r} is known{near}"
        raise RuleError(msg)
    first, last = _FIRST, _LAST
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # how it uses pandas is no concern of whoever writes rules
        kind = type(calendars.get_calendar(market))
        if (bound := kind.bound_min()) is not None:
            first = max(first, bound.date())
        if (bound := kind.bound_max()) is not None:
            last = min(last, bound.date())
        calendar = calendars.get_calendar(market, start=first, end=last)
        opens = [int(nanos) // _NANOS_PER_MS for nanos in calendar.opens_nanos]
        closes = [int(nanos) // _NANOS_PER_MS for nanos in calendar.closes_nanos]
    return Sessions(market, opens, closes, until=last)


def _package() -> Any:
    try:
        return importlib.import_module("exchange_calendars")
    except ImportError as error:
        msg = "a season by a market's sessions needs exchange_calendars: install squall[calendars]"
        raise RuleError(msg) from error
