"""Which mentions a rule reads: `where: {topic: legal, source: {not: [blog]}, language: [en, de]}`."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import msgspec

from streams.monitor.state import Vote

Names = str | list[str]


class Not(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All but these."""

    not_: Names = msgspec.field(name="not")


Choice = str | list[str] | Not


class Where(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """A filter of mentions: all that is named must hold. Each is a value, a list of them, or `not:` and a list."""

    topic: Choice | None = None
    """The likeliest topic."""
    source: Choice | None = None
    language: Choice | None = None
    """As the source gave it or as it was found; a message of which neither is known has none, and only `not` lets it
    pass."""

    @cached_property
    def key(self) -> str:
        """The same for filters that let the same mentions pass, as far as they are written alike."""
        return msgspec.json.encode(self).decode()

    @cached_property
    def _tests(self) -> tuple[_Test, ...]:
        asked = (("topic", self.topic), ("source", self.source), ("lang", self.language))
        return tuple(_test(name, choice) for name, choice in asked if choice is not None)

    def takes(self, vote: Vote) -> bool:
        """Whether a rule with this filter reads the mention."""
        return all((getattr(vote, test.attribute) in test.names) is test.wanted for test in self._tests)


class _Test(NamedTuple):
    attribute: str
    names: frozenset[str]
    wanted: bool


def _test(attribute: str, choice: Choice) -> _Test:
    return _Test(attribute, frozenset(names_of(choice)), not isinstance(choice, Not))


def names_of(choice: Choice) -> list[str]:
    """Return the names that a choice is made of."""
    names = choice.not_ if isinstance(choice, Not) else choice
    return [names] if isinstance(names, str) else names


def choice_in_words(choice: Choice) -> str:
    """Say a choice: `legal`, `legal or fraud`, `not blog`."""
    named = " or ".join(names_of(choice))
    return f"not {named}" if isinstance(choice, Not) else named


def where_in_words(where: Where) -> str:
    """Say a filter: `topic legal, source not blog`."""
    asked = (("topic", where.topic), ("source", where.source), ("language", where.language))
    return ", ".join(f"{name} {choice_in_words(choice)}" for name, choice in asked if choice is not None)
