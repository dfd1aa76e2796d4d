"""A file of rule tests: what it may say, and what is refused, with file, line and column."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec

from streams.errors import RuleError
from streams.monitor import RuleSet, default_rules, load_rules
from streams.records import AlertState, Severity
from streams.yaml_files import Part, YamlFile

_SPAN = re.compile(r"^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$")
_UNITS_S = (86_400, 3_600, 60, 1)
LONGEST_S = 3_660 * 86_400
MOST_MENTIONS = 1_000_000
"""Of one group; more is a slip of the pen."""

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Bounds = Annotated[list[Share], msgspec.Meta(min_length=2, max_length=2)]  # msgspec 0.22 crashes on a tuple


class Mentions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A group of invented mentions: one every so often, or some at once."""

    from_: str = msgspec.field(default="0s", name="from")
    """First one, since the test began: `2d`, `36h`, `1h30m`, `45s`."""
    to: str | None = None
    """None later than this; without it there is one moment, `from`."""
    every: str | None = None
    """Time between two of them; needs `to`."""
    count: Count = 1
    """So many each time."""
    entity: str | None = None
    """Company; without it the test's."""
    negative: Share | Bounds
    """P(negative) of each, or bounds between which it is drawn, evenly and always alike."""
    text: str | None = None
    """The text of all of them, which makes them copies of one story. Without it each is a story of its own."""
    sources: Count = 5
    """They come from so many sources, in turn."""
    authors: Annotated[int, msgspec.Meta(ge=0)] = 0
    """They are by so many authors, in turn; 0: by nobody that is named."""
    late: str | None = None
    """They arrive so much later than they were published."""
    topic: str = "company-news"
    source: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    """The one source of all of them, by its name; in place of `sources`."""
    language: str | None = None
    """Such as `en`; without it none is known."""
    positive: Share | None = None
    """P(positive) of each; without it 0. What is left beside `negative` is neutral."""
    relevance: Share = 1.0
    """How much they are about the company."""


class Expected(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An alert that must be raised: one record of its life."""

    alert: str
    state: AlertState = "firing"
    entity: str | None = None
    """Without it the test's."""
    from_: str = msgspec.field(default="0s", name="from")
    """Not before this, since the test began."""
    to: str | None = None
    """Not after this."""
    severity: Severity | None = None


class _Test(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(min_length=1)]
    entity: str = "TEST"
    mentions: Annotated[list[Mentions], msgspec.Meta(min_length=1)]
    expect: list[Expected] = []


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    tests: list[Any]
    rules: str | None = None


@dataclass(frozen=True)
class RuleTest:
    """One test, ready to run."""

    name: str
    entity: str
    mentions: tuple[Mentions, ...]
    expect: tuple[Expected, ...]
    where: str
    """File, line and column."""


@dataclass(frozen=True)
class RuleTests:
    """A file of tests, and the rules that it is about."""

    rules: RuleSet
    rules_name: str
    tests: tuple[RuleTest, ...]


def load_rule_tests(path: Path, *, rules: Path | None = None) -> RuleTests:
    """Read a file of tests.

    Args:
        path: the file.
        rules: a rule file instead of the one that the tests name (relative to themselves); without either, the
            shipped rules are tested.

    Raises:
        RuleError: a file cannot be read or is not valid.
    """
    file = YamlFile.read(path, "file of rule tests")
    whole = Part(file, file.content, (), "rule tests")
    whole.refuse_unknown(_File)
    head: _File = whole.convert(_File)
    named = rules or (path.parent / head.rules if head.rules else None)
    found = load_rules(named) if named else default_rules()
    names = {rule.alert for rule in found.rules}
    if not head.tests:
        file.refuse("needs at least one test", ("tests",))
    tests = [_test(file, number, item, names) for number, item in enumerate(head.tests)]
    return RuleTests(found, str(named) if named else "the shipped rules", tuple(tests))


def _test(file: YamlFile, number: int, item: Any, alerts: set[str]) -> RuleTest:
    named = isinstance(item, dict) and isinstance(item.get("name"), str)
    called = f"test {number + 1} ({item['name']})" if named else f"test {number + 1}"
    part = Part(file, item, ("tests", number), called)
    part.refuse_unknown(_Test)
    if isinstance(item, dict):
        for key, kind in (("mentions", Mentions), ("expect", Expected)):
            for place, one in enumerate(item.get(key) or () if isinstance(item.get(key), list) else ()):
                Part(file, one, ("tests", number, key, place), f"{called}, {key} {place + 1}").refuse_unknown(kind)
    test: _Test = part.convert(_Test)
    for place, group in enumerate(test.mentions):
        _check_group(group, Part(file, group, ("tests", number, "mentions", place), f"{called}, mentions {place + 1}"))
    for place, wanted in enumerate(test.expect):
        inside = Part(file, wanted, ("tests", number, "expect", place), f"{called}, expect {place + 1}")
        if wanted.alert not in alerts:
            inside.refuse(f"there is no rule {wanted.alert!r}; the rules are {', '.join(sorted(alerts))}", ("alert",))
        begin = _span(wanted.from_, inside, "from")
        if wanted.to is not None and _span(wanted.to, inside, "to") < begin:
            inside.refuse("to is before from", ("to",))
    where = f"{file.name}:{file.place(('tests', number))}"
    return RuleTest(test.name, test.entity, tuple(test.mentions), tuple(test.expect), where)


def _check_group(group: Mentions, part: Part) -> None:
    begin = _span(group.from_, part, "from")
    if group.late is not None:
        _span(group.late, part, "late")
    if isinstance(group.negative, list) and group.negative[0] > group.negative[1]:
        part.refuse("negative: the first bound is above the second", ("negative",))
    worst = group.negative[1] if isinstance(group.negative, list) else group.negative
    if group.positive is not None and worst + group.positive > 1:
        part.refuse("negative and positive add up to more than 1", ("positive",))
    if group.count > MOST_MENTIONS:
        part.refuse(f"more than {MOST_MENTIONS:,} mentions", ("count",))
    if (group.to is None) != (group.every is None):
        part.refuse("to and every belong together; without both, all come at the moment of from", ("from",))
    if group.to is None or group.every is None:
        return
    end, every = _span(group.to, part, "to"), _span(group.every, part, "every")
    if end < begin:
        part.refuse("to is before from", ("to",))
    if not every:
        part.refuse("every must be at least 1s", ("every",))
    if (end - begin) / every * group.count > MOST_MENTIONS:
        part.refuse(f"more than {MOST_MENTIONS:,} mentions", ("every",))


def _span(text: str, part: Part, key: str) -> int:
    try:
        return span_s(text)
    except RuleError as error:
        part.refuse(f"{key}: {error}", (key,))


def span_s(text: str) -> int:
    """Seconds of `2d`, `1h30m` or `45s`. Raises RuleError."""
    match = _SPAN.match(text)
    if match is None or not text:
        msg = f"{text!r} is no span of time: write days, hours, minutes and seconds, such as 2d, 1h30m or 45s"
        raise RuleError(msg)
    seconds = sum(int(number or 0) * unit for number, unit in zip(match.groups(), _UNITS_S, strict=True))
    if seconds > LONGEST_S:
        msg = f"{text!r} is more than {LONGEST_S // 86_400:,} days"
        raise RuleError(msg)
    return seconds
