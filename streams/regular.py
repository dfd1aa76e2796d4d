"""Regular expressions that cannot run away: read as Python reads them, and matched in time linear in the text. Pure.

Python's own matcher tries one way after the other: `(\\w+\\s?)+!` takes it hours on a company's name, in which a
monitor does nothing else. Alertmanager's (RE2) follows all ways at once, and so does this one. It knows what RE2 and
Python have in common: characters, `.`, classes, groups, `|`, and `*`, `+`, `?` and `{m,n}`. What looks around or back
is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NoReturn

MAX_LENGTH: Final = 1_000
"""Characters of an expression."""
MAX_STATES: Final = 2_000
"""Places at which a match may be, after `{m,n}` is written out."""
MAX_DEPTH: Final = 20
"""Groups within groups."""
_COUNT = re.compile(r"\{([0-9]*)(,?)([0-9]*)\}")
_CLASS = re.compile(r"\[\^?\]?(?:[^\]\\]|\\.)*\]", re.DOTALL)
_ESCAPED = frozenset("dDwWsSntrfva")


class ExpressionError(ValueError):
    """A text is no regular expression, or none that is read here; the message says why."""


@dataclass(frozen=True, slots=True)
class _One:
    """Any one character that fits."""

    test: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class _Place:
    """`^` or `$`."""

    at_end: bool


@dataclass(frozen=True, slots=True)
class _Row:
    """One after the other."""

    parts: tuple[_Node, ...]


@dataclass(frozen=True, slots=True)
class _Choice:
    """One of them."""

    ways: tuple[_Node, ...]


@dataclass(frozen=True, slots=True)
class _Repeat:
    """So many times; None: as often as it likes."""

    part: _Node
    least: int
    most: int | None


_Node = _One | _Place | _Row | _Choice | _Repeat


@dataclass(slots=True)
class _State:
    """A place in the expression: where one character leads, or where none is needed to go on."""

    test: re.Pattern[str] | None = None
    place: _Place | None = None
    nexts: list[int] = field(default_factory=list)


class Expression:
    """A regular expression, read.

    Args:
        text: the expression; `(?i)` at its beginning: in capitals or not.

    Raises:
        ExpressionError: it is none, or too long, too large, too deep, or of a kind that is not read here.
    """

    def __init__(self, text: str) -> None:
        if len(text) > MAX_LENGTH:
            msg = f"it has {len(text)} characters, and {MAX_LENGTH} is the most"
            raise ExpressionError(msg)
        root = _Reader(text).read()
        if _size(root) > MAX_STATES:
            msg = f"it is too large once its repeats are written out: {MAX_STATES} places is the most"
            raise ExpressionError(msg)
        try:
            re.compile(text)
        except (re.error, OverflowError, RecursionError) as error:
            raise ExpressionError(str(error)) from None
        self._states: list[_State] = []
        self._end = self._state(_State())
        self._begin = self._build(root, self._end)

    def fits(self, text: str) -> bool:
        """Whether the whole text is of the expression's form."""
        here = self._reach([self._begin], at_begin=True, at_end=not text)
        for number, character in enumerate(text, 1):
            ahead = [
                state.nexts[0]
                for state in map(self._states.__getitem__, here)
                if state.test is not None and state.test.fullmatch(character)
            ]
            if not ahead:
                return False
            here = self._reach(ahead, at_begin=False, at_end=number == len(text))
        return self._end in here

    def _reach(self, begin: Sequence[int], *, at_begin: bool, at_end: bool) -> set[int]:
        """Return where one may be without another character."""
        found = set(begin)
        ahead = list(found)
        while ahead:
            state = self._states[ahead.pop()]
            if state.test is not None or (state.place is not None and not (at_end if state.place.at_end else at_begin)):
                continue
            new = [number for number in state.nexts if number not in found]
            found.update(new)
            ahead += new
        return found

    def _state(self, state: _State) -> int:
        self._states.append(state)
        return len(self._states) - 1

    def _build(self, node: _Node, following: int) -> int:
        """Make the states of a node that leads to another; return the first."""
        if isinstance(node, _One):
            return self._state(_State(test=node.test, nexts=[following]))
        if isinstance(node, _Place):
            return self._state(_State(place=node, nexts=[following]))
        if isinstance(node, _Row):
            for part in reversed(node.parts):
                following = self._build(part, following)
            return following
        if isinstance(node, _Choice):
            return self._state(_State(nexts=[self._build(way, following) for way in node.ways]))
        if node.most is None:
            again = _State(nexts=[following])
            following = self._state(again)
            again.nexts.append(self._build(node.part, following))
        else:
            end = following
            for _ in range(node.most - node.least):
                following = self._state(_State(nexts=[end, self._build(node.part, following)]))
        for _ in range(node.least):
            following = self._build(node.part, following)
        return following


