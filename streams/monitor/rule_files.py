"""Rule files: YAML to a RuleSet, wholly or not at all; what is wrong is said with file, line and column."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, NoReturn

import msgspec
import yaml

from streams.errors import RuleError
from streams.monitor.options import BaselineOptions, MarginOptions
from streams.monitor.rules import (
    PLACEHOLDER,
    PLACEHOLDERS,
    Cooldown,
    Fire,
    MinSupport,
    Resolve,
    Rule,
    RuleSet,
    SeverityStep,
    duration_ms,
)

Steps = tuple[str | int, ...]
"""Where a value stands: keys, and numbers of list items from 0."""
Fail = Callable[[str, Steps], NoReturn]
"""Refuses a rule: what is wrong, and the path of it within the rule."""

_PARTS: dict[str, type[msgspec.Struct]] = {
    "fire": Fire,
    "pending": Fire,
    "margin": MarginOptions,
    "baseline": BaselineOptions,
    "resolve": Resolve,
    "min_support": MinSupport,
    "cooldown": Cooldown,
}
_OWN_LABELS = frozenset({"alertname", "entity"})
_AT = re.compile(r" - at `(?:key in )?\$([^`]*)`$")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]")


class _Loader(yaml.SafeLoader):
    """Refuses a key that comes twice: YAML would let the last one win, and a threshold would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                msg = f"the key {key.value!r} stands here a second time: remove one"
                raise yaml.constructor.ConstructorError(None, None, msg, key.start_mark)
            if isinstance(key, yaml.ScalarNode):
                seen.add(key.value)
        return super().construct_mapping(node, deep)


class _RuleFile(msgspec.Struct, forbid_unknown_fields=True):
    """A file of alert rules."""

    rules: Annotated[list[Rule], msgspec.Meta(min_length=1)]


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a rule file, for editors. `parse_rules` knows more: that a spike needs `arl`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Squall alert rules",
        **msgspec.json.schema(_RuleFile),
    }


def default_rules() -> RuleSet:
    """Return the rules that are shipped."""
    text = resources.files("streams.monitor").joinpath("default_rules.yaml").read_text(encoding="utf-8")
    return parse_rules(text, name="default_rules.yaml")


def load_rules(path: Path) -> RuleSet:
    """Read a rule file.

    Raises:
        RuleError: the file cannot be read or a rule is not valid; nothing of it is taken then.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        msg = f"cannot read the rule file {path}: {error.strerror or error}"
        raise RuleError(msg) from error
    except UnicodeDecodeError as error:
        msg = f"cannot read the rule file {path}: it is not UTF-8 ({error.reason} at byte {error.start})"
        raise RuleError(msg) from error
    return parse_rules(text, name=str(path))


def parse_rules(text: str, *, name: str) -> RuleSet:
    """Read rules from YAML text. Raises RuleError, which begins with `name`, line and column.

    Args:
        text: the content of a rule file.
        name: the file's name, for errors.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        content = None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = error.problem or error.context
        kind = "" if isinstance(error, yaml.constructor.ConstructorError) else "not valid YAML: "
        msg = f"{name}:{_place(mark)}: {kind}{what}"
        raise RuleError(msg) from error
    except yaml.YAMLError as error:
        msg = f"{name}: not valid YAML: {error}"
        raise RuleError(msg) from error
    finally:
        loader.dispose()
    if not isinstance(content, dict) or set(content) != {"rules"} or not isinstance(content["rules"], list):
        msg = f"{name}:1:1: expected one key, 'rules', with a list of rules below it"
        raise RuleError(msg)
    rules = []
    for number, item in enumerate(content["rules"]):
        rules.append(_rule(item, _refusing(name, node, number, item)))
    named = Counter(rule.alert for rule in rules)
    for number, rule in enumerate(rules):
        if named[rule.alert] > 1 and any(rule.alert == before.alert for before in rules[:number]):
            _refusing(name, node, number, content["rules"][number])(
                "another rule has this name: every rule needs a name of its own", ("alert",)
            )
    if not rules:
        msg = f"{name}:{_place(_mark(node, ('rules',)))}: needs at least one rule"
        raise RuleError(msg)
    return RuleSet(rules=tuple(rules))


def _refusing(name: str, root: yaml.Node | None, number: int, item: Any) -> Fail:
    rule = f"rule {number + 1}"
    if isinstance(item, dict) and isinstance(item.get("alert"), str):
        rule += f" ({item['alert']})"

    def fail(what: str, path: Steps = ()) -> NoReturn:
        raise RuleError(f"{name}:{_place(_mark(root, ('rules', number, *path)))}: {rule}: {what}") from None

    return fail


