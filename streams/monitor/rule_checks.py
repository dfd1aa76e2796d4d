"""What each type of rule may say and must: the part of validation that hangs on the type."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, Literal, NoReturn

import msgspec

from streams.errors import RuleError
from streams.monitor.bounds import SIDES, Bound
from streams.monitor.composite import cycle_of
from streams.monitor.rules import Rule, duration_ms
from streams.monitor.sessions import sessions
from streams.monitor.signals import is_count
from streams.monitor.where import names_of
from streams.yaml_files import Part, Steps

Fail = Callable[[str, Steps], NoReturn]
"""Refuses a rule: what is wrong, and the path of it within the rule."""
Kind = Literal["e_detector", "return_period", "zscore", "threshold", "novelty", "composite"]

_NOT_YET: Final = {
    ("type", "breadth"): "rules over several companies of a sector are not there yet: a rule watches one company",
    ("type", "absence"): "rules on a source that has fallen silent are not there yet",
    ("by", "sector"): "rules by sector are not there yet: a rule watches one company (by: ticker)",
    ("by", "topic"): "rules by topic are not there yet; where: {topic: ...} makes a rule read one topic",
    ("by", "source"): "rules by source are not there yet; where: {source: ...} makes a rule read one source",
}
_SHARE: Final = frozenset({"e_detector", "threshold"})
_SIGNALS: Final[dict[Kind, tuple[str, ...]]] = {
    "e_detector": ("negative_share",),
    "return_period": ("volume", "negative_count"),
    "zscore": ("volume", "negative_count", "mean_sentiment"),
    "threshold": ("negative_share", "negative_count", "volume", "mean_sentiment"),
    "novelty": ("negative_share",),
}
_FIRE: Final[dict[Kind, tuple[tuple[str, ...], str]]] = {
    "e_detector": (("arl",), "{arl: ...}"),
    "return_period": (("return_period",), "{return_period: ...}"),
    "zscore": (SIDES, "{gte: ...} (or gt, lte, lt)"),
    "threshold": (SIDES, "{gte: ...} (or gt, lte, lt)"),
    "novelty": (("gte", "gt"), "{gte: ...} (or gt)"),
    "composite": (("all", "any", "none", "within"), "{all: [...]} or {any: [...]}, with none and within if need be"),
}
_ONLY_FOR: Final[dict[str, frozenset[str]]] = {
    "method": frozenset({"e_detector", "return_period", "zscore"}),
    "windows": frozenset({"return_period"}),
    "relevance": frozenset({"novelty"}),
    "quiet_below": frozenset({"novelty"}),
    "effect_min": _SHARE,
    "margin": _SHARE,
    "pending": _SHARE | {"return_period"},
    "window": _SHARE | {"zscore"},
    "for": frozenset({"e_detector", "return_period", "zscore", "threshold", "composite"}),
    "where": frozenset(_SIGNALS),
    "signal": frozenset(_SIGNALS),
    "baseline": frozenset(_SIGNALS),
    "min_support": frozenset(_SIGNALS),
}
_RESOLVE: Final[dict[Kind, tuple[str, ...]]] = {
    "e_detector": ("margin", "lt"),
    "return_period": ("return_period",),
    "zscore": SIDES,
    "threshold": ("margin", *SIDES),
    "novelty": (),
    "composite": (),
}
_LONGEST_WINDOW_MS: Final = 86_400_000
_LONGEST_STEP_MS: Final = 3_600_000
_MOST_STEPS: Final = 288
_LONGEST: Final = "3650d"
"""No duration is longer: added to the time of a story it stays a time of the calendar."""
_LONGEST_MS: Final = duration_ms(_LONGEST)
_MOST_DIGITS: Final = 9


def kind_of(rule: Rule) -> Kind:
    """Return what decides: the method of a spike, or the type."""
    return (rule.method or "e_detector") if rule.type == "spike" else rule.type


def refuse_what_is_not_there_yet(part: Part) -> None:
    """Raise RuleError for a type or a key that Squall will have, and does not have."""
    for (key, value), words in _NOT_YET.items():
        if isinstance(part.value, dict) and part.value.get(key) == value:
            part.refuse(f"{key}: {value}: {words}", (key,))


def with_defaults_of_type(rule: Rule, raw: Mapping[str, Any]) -> Rule:
    """Return the rule with what its type takes for granted: a novel story is one story of one voice.

    Args:
        rule: the rule.
        raw: what its file says.
    """
    if rule.type != "novelty":
        return rule
    said = raw.get("min_support") or {}
    support = rule.min_support
    one = {"stories": 1} if "stories" not in said else {}
    if "voices" not in said and "sources" not in said:
        one["voices"] = 1
    return msgspec.structs.replace(rule, min_support=msgspec.structs.replace(support, **one))


def check_type(rule: Rule, raw: Mapping[str, Any], fail: Fail) -> None:
    """Refuse what a rule of this type cannot say, and what it must say and does not.

    Args:
        rule: the rule.
        raw: what its file says.
        fail: told of the first thing that is wrong.
    """
    _check_durations(rule, fail)
    kind = kind_of(rule)
    called = f"a rule of type {rule.type}" + (f" with method {kind}" if kind in ("return_period", "zscore") else "")
    for key, kinds in _ONLY_FOR.items():
        if key in raw and kind not in kinds:
            fail(f"{key}: {called} has none", (key,))
    _check_fire(rule, kind, called, fail)
    signals = _SIGNALS.get(kind, ())
    if signals and rule.signal not in signals:
        fail(f"signal: {called} reads {' or '.join(signals)}, not {rule.signal}", ("signal",))
    is_share = kind == "e_detector" or (kind == "threshold" and rule.signal == "negative_share")
    if not is_share and "effect_min" in raw:
        fail(f"effect_min: is of the negative share, and {called} on {rule.signal} has none", ("effect_min",))
    for name, step in rule.severity.items():
        if step.effect and not is_share and kind != "composite":
            fail("effect is of the negative share, which this rule does not go by", ("severity", name, "effect"))
    _check_where(rule, fail)
    _check_season(rule, kind, called, fail)
    _check_windows(rule, kind, fail)
    _check_resolve(rule, kind, called, raw, fail)


def check_parts(rule: Rule, rules: Sequence[Rule], fail: Fail) -> None:
    """Refuse a composite rule that names a rule that is not there, or hangs on itself.

    Args:
        rule: a rule; of other types nothing is asked.
        rules: all rules of the file.
        fail: told of the first thing that is wrong.
    """
    if rule.type != "composite":
        return
    known = {other.alert: other for other in rules}
    for key, names in (("all", rule.fire.all_), ("any", rule.fire.any_), ("none", rule.fire.none)):
        for name in names:
            if name not in known:
                fail(f"fire.{key}: there is no rule {name!r}; the rules are {', '.join(known)}", ("fire", key))
    way = cycle_of(rule, {name: other for name, other in known.items() if other.type == "composite"})
    if way is not None:
        fail(f"fire: the rule hangs on itself: {' -> '.join(way)}", ("fire",))


def _check_durations(rule: Rule, fail: Fail) -> None:
    """Before anything reckons with them."""
    fire, pending = rule.fire, rule.pending
    found: list[tuple[Steps, str | None]] = [
        (("fire", "arl"), fire.arl),
        (("fire", "return_period"), fire.return_period),
        (("fire", "within"), fire.within),
        (("pending", "arl"), pending.arl),
        (("pending", "return_period"), pending.return_period),
        (("pending", "within"), pending.within),
        (("resolve", "return_period"), rule.resolve.return_period),
        (("window",), rule.window),
        *((("windows",), window) for window in rule.windows or ()),
        (("for",), rule.for_),
        (("keep_firing_for",), rule.keep_firing_for),
        (("cooldown", "for"), rule.cooldown.for_),
    ]
    for path, text in found:
        if text is not None and (len(text.lstrip("0")) > _MOST_DIGITS or duration_ms(text) > _LONGEST_MS):
            shown = text if len(text) <= 2 * _MOST_DIGITS else f"{text[:_MOST_DIGITS]}..."
            fail(f"{'.'.join(map(str, path))}: {shown} is too long: write {_LONGEST} at most", path)


def _check_fire(rule: Rule, kind: Kind, called: str, fail: Fail) -> None:
    allowed, needs = _FIRE[kind]
    said = [
        field.encode_name
        for field in msgspec.structs.fields(rule.fire)
        if getattr(rule.fire, field.name) != field.default
    ]
    deciding = [key for key in said if key not in ("none", "within")]
    is_one = bool(deciding) if kind == "composite" else len(said) == 1
    if not is_one or any(key not in allowed for key in said):
        fail(f"{called} needs fire: {needs}, and nothing else in it", ("fire",))
    bound = rule.fire.bound
    if bound is None:
        return
    where = ("fire", bound.side)
    _check_number(bound, _limits(rule, kind), f"fire.{bound.side}", where, fail)
    if kind == "zscore" and is_count(rule.signal) and not bound.is_upward:
        fail("fire: a count is judged as it grows, so that too few cannot be seen: say gte or gt", where)


def _limits(rule: Rule, kind: Kind) -> tuple[float | None, float | None]:
    if kind == "zscore":
        return None, None
    if kind == "novelty" or rule.signal == "negative_share":
        return 0.0, 1.0
    return (-1.0, 1.0) if rule.signal == "mean_sentiment" else (0.0, None)


def _check_number(bound: Bound, limits: tuple[float | None, float | None], name: str, at: Steps, fail: Fail) -> None:
    low, high = limits
    if low is not None and not bound.value >= low:
        fail(f"{name}: Expected `float` >= {low}, got {bound.value:g}", at)
    if high is not None and not bound.value <= high:
        fail(f"{name}: Expected `float` <= {high}, got {bound.value:g}", at)
    if abs(bound.value) == float("inf") or bound.value != bound.value:
        fail(f"{name}: expected a number, got {bound.value}", at)


def _check_where(rule: Rule, fail: Fail) -> None:
    where = rule.where
    if where is None:
        return
    choices = {"topic": where.topic, "source": where.source, "language": where.language}
    named = {key: choice for key, choice in choices.items() if choice is not None}
    if not named:
        fail("where: names nothing: say topic, source or language, or leave it out", ("where",))
    for key, choice in named.items():
        if not names_of(choice) or not all(names_of(choice)):
            fail(f"where.{key}: an empty list or name", ("where", key))


def _check_season(rule: Rule, kind: Kind, called: str, fail: Fail) -> None:
    if rule.baseline.season is None:
        return
    at = ("baseline", "season")
    if kind != "return_period":
        fail(f"baseline.season: {called} has none: only counts with method return_period have seasons", at)
    try:
        sessions(rule.baseline.season)
    except RuleError as error:
        fail(f"baseline.season: {error}", at)


def _check_windows(rule: Rule, kind: Kind, fail: Fail) -> None:
    if kind == "zscore" and duration_ms(rule.window) > _LONGEST_WINDOW_MS:
        fail(f"window: a z-score looks at 1d at most, not {rule.window}", ("window",))
    if rule.windows is None:
        return
    spans = [duration_ms(window) for window in rule.windows]
    if not spans or not spans[0]:
        fail("windows: the first must be at least 1m", ("windows",))
    if spans[0] > _LONGEST_STEP_MS or _LONGEST_STEP_MS % spans[0]:
        fail(f"windows: the first is the step, which must be a part of an hour; {rule.windows[0]} is not", ("windows",))
    if any(later <= before or later % spans[0] for before, later in pairwise(spans)):
        fail("windows: must ascend, as multiples of the first", ("windows",))
    if spans[-1] // spans[0] > _MOST_STEPS:
        fail(f"windows: the last is more than {_MOST_STEPS} times the first", ("windows",))


def _check_resolve(rule: Rule, kind: Kind, called: str, raw: Mapping[str, Any], fail: Fail) -> None:
    said = raw.get("resolve") or {}
    allowed = _RESOLVE[kind]
    for key in said:
        if key not in allowed:
            needs = f"is {' or '.join(allowed)}" if allowed else "is not asked for: leave it out"
            fail(f"resolve.{key}: the resolve of {called} {needs}", ("resolve", key))
    _check_periods(rule, kind, called, fail)
    fire, calm = rule.fire.bound, rule.resolve.bound
    if fire is None or calm is None or kind == "e_detector":
        return
    sides = [side for side in SIDES if getattr(rule.resolve, side) is not None]
    at = ("resolve", sides[0])
    if len(sides) > 1:
        fail(f"resolve: {' and '.join(sides)}: one of them is enough", ("resolve", sides[1]))
    _check_number(calm, _limits(rule, kind), f"resolve.{calm.side}", at, fail)
    if fire.is_upward == calm.is_upward:
        other = "lt or lte" if fire.is_upward else "gt or gte"
        fail(f"resolve.{calm.side} is on the side of fire.{fire.side}: say {other}", at)
    above, below = (calm.value, fire.value) if fire.is_upward else (fire.value, calm.value)
    touches = above == below and {fire.side, calm.side} == {"gte", "lte"}
    if above > below or touches:
        side = ("at" if touches else "above") if fire.is_upward else ("at" if touches else "below")
        what = f"resolve.{calm.side} {calm.value} is {side} fire.{fire.side} {fire.value}"
        fail(f"{what}: it would end as it begins", at)


def _check_periods(rule: Rule, kind: Kind, called: str, fail: Fail) -> None:
    for part, given in (("pending", rule.pending), ("resolve", rule.resolve)):
        period = given.return_period
        if period is None:
            continue
        if kind != "return_period":
            fail(f"{part}.return_period: {called} has none", (part, "return_period"))
        if not 0 < duration_ms(period) <= duration_ms(rule.fire.return_period or period):
            what = f"{part}.return_period {period} must be above 0m and at most fire.return_period"
            fail(f"{what} {rule.fire.return_period}", (part, "return_period"))
    if rule.fire.return_period is not None and not duration_ms(rule.fire.return_period):
        fail("fire.return_period must be at least 1m", ("fire", "return_period"))
    if kind == "return_period" and rule.pending.arl is not None:
        fail(f"pending.arl: {called} has none: say pending: {{return_period: ...}}", ("pending", "arl"))
