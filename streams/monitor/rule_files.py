"""Rule files: YAML to a RuleSet, wholly or not at all; what is wrong is said with file, line and column."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import msgspec

from streams.monitor import inhibition
from streams.monitor.inhibition import InhibitRule
from streams.monitor.options import BaselineOptions, MarginOptions
from streams.monitor.rule_checks import (
    Fail,
    check_parts,
    check_type,
    refuse_what_is_not_there_yet,
    with_defaults_of_type,
)
from streams.monitor.rule_groups import LISTS, rule_parts
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
from streams.monitor.where import Not, Where
from streams.yaml_files import Part, Steps, YamlFile

_PARTS: dict[str, type[msgspec.Struct]] = {
    "fire": Fire,
    "pending": Fire,
    "margin": MarginOptions,
    "baseline": BaselineOptions,
    "resolve": Resolve,
    "where": Where,
    "min_support": MinSupport,
    "cooldown": Cooldown,
}
_OWN_LABELS = frozenset({"alertname", "entity"})


class _Group(msgspec.Struct, forbid_unknown_fields=True):
    """Rules with what they have in common."""

    name: Annotated[str, msgspec.Meta(min_length=1)]
    rules: Annotated[list[Rule], msgspec.Meta(min_length=1)]
    defaults: Rule | None = None


class _RuleFile(msgspec.Struct, forbid_unknown_fields=True):
    """A file of alert rules."""

    rules: list[Rule] = []
    groups: list[_Group] = []
    inhibit_rules: list[InhibitRule] = []


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a rule file, for editors. `parse_rules` knows more: that a spike needs `arl`."""
    schema = msgspec.json.schema(_RuleFile)
    known = schema["$defs"]
    # What a rule of a group lacks, its group's defaults may have.
    known["GroupedRule"] = {**known["Rule"], "title": "GroupedRule", "required": ["alert"]}
    named = {key: value for key, value in known["Rule"]["properties"].items() if key != "alert"}
    known["Defaults"] = {**known["Rule"], "title": "Defaults", "required": [], "properties": named}
    group = known["_Group"]["properties"]
    group["rules"]["items"] = {"$ref": "#/$defs/GroupedRule"}
    group["defaults"] = {"anyOf": [{"$ref": "#/$defs/Defaults"}, {"type": "null"}]}
    known["_RuleFile"] |= {
        "anyOf": [
            {"required": ["rules"], "properties": {"rules": {"minItems": 1}}},
            {"required": ["groups"], "properties": {"groups": {"minItems": 1}}},
        ]
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Squall alert rules", **schema}


def default_rules() -> RuleSet:
    """Return the rules that are shipped."""
    text = resources.files("streams.monitor").joinpath("default_rules.yaml").read_text(encoding="utf-8")
    return parse_rules(text, name="default_rules.yaml")


def load_rules(path: Path) -> RuleSet:
    """Read a rule file.

    Raises:
        RuleError: the file cannot be read or a rule is not valid; nothing of it is taken then.
    """
    return _rules_of(YamlFile.read(path, "rule file"))


def parse_rules(text: str, *, name: str) -> RuleSet:
    """Read rules from YAML text. Raises RuleError, which begins with `name`, line and column.

    Args:
        text: the content of a rule file.
        name: the file's name, for errors.
    """
    return _rules_of(YamlFile(text, name))


def _rules_of(file: YamlFile) -> RuleSet:
    content = file.content
    if not isinstance(content, dict) or not any(name in content for name in LISTS):
        file.refuse("expected a key 'rules' with a list of rules below it, or 'groups' with rules and their defaults")
    known = (*LISTS, inhibition.KEY)
    unknown = [key for key in content if key not in known]
    if unknown:
        file.refuse(f"unknown key '{unknown[0]}'; known are {', '.join(known)}", (unknown[0],))
    rules: list[Rule] = []
    parts = rule_parts(file, content)
    for part in parts:
        rule = _rule(part)
        if any(rule.alert == before.alert for before in rules):
            part.refuse("another rule has this name: every rule needs a name of its own", ("alert",))
        rules.append(rule)
    if not rules:
        file.refuse("needs at least one rule", (next(iter(content)),))
    for rule, part in zip(rules, parts, strict=True):
        check_parts(rule, rules, part.refuse)
    return RuleSet(rules=tuple(rules), inhibit_rules=inhibition.inhibit_rules_of(file, content, rules))


def _rule(part: Part) -> Rule:
    part.refuse_unknown(Rule)
    if isinstance(part.value, dict):
        for name, kind in _PARTS.items():
            part.refuse_unknown(kind, (name,))
        steps = part.value.get("severity")
        for name in steps if isinstance(steps, dict) else ():
            part.refuse_unknown(SeverityStep, ("severity", str(name)))
        where = part.value.get("where")
        for name in where if isinstance(where, dict) else ():
            part.refuse_unknown(Not, ("where", str(name)))
    refuse_what_is_not_there_yet(part)
    rule: Rule = part.convert(Rule)
    check_type(rule, part.value, part.refuse)
    _check(rule, part.refuse)
    return with_defaults_of_type(rule, part.value)


def _check(rule: Rule, fail: Fail) -> None:
    spans: tuple[tuple[Steps, str | None], ...] = (
        (("fire", "arl"), rule.fire.arl),
        (("pending", "arl"), rule.pending.arl),
        (("window",), rule.window),
    )
    for path, text in spans:
        if text is not None and duration_ms(text) == 0:
            fail(f"{'.'.join(map(str, path))} must be at least 1m", path)
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
