"""Numbers, times and foreign text as a person reads them. Pure.

What comes from outside (texts, names, authors) passes through `clean` before it reaches a terminal, a log or a
receiver: an escape sequence in a post must not repaint a risk desk's screen.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from datetime import datetime, timedelta

_ELLIPSIS = "…"
_KEPT_FORMAT_CHARACTERS = {"\u200d"}  # the joiner inside emoji; the rest of Cf can reorder or hide text


def clean(text: str, *, most: int | None = None) -> str:
    """Return one line without control, private-use or reordering characters.

    Args:
        text: anything from outside.
        most: longest result in characters; what is longer is cut at a word and ends in an ellipsis.
    """
    shown = "".join(
        character if character in _KEPT_FORMAT_CHARACTERS else " " if _is_hidden(character) else character
        for character in text
    )
    shown = " ".join(shown.split())
    if most is None or len(shown) <= most:
        return shown
    cut = shown[: most - 1]
    at_word = cut.rsplit(" ", 1)[0]
    return (at_word if len(at_word) > most // 2 else cut).rstrip(" ,;:") + _ELLIPSIS


def _is_hidden(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def percent(share: float) -> str:
    """Return a share as whole per cent: 0.62 is `62 %`. What is not nothing is never shown as 0 %."""
    if 0.0 < share < 0.005:
        return "under 1 %"
    return f"{100 * share:.0f} %"


def whole_percents(shares: Sequence[float]) -> list[str]:
    """Return shares that add up to 1 as whole per cent that add up to 100, by the method of largest remainders.

    A share may be negative: it weighed against the rest.
    """
    exact = [100 * share for share in shares]
    whole = [math.floor(value) for value in exact]
    by_remainder = sorted(range(len(exact)), key=lambda place: (whole[place] - exact[place], place))
    for place in by_remainder[: max(0, round(math.fsum(exact)) - sum(whole))]:
        whole[place] += 1
    return [
        "under 1 %" if not value and share > 0 else f"{value} %" for value, share in zip(whole, shares, strict=True)
    ]


def plural(count: float, one: str, many: str | None = None) -> str:
    """Return a count with its noun: `1 story`, `41 stories`, `1,204 messages`."""
    noun = one if count == 1 else many or f"{one}s"
    return f"{count:,.0f} {noun}"


def span(time: timedelta) -> str:
    """Return a duration in words, in its two largest units: `60 minutes`, `3 hours 12 minutes`, `2 days 4 hours`."""
    minutes = max(0, round(time.total_seconds() / 60))
    if minutes < 1:
        return "less than a minute"
    if minutes <= 90:
        return plural(minutes, "minute")
    days, rest = divmod(minutes, 24 * 60)
    hours, minutes = divmod(rest, 60)
    units = ((days, "day"), (hours, "hour"), (minutes, "minute"))
    named = [plural(count, unit) for count, unit in units if count]
    return " ".join(named[:2])


def moment(time: datetime) -> str:
    """Return a UTC time to the minute: `18 March 2026 09:12 UTC`."""
    return f"{time.day} {time:%B %Y %H:%M} UTC"


def clock(time: datetime, *, beside: datetime) -> str:
    """Return the hour and minute, with the day only where it is another day than `beside`."""
    return f"{time:%H:%M}" if time.date() == beside.date() else f"{time.day} {time:%B %H:%M}"
