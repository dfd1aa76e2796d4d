"""Groups of rules with defaults: what a rule becomes, where an error is said to stand, and that versions are kept."""

from __future__ import annotations

import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from streams.errors import RuleError
from streams.monitor.rule_files import json_schema, parse_rules
from streams.monitor.rule_groups import merged

GROUPED = """\
rules:
  - {alert: Alone, type: spike, fire: {arl: 30d}}
groups:
  - name: desk
    defaults:
      type: threshold
      fire: {gte: 0.7}
      min_support: {stories: 9, sources: 4}
      labels: {desk: credit}
    rules:
      - alert: High
        min_support: {stories: 5}
      - alert: Higher
        fire: {gte: 0.9}
        labels: {team: fast}
"""


def refusal(text: str) -> str:
    with pytest.raises(RuleError) as error:
        parse_rules(text, name="desk.yaml")
    return str(error.value)


def test_defaults_are_merged_key_by_key_and_a_rules_own_key_wins() -> None:
    alone, high, higher = parse_rules(GROUPED, name="desk.yaml").rules
    assert alone.labels == {}
    assert (high.type, high.fire.gte, high.labels) == ("threshold", 0.7, {"desk": "credit"})
    assert (high.min_support.stories, high.min_support.sources) == (5, 4)
    assert (higher.fire.gte, higher.min_support.stories) == (0.9, 9)
    assert higher.labels == {"desk": "credit", "team": "fast"}


def test_a_rule_that_moves_into_a_group_and_means_the_same_keeps_its_version() -> None:
    flat = """
rules:
  - alert: High
    type: threshold
    labels: {desk: credit}
    min_support: {sources: 4, stories: 5}
    fire: {gte: 0.7}
"""
    (before,) = parse_rules(flat, name="x").rules
    after = next(rule for rule in parse_rules(GROUPED, name="x").rules if rule.alert == "High")
    assert after.version == before.version


@pytest.mark.parametrize(
    ("old", "new", "place", "words"),
    [
        ("fire: {gte: 0.7}", "fire: {gte: 7}", "7:14", "group 1 (desk), rule 1 (High): fire.gte: Expected"),
        ("sources: 4", "sauces: 4", "8:33", "unknown key 'min_support.sauces'; did you mean 'min_support.sources'?"),
        ("{stories: 5}", "{stories: many}", "12:23", "rule 1 (High): min_support.stories: Expected `int`"),
        ("fire: {gte: 0.9}", "fire: {gte: 9}", "14:16", "rule 2 (Higher): fire.gte: Expected"),
        ("{desk: credit}", "{entity: ACME}", "9:16", "the label 'entity' is set by Squall"),
        ("type: threshold", "typo: threshold", "6:7", "unknown key 'typo'; did you mean 'type'?"),
        ("alert: Higher", "alert: Alone", "13:9", "group 1 (desk), rule 2 (Alone): another rule has this name"),
        ("      type: threshold", "      alert: All", "6:7", "'alert' is a rule's name, and no two rules may have"),
        ("name: desk", "name: 7", "4:5", "group 1: needs a name"),
        ("name: desk", "nome: desk", "4:5", "group 1: unknown key 'nome'; known are name, defaults, rules"),
    ],
)
def test_an_error_stands_where_the_value_stands(old: str, new: str, place: str, words: str) -> None:
    said = refusal(GROUPED.replace(old, new, 1))
    assert said.startswith(f"desk.yaml:{place}: "), said
    assert words in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("groups: {}", "groups: expected a list"),
        ("groups: []", "needs at least one rule"),
        ("groups: [7]", "group 1: expected a name, defaults and rules"),
        ("groups: [{name: a}]", "group 1 (a): rules: expected a list"),
        ("groups: [{name: a, rules: []}]", "group 1 (a): needs at least one rule"),
        ("groups: [{name: a, rules: [3]}]", "group 1 (a), rule 1: Expected `object`"),
        ("groups: [{name: a, defaults: [], rules: [{alert: A}]}]", "rule 1 (A): Object missing required field"),
        ("groups: [{name: a, defaults: [1], rules: [{alert: A}]}]", "defaults: expected keys of rules with values"),
        (
            "groups: [{name: a, rules: [{alert: A, type: spike, fire: {arl: 1d}}]}, {name: a, rules: []}]",
            "group 2: another group is called 'a'",
        ),
    ],
)
def test_what_is_no_group_is_refused_in_words(text: str, words: str) -> None:
    said = refusal(text)
    assert re.match(r"desk\.yaml:\d+:\d+: ", said)
    assert words in said


def test_the_schema_takes_a_group_whose_rules_lack_what_the_defaults_have() -> None:
    validator = Draft202012Validator(json_schema())
    assert list(validator.iter_errors(yaml.safe_load(GROUPED))) == []
    for old, new in (("type: threshold", "typo: threshold"), ("stories: 5", "stories: many"), ("name: desk", "a: b")):
        assert not validator.is_valid(yaml.safe_load(GROUPED.replace(old, new, 1)))
    assert not validator.is_valid({"groups": []})


values = st.recursive(st.integers(), lambda inner: st.dictionaries(st.sampled_from("abcd"), inner, max_size=3))
mappings = st.dictionaries(st.sampled_from("abcd"), values, max_size=4)


@given(defaults=mappings, own=mappings)
def test_every_own_value_survives_a_merge_and_defaults_fill_the_rest(
    defaults: dict[str, object], own: dict[str, object]
) -> None:
    found = merged(defaults, own)
    assert found.keys() == defaults.keys() | own.keys()
    for key, value in found.items():
        if key not in own:
            assert value == defaults[key]
        elif not isinstance(own[key], dict) or not isinstance(defaults.get(key), dict):
            assert value == own[key]
    assert merged(found, own) == found
    assert merged({}, own) == own
