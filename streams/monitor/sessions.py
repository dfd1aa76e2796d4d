"""Seasons of a market: what kind of hour it is by an exchange's sessions, with its weekends, holidays and half days.

Sessions come from exchange_calendars, by the market's code (its MIC, such as XNYS). They are read once, over all that
the calendar knows from `_FIRST` on: no clock is asked, and what an hour is does not depend on when it is asked for.
A change of daylight saving time moves a market's hours in UTC, and a season by sessions moves with them.

What lies outside the calendar is taken for what it was as many times 52 weeks nearer: weekends are right then, and
holidays are not. A monitor must not end because a market has not published its next year; who puts rules in force is
told (`check_reach`).

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
from datetime import date, datetime
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
_YEAR_MS: Final = 52 * 7 * DAY_MS
_NANOS_PER_MS: Final = 1_000_000


class Sessions:
    """The sessions of a market, as a season of hours (`streams.monitor.volume.SeasonKey`).

    Args:
        market: its code, for errors.
        opens_ms: when its sessions open, ascending; [sessions].
        closes_ms: when they close; each at or before the next one opens. Of the last one nothing is known to follow:
            it bounds what is known.
    """

    def __init__(self, market: str, opens_ms: list[int], closes_ms: list[int]) -> None:
        self.market = market
        self._opens, self._closes = opens_ms, closes_ms
        # What comes after the last open is not known: it may be a night or a holiday.
        self._first_ms = opens_ms[0] - opens_ms[0] % HOUR_MS
        self._last_ms = opens_ms[-1] - opens_ms[-1] % HOUR_MS
        self._kind = lru_cache(maxsize=_HOURS_KEPT)(self._kind_of)

    def __call__(self, at_ms: int) -> int:
        """Return the season key of the hour that holds a time, in milliseconds since the epoch."""
        return self._kind(at_ms // HOUR_MS)

    @property
    def until(self) -> date:
        """The last day that is known."""
        return from_ms(self._last_ms).date()

    def covers(self, at_ms: int) -> bool:
        """Whether the calendar knows the sessions around a time."""
        return self._first_ms <= at_ms < self._last_ms

    def _kind_of(self, hour: int) -> int:
        start_ms = hour * HOUR_MS
        if start_ms < self._first_ms:
            start_ms += -(-(self._first_ms - start_ms) // _YEAR_MS) * _YEAR_MS
        elif start_ms >= self._last_ms:
            start_ms -= ((start_ms - self._last_ms) // _YEAR_MS + 1) * _YEAR_MS
        end_ms = start_ms + HOUR_MS
        following = bisect_right(self._opens, end_ms - 1)  # the first session that opens after this hour
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
    return Sessions(market, opens, closes)


def check_reach(market: str, at: datetime) -> None:
    """Check that the sessions of a market are known at a time, for whoever puts a rule in force.

    Args:
        market: its code.
        at: the time, UTC.

    Raises:
        RuleError: they are not, or the market is not known.
    """
    found = sessions(market)
    if not found.covers(to_ms(at)):
        msg = (
            f"season {market}: its sessions are known to {found.until}, and {at:%Y-%m-%d} lies outside: bring "
            f"exchange-calendars up to date, or take the season out of the rule"
        )
        raise RuleError(msg)


def _package() -> Any:
    try:
        return importlib.import_module("exchange_calendars")
    except ImportError as error:
        msg = "a season by a market's sessions needs exchange_calendars: install squall[calendars]"
        raise RuleError(msg) from error