def _mark(node: yaml.Node | None, path: Steps) -> yaml.Mark | None:
    """Where a value's key stands; that of the last key on the way that there is, for a value that is missing."""
    mark = None if node is None else node.start_mark
    for step in path:
        found = None
        if isinstance(node, yaml.MappingNode):
            pairs = [(key, value) for key, value in node.value if getattr(key, "value", None) == str(step)]
            found = pairs[-1] if pairs else None
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            found = (node.value[step], node.value[step])
        if found is None:
            break
        mark, node = found[0].start_mark, found[1]
    return mark


def _place(mark: yaml.Mark | None) -> str:
    return "1:1" if mark is None else f"{mark.line + 1}:{mark.column + 1}"


def _rule(item: Any, fail: Fail) -> Rule:
    _refuse_unknown(item, Rule, fail, ())
    if isinstance(item, dict):
        for name, kind in _PARTS.items():
            _refuse_unknown(item.get(name), kind, fail, (name,))
        steps = item.get("severity")
        for name, step in steps.items() if isinstance(steps, dict) else ():
            _refuse_unknown(step, SeverityStep, fail, ("severity", str(name)))
    try:
        rule = msgspec.convert(item, Rule)
    except msgspec.ValidationError as error:
        what = str(error)
        at = _AT.search(what)
        path: Steps = ()
        if at is not None:
            # msgspec does not tell keys of one's own: it writes [...] for them.
            path = tuple(int(number) if number else key for key, number in _STEP.findall(at[1].partition("[...]")[0]))
            inside = at[1].replace("[...]", ".*").lstrip(".")
            what = f"{inside}: {what[: at.start()]}" if inside else what[: at.start()]
        fail(what, path)
    _check(rule, fail)
    return rule


def _refuse_unknown(item: Any, kind: type[msgspec.Struct], fail: Fail, inside: tuple[str, ...]) -> None:
    known = [field.encode_name for field in msgspec.structs.fields(kind)]
    for key in item if isinstance(item, dict) else ():
        if key in known:
            continue
        before = "".join(f"{part}." for part in inside)
        near = difflib.get_close_matches(str(key), known, n=1)
        hint = f"; did you mean '{before}{near[0]}'?" if near else f"; known are {', '.join(known)}"
        fail(f"unknown key '{before}{key}'{hint}", (*inside, str(key)))


def _check(rule: Rule, fail: Fail) -> None:
    needed, other = ("arl", "gte") if rule.is_e_detector else ("gte", "arl")
    if getattr(rule.fire, needed) is None or getattr(rule.fire, other) is not None:
        fail(f"a rule of type {rule.type} needs fire: {{{needed}: ...}}, and nothing else in it", ("fire",))
    spans: tuple[tuple[Steps, str | None], ...] = (
        (("fire", "arl"), rule.fire.arl),
        (("pending", "arl"), rule.pending.arl),
        (("window",), rule.window),
    )
    for path, text in spans:
        if text is not None and duration_ms(text) == 0:
            fail(f"{'.'.join(map(str, path))} must be at least 1m", path)
    if rule.fire.gte is not None and rule.resolve.lt is not None and rule.resolve.lt > rule.fire.gte:
        what = f"resolve.lt {rule.resolve.lt} is above fire.gte {rule.fire.gte}: it would end as it begins"
        fail(what, ("resolve", "lt"))
    for taken in sorted(rule.labels.keys() & _OWN_LABELS):
        fail(f"the label {taken!r} is set by Squall, as it is part of an alert's identity", ("labels", taken))
    if not rule.severity:
        fail("severity needs at least one step", ("severity",))
    if isinstance(rule.margin, MarginOptions) and rule.margin.floor > rule.margin.ceiling:
        fail(f"margin.floor {rule.margin.floor} is above margin.ceiling {rule.margin.ceiling}", ("margin", "floor"))
    if not 0 < rule.baseline.prior_share < 1 or rule.baseline.prior_votes <= 0 or rule.baseline.half_life_days <= 0:
        fail("baseline needs 0 < prior_share < 1, prior_votes > 0 and half_life_days > 0", ("baseline",))
    for name, text in rule.annotations.items():
        for word in PLACEHOLDER.findall(text):
            if word not in PLACEHOLDERS:
                known = ", ".join(sorted(PLACEHOLDERS))
                fail(f"annotation has unknown {{{word}}}; known are {known}", ("annotations", name))
