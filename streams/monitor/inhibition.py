"""`inhibit_rules:` of a rule file: while one alert of a company fires, another that says less calls nobody.

Words and meaning are Alertmanager's, with one bound: an alert is held against others of the same company alone. The
companies are spread over workers that do not know each other's alerts, and a replay of one company must come out as it
did live. What inhibits across companies is for Alertmanager's own inhibit_rules, to which the alerts go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Annotated

import msgspec

from streams.matchers import Matcher, equals_first, parse_matcher
from streams.yaml_files import Part, YamlFile

if TYPE_CHECKING:
    from streams.monitor.rules import Rule

KEY = "inhibit_rules"
_ENTITY = "entity"
_Matchers = Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
_Node = tuple[str, str]
"""A rule and a severity."""


class InhibitRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """While an alert fits the source and fires, one that fits the target calls nobody."""

    source_matchers: _Matchers
    """Conditions on labels, `rule` and `severity` of the alert that fires, such as `severity="critical"`."""
    target_matchers: _Matchers
    equal: tuple[str, ...]
    """Labels that both must have alike; `entity` is always one of them."""

    @cached_property
    def source(self) -> tuple[Matcher, ...]:
        """`source_matchers`, read."""
        return equals_first(map(parse_matcher, self.source_matchers))

    @cached_property
    def target(self) -> tuple[Matcher, ...]:
        """`target_matchers`, read."""
        return equals_first(map(parse_matcher, self.target_matchers))

    def holds_back(self, target: Mapping[str, str], source: Mapping[str, str]) -> bool:
        """Whether an alert calls nobody while another fires; as in Alertmanager, none that fits both sides does it.

        Args:
            target: labels of the one alert, with `rule` and `severity`.
            source: those of the other.
        """
        if not _fit(self.target, target) or not _fit(self.source, source):
            return False
        if any(target.get(label, "") != source.get(label, "") for label in self.equal):
            return False
        return not (_fit(self.source, target) and _fit(self.target, source))

    def in_words(self) -> str:
        """Return what it does as a sentence."""
        return f"while an alert with {', '.join(self.source_matchers)} fires, one with " + (
            f"{', '.join(self.target_matchers)} and the same {', '.join(self.equal)} calls nobody"
        )


def inhibit_rules_of(file: YamlFile, content: Mapping[str, object], rules: Sequence[Rule]) -> tuple[InhibitRule, ...]:
    """Read the inhibit rules of a rule file.

    Args:
        file: the file.
        content: its keys with their values.
        rules: its rules.

    Raises:
        RuleError: one is not valid, fits no rule, or two alerts would hold back each other.
    """
    items = content.get(KEY, [])
    if not isinstance(items, list):
        file.refuse(f"{KEY}: expected a list", (KEY,))
    nodes = dict(_nodes(rules))
    found: list[InhibitRule] = []
    edges: dict[_Node, set[_Node]] = {}
    for number, item in enumerate(items):
        part = Part(file, item, (KEY, number), f"inhibit rule {number + 1}")
        one = _read(part)
        _fits_something(one, part, nodes.values())
        found.append(one)
        of_any = _of_any_company(one)
        for source, its in nodes.items():
            others = ((target, labels) for target, labels in nodes.items() if target[0] != source[0])
            held = {target for target, labels in others if of_any.holds_back(labels, its)}
            edges.setdefault(source, set()).update(held)
        circle = _circle(edges)
        if circle:
            part.refuse(f"{' and '.join(circle)} would hold back each other, and nobody would hear of either")
    return tuple(found)


def _read(part: Part) -> InhibitRule:
    part.refuse_unknown(InhibitRule)
    equal = part.value.get("equal") if isinstance(part.value, dict) else [_ENTITY]
    if not isinstance(equal, list) or _ENTITY not in equal:
        what = (
            "equal must name entity: an alert is held against others of the same company alone, as the companies are "
            "spread over workers. What inhibits across companies is for Alertmanager's own inhibit_rules"
        )
        part.refuse(what, ("equal",))
    one: InhibitRule = part.convert(InhibitRule)
    for side in ("source_matchers", "target_matchers"):
        for place, text in enumerate(getattr(one, side)):
            try:
                parse_matcher(text)
            except ValueError as error:
                part.refuse(f"{side}: {error}", (side, place))
    return one


def _of_any_company(one: InhibitRule) -> InhibitRule:
    """Return the same without what it says of companies, as these are not known beforehand."""
    source, target = (
        tuple(str(matcher) for matcher in side if matcher.label != _ENTITY) for side in (one.source, one.target)
    )
    return InhibitRule(source_matchers=source, target_matchers=target, equal=one.equal)


def _fits_something(one: InhibitRule, part: Part, nodes: Iterable[Mapping[str, str]]) -> None:
    """A name that was misspelt would inhibit nothing, and nobody would see it."""
    every, of_any = list(nodes), _of_any_company(one)
    for side, matchers in (("source_matchers", of_any.source), ("target_matchers", of_any.target)):
        if not any(_fit(matchers, labels) for labels in every):
            part.refuse(f"{side}: no rule of this file raises such an alert", (side,))


def _nodes(rules: Sequence[Rule]) -> Iterator[tuple[_Node, dict[str, str]]]:
    """Yield the labels of all alerts that rules may raise for one company."""
    for rule in rules:
        for severity in rule.severity:
            labels = {"alertname": rule.alert, **rule.labels, "rule": rule.alert, "severity": severity}
            yield (rule.alert, severity), labels


def _circle(edges: Mapping[_Node, set[_Node]]) -> list[str]:
    """Return the names of rules that hold back one another; none if there are none such."""
    for start in sorted(edges):
        seen: set[_Node] = set()
        ways = [[start]]
        while ways:
            way = ways.pop()
            for following in sorted(edges.get(way[-1], ())):
                if following == start:
                    return [name for name, _ in way]
                if following not in seen:
                    seen.add(following)
                    ways.append([*way, following])
    return []


def _fit(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    return all(matcher.matches(labels) for matcher in matchers)
