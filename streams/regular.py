"""Regular expressions of matchers, by RE2: Alertmanager's own kind, matched in time linear in the text. Pure.

Python's own matcher tries one way after the other: `(\\w+\\s?)+!` takes it hours on a company's name, in which a
monitor does nothing else. RE2 knows no look-around and no back-references. A `.` is any character, a new line too.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import re2

MAX_LENGTH: Final = 1_000
"""Characters of an expression."""
_MAX_BYTES: Final = 1 << 20
"""Memory of one compiled expression; RE2 refuses what needs more."""


class ExpressionError(ValueError):
    """A text is no regular expression, or none that can be used; the message says why."""


def _options() -> Any:
    options = re2.Options()
    options.log_errors = False  # it would write them to the standard error
    options.dot_nl = True
    options.max_mem = _MAX_BYTES
    return options


@lru_cache(maxsize=1_024)
def expression(text: str) -> Any:
    """Return a compiled expression.

    Raises:
        ExpressionError: RE2 refuses it, or it is too long.
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"it has {len(text):,} characters, and {MAX_LENGTH:,} is the most")
    try:
        return re2.compile(text, _options())
    except re2.error as error:
        why = error.args[0] if error.args else error
        raise ExpressionError(why.decode(errors="replace") if isinstance(why, bytes) else str(why)) from None


@lru_cache(maxsize=16_384)
def fits(text: str, value: str) -> bool:
    """Whether a whole value is of the form of a regular expression; the same is asked again and again.

    Raises:
        ExpressionError: see `expression`.
    """
    return expression(text).fullmatch(value) is not None
