"""Matchers of labels in Alertmanager's syntax: `entity="ACME"`, `severity!="info"`, `sector=~"Banks|Insurance"`. Pure.

A label that is not there is an empty text, as in Alertmanager: `sector!="Banks"` matches where there is no sector. What
regular expressions may hold: `streams.regular`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from streams.regular import ExpressionError, expression, fits

Operator = Literal["=", "!=", "=~", "!~"]

_FORM = re.compile(r"\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*(.*?)\s*", re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPES = {"n": "\n", '"': '"', "\\": "\\"}


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one label."""

    label: str
    operator: Operator
    value: str
    """A text, or for `=~` and `!~` a regular expression that has to fit the whole label."""

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether labels fulfil it."""
        found = labels.get(self.label, "")
        if self.operator in ("=", "!="):
            return (found == self.value) == (self.operator == "=")
        return fits(self.value, found) == (self.operator == "=~")

    def __str__(self) -> str:
        quoted = self.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'{self.label}{self.operator}"{quoted}"'


def parse_matcher(text: str) -> Matcher:
    r"""Read one matcher. The value may stand in quotes, with `\"`, `\\` and `\n` in it, or be one bare word.

    Raises:
        ValueError: it is none; the message says what is wrong with it.
    """
    form = _FORM.fullmatch(text)
    if form is None:
        msg = f'{text!r} is no matcher: write one as entity="ACME", with =, !=, =~ or !~'
        raise ValueError(msg)
    label, operator, rest = form.groups()
    if quoted := _QUOTED.fullmatch(rest):
        value = re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[0]), quoted[1], flags=re.DOTALL)
    elif '"' in rest or "," in rest or any(character.isspace() for character in rest):
        msg = f"{text!r}: a value with spaces, commas or quotes stands in double quotes; one matcher is one list entry"
        raise ValueError(msg)
    else:
        value = rest
    return made_matcher(label, operator, value, text)  # type: ignore[arg-type]


def made_matcher(label: str, operator: Operator, value: str, text: str | None = None) -> Matcher:
    """Return a matcher of its parts.

    Args:
        label: name of the label.
        operator: how it is compared.
        value: with what.
        text: as it was written, for the error.

    Raises:
        ValueError: the value should be a regular expression, and is none or none that can be used.
    """
    matcher = Matcher(label, operator, value)
    if operator in ("=~", "!~"):
        try:
            expression(value)
        except ExpressionError as error:
            written = str(matcher) if text is None else repr(text)
            msg = f"{written} holds no regular expression that can be used: {error}"
            raise ValueError(msg) from None
    return matcher


def equals_first(matchers: Iterable[Matcher]) -> tuple[Matcher, ...]:
    """Put what is compared at once before regular expressions, for conditions that must all hold."""
    return tuple(sorted(matchers, key=lambda one: one.operator in ("=~", "!~")))


def parse_label(text: str) -> tuple[str, str]:
    """Read `name=value`, as a person gives a label on the command line.

    Raises:
        ValueError: it is none.
    """
    matcher = parse_matcher(text)
    if matcher.operator != "=":
        msg = f"{text!r} is no label: write it as name=value"
        raise ValueError(msg)
    return matcher.label, matcher.value
