"""Times and lengths of time as they are written on the command line."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import typer

_LENGTH = re.compile(r"(\d{1,5})([hdw])")
_HOURS = {"h": 1, "d": 24, "w": 168}


def moment(text: str | None, option: str) -> datetime | None:
    """Return a time in UTC; None for none.

    Args:
        text: such as `2026-03-17T09:30:00Z`; a time without an offset is refused.
        option: the option that it was given by, for the message.
    """
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        msg = f"{text!r} is no time with an offset: write it like 2026-03-17T09:30:00Z"
        raise typer.BadParameter(msg, param_hint=option)
    return found.astimezone(UTC)


def length(text: str, option: str = "--warm-up") -> timedelta | None:
    """Return a length of time such as 48h, 30d or 8w; None for `all`, which is all that there is."""
    if text == "all":
        return None
    match = _LENGTH.fullmatch(text)
    if match is None:
        msg = f"{text!r} is no length of time: write 48h, 30d, 8w, or all"
        raise typer.BadParameter(msg, param_hint=option)
    return timedelta(hours=int(match[1]) * _HOURS[match[2]])