@lru_cache(maxsize=1024)
def expression(text: str) -> Expression:
    """Return an expression, read once.

    Raises:
        ExpressionError: see `Expression`.
    """
    return Expression(text)


@lru_cache(maxsize=16_384)
def fits(text: str, value: str) -> bool:
    """Whether a whole value is of the form of a regular expression; the same is asked again and again.

    Raises:
        ExpressionError: see `Expression`.
    """
    return expression(text).fits(value)


class _Reader:
    """Reads the text of an expression from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._flags = re.DOTALL
        if text.startswith("(?i)"):
            self._at = len("(?i)")
            self._flags |= re.IGNORECASE

    def read(self) -> _Node:
        found = self._choice(0)
        if self._at < len(self._text):
            self._refuse("unbalanced parenthesis")
        return found

    def _choice(self, depth: int) -> _Node:
        if depth > MAX_DEPTH:
            self._refuse(f"its groups are nested, and {MAX_DEPTH} deep is the most")
        ways = [self._row(depth)]
        while self._next() == "|":
            self._at += 1
            ways.append(self._row(depth))
        return ways[0] if len(ways) == 1 else _Choice(tuple(ways))

    def _row(self, depth: int) -> _Node:
        parts: list[_Node] = []
        while self._next() not in ("", "|", ")"):
            part = self._atom(depth)
            parts.append(self._repeated(part))
        return _Row(tuple(parts))

    def _atom(self, depth: int) -> _Node:
        character = self._next()
        if character == "(":
            return self._group(depth)
        begin = self._at
        if character in ("*", "+", "?") or self._count() is not None:
            self._refuse("nothing to repeat")
        if character in ("^", "$"):
            self._at += 1
            return _Place(at_end=character == "$")
        if character == "[":
            found = _CLASS.match(self._text, self._at)
            if found is None:
                self._refuse("a class of characters has no end")
            self._at = found.end()
        elif character == "\\":
            self._at += 2
            escaped = self._text[begin + 1 : self._at]
            if not escaped or (escaped.isalnum() and escaped not in _ESCAPED):
                self._refuse(f"{character}{escaped} is not known here")
        else:
            self._at += 1
        try:
            return _One(re.compile(self._text[begin : self._at], self._flags))
        except re.error as error:
            raise ExpressionError(str(error)) from None

    def _group(self, depth: int) -> _Node:
        self._at += 1
        if self._next() == "?":
            if not self._text.startswith("?:", self._at):
                self._refuse("of what begins with (? only (?:...) and, before all else, (?i) are known here")
            self._at += 2
        inner = self._choice(depth + 1)
        if self._next() != ")":
            self._refuse("missing ), unterminated group")
        self._at += 1
        return inner

    def _repeated(self, part: _Node) -> _Node:
        character, counted = self._next(), self._count()
        if counted is not None:
            least, most, self._at = counted
        elif character in ("*", "+", "?"):
            least, most = int(character == "+"), 1 if character == "?" else None
            self._at += 1
        else:
            return part
        if isinstance(part, _Place):
            self._refuse("nothing to repeat")
        if most is not None and most < least:
            self._refuse("min repeat greater than max repeat")
        if self._next() == "?":
            self._at += 1  # as little as possible: of a whole text that says nothing
        if self._next() in ("*", "+", "?") or self._count() is not None:
            self._refuse("multiple repeat")
        return _Repeat(part, least, most)

    def _count(self) -> tuple[int, int | None, int] | None:
        """Return what a `{m,n}` that stands here says, and where it ends."""
        found = _COUNT.match(self._text, self._at)
        if found is None or found[0] == "{}":
            return None
        least = int(found[1] or 0)
        most = int(found[3]) if found[3] else (None if found[2] else least)
        return least, most, found.end()

    def _next(self) -> str:
        return self._text[self._at : self._at + 1]

    def _refuse(self, why: str) -> NoReturn:
        msg = f"{why} at position {self._at}"
        raise ExpressionError(msg)


def _size(node: _Node) -> int:
    """Return how many states a node makes, at least; a number as large as may be, but no time."""
    if isinstance(node, _Row):
        return sum(map(_size, node.parts))
    if isinstance(node, _Choice):
        return 1 + sum(map(_size, node.ways))
    if isinstance(node, _Repeat):
        times = node.least + 1 if node.most is None else node.most
        return 1 + times * (1 + _size(node.part))
    return 1
