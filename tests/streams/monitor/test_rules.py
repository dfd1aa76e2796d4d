"""Rule files: what they mean, what is refused and in which words, and when a rule's version changes."""

from __future__ import annotations

import math
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from streams.errors import RuleError
from streams.monitor import default_rules, load_rules
from streams.monitor.rule_files import json_schema, parse_rules
from streams.monitor.rules import Rule, duration_ms, fill

SPIKE: dict[str, Any] = {"alert": "Surge", "type": "spike", "fire": {"arl": "30d"}}
HIGH: dict[str, Any] = {"alert": "High", "type": "threshold", "fire": {"gte": 0.7}, "resolve": {"lt": 0.5}}


def parsed(*rules: dict[str, Any]) -> tuple[Rule, ...]:
    return parse_rules(yaml.safe_dump({"rules": list(rules)}), name="desk.yaml").rules


def version(**changes: Any) -> str:
    (rule,) = parsed({**SPIKE, **changes})
    return rule.version


def refusal(text: str) -> str:
    with pytest.raises(RuleError) as error:
        parse_rules(text, name="desk.yaml")
    assert str(error.value).startswith("desk.yaml")
    return str(error.value)


def refused(rule: Any) -> str:
    return refusal(yaml.safe_dump({"rules": [rule]}))


def test_the_rules_that_are_shipped_load_and_bear_names_of_their_own() -> None:
    rules = default_rules()
    assert [rule.alert for rule in rules.rules] == ["NegativeShareSurge", "NegativeShareHigh"]
    surge = rules.rules[0]
    assert (surge.arl_minutes, surge.log_pending) == (30 * 1440, math.log(1440))
    assert default_rules().version == rules.version


def test_keys_that_the_language_has_since_do_not_change_the_version_of_a_rule_without_them() -> None:
    shipped = {rule.alert: rule.version for rule in default_rules().rules}
    assert shipped == {"NegativeShareSurge": "96aaa21a4e58", "NegativeShareHigh": "76b4f99babfc"}
    assert default_rules().version == "daa5f8513599"


def test_a_rule_file_is_read_from_disk_and_a_missing_one_is_named(tmp_path: Path) -> None:
    file = tmp_path / "desk.yaml"
    with pytest.raises(RuleError, match="cannot read the rule file"):
        load_rules(file)
    file.write_bytes(b"rules: \xff")
    with pytest.raises(RuleError, match="cannot read the rule file"):
        load_rules(file)
    file.write_text(yaml.safe_dump({"rules": [SPIKE]}), encoding="utf-8")
    assert load_rules(file).rules == parsed(SPIKE)


@pytest.mark.parametrize(
    ("text", "ms"), [("0m", 0), ("1m", 60_000), ("90m", 5_400_000), ("12h", 43_200_000), ("5d", 432_000_000)]
)
def test_durations_are_whole_minutes_hours_and_days(text: str, ms: int) -> None:
    assert duration_ms(text) == ms


@pytest.mark.parametrize("text", ["", "5", "5s", "1.5h", "-1h", "1h30m", " 1h"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(RuleError, match="is no duration: write a whole number and m, h or d"):
        duration_ms(text)
    assert ": rule 1 (Surge): for: Expected" in refused({**SPIKE, "for": text})


@pytest.mark.parametrize(
    ("key", "nearest"),
    [("marginn", "margin"), ("keep_firing", "keep_firing_for"), ("severities", "severity"), ("for_", "for")],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(key: str, nearest: str) -> None:
    text = refused({**SPIKE, key: 1})
    assert f"rule 1 (Surge): unknown key '{key}'; did you mean '{nearest}'?" in text


@pytest.mark.parametrize(
    ("part", "key", "nearest"),
    [
        ("fire", "alr", "arl"),
        ("pending", "arll", "arl"),
        ("resolve", "margins", "margin"),
        ("margin", "deviation", "deviations"),
        ("min_support", "voice", "voices"),
        ("min_support", "story", "stories"),
        ("cooldown", "fore", "for"),
        ("baseline", "half_life", "half_life_days"),
    ],
)
def test_an_unknown_key_inside_a_part_is_too(part: str, key: str, nearest: str) -> None:
    text = refused({**SPIKE, part: {key: 1}})
    assert f"unknown key '{part}.{key}'; did you mean '{part}.{nearest}'?" in text


def test_an_unknown_key_of_a_severity_is_too() -> None:
    text = refused({**SPIKE, "severity": {"critical": {"efect": 0.3}}})
    assert "unknown key 'severity.critical.efect'; did you mean 'severity.critical.effect'?" in text


def test_a_key_like_no_other_is_answered_with_all_that_are_known() -> None:
    assert "unknown key 'zzz'; known are alert, type, fire" in refused({**SPIKE, "zzz": 1})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rules: [", "not valid YAML"),
        ("", "expected a key 'rules'"),
        ("- alert: A", "expected a key 'rules'"),
        ("rules: {}", "rules: expected a list"),
        ("rules: []\nother: 1", "unknown key 'other'; known are rules, groups"),
        ("rules: []", "needs at least one rule"),
        ("rules: [7]", "rule 1: Expected `object`"),
        ("rules: [null]", "rule 1: Expected `object`"),
        ("rules: [{alert: A}]", "rule 1 (A): Object missing required field `type`"),
    ],
)
def test_a_file_that_holds_no_rules_says_what_is_expected(text: str, words: str) -> None:
    assert words in refusal(text)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"alert": "two words"}, "alert: Expected `str` matching"),
        ({"type": "wobble"}, "type: Invalid enum value 'wobble'"),
        ({"signal": "volum"}, "signal: Invalid enum value 'volum'"),
        ({"signal": "volume"}, "signal: a rule of type spike reads negative_share, not volume"),
        ({"margin": 1.2}, "margin: Expected"),
        ({"margin": -0.1}, "margin: Expected"),
        ({"margin": "much"}, "margin: Expected"),
        ({"margin": {"floor": 1.1}}, "margin.floor: Expected"),
        ({"margin": {"deviations": -1}}, "margin.deviations: Expected"),
        ({"margin": {"floor": 0.2}}, "margin.floor 0.2 is above margin.ceiling 0.15"),
        ({"min_support": {"voices": "two"}}, "min_support.voices: Expected"),
        ({"effect_min": 2}, "effect_min: Expected"),
        ({"fire": {"gte": 0.5}}, "needs fire: {arl: ...}"),
        ({"fire": {"arl": "30d", "gte": 0.5}}, "and nothing else in it"),
        ({"fire": {"arl": "0m"}}, "fire.arl must be at least 1m"),
        ({"pending": {"arl": "0h"}}, "pending.arl must be at least 1m"),
        ({"fire": None}, "fire: Expected"),
        ({"severity": {}}, "severity needs at least one step"),
        ({"severity": {"loud": {}}}, "severity"),
        ({"cooldown": {"unless": "friday"}}, "cooldown.unless: Invalid enum value 'friday'"),
        ({"baseline": {"prior_share": 0}}, "0 < prior_share < 1"),
        ({"baseline": {"prior_votes": 0}}, "prior_votes > 0"),
        ({"baseline": {"half_life_days": -1}}, "half_life_days > 0"),
        ({"annotations": {"summary": "{entty} is down"}}, "annotation has unknown {entty}"),
        ({"labels": {"team": 5}}, "labels.*: Expected"),
        ({"labels": {"entity": "ALL"}}, "the label 'entity' is set by Squall"),
        ({"labels": {"alertname": "X"}}, "the label 'alertname' is set by Squall"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_with_the_rules_name(changes: dict[str, Any], words: str) -> None:
    assert words in refused({**SPIKE, **changes})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"fire": {"arl": "30d"}}, "needs fire: {gte: ...}"),
        ({"fire": {"gte": 1.5}}, "fire.gte: Expected"),
        ({"window": "0m"}, "window must be at least 1m"),
        ({"resolve": {"lt": 0.8}}, "resolve.lt 0.8 is above fire.gte 0.7"),
    ],
)
def test_a_threshold_has_bounds_of_its_own(changes: dict[str, Any], words: str) -> None:
    assert words in refused({**HIGH, **changes})


def test_two_rules_may_not_bear_one_name() -> None:
    assert "rule 2 (Surge): another rule has this name" in refusal(yaml.safe_dump({"rules": [SPIKE, SPIKE]}))


DESK = """\
# a desk's file
rules:
  - alert: Surge
    type: spike
    fire: {arl: 30d}
    min_support: {stories: 4, voice: 2}
  - alert: High
    type: threshold
    fire:
      gte: 0.7
    severity:
      info: {effect: 2}
    annotations:
      summary: "{entity} is {loud}"
"""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "6:31: rule 1 (Surge): unknown key 'min_support.voice'; did you mean 'min_support.voices'?"),
        ({"voice": "voices"}, "11:5: rule 2 (High): severity.*.effect: Expected `float` <= 1.0"),
        ({"voice": "voices", "effect: 2": "effect: 0.2"}, "14:7: rule 2 (High): annotation has unknown {loud}"),
        (
            {"voice": "voices", "gte: 0.7": "gte: much"},
            "10:7: rule 2 (High): fire.gte: Expected `float | null`, got `str`",
        ),
        (
            {"voice": "voices", "gte: 0.7": "arl: 1d", "effect: 2": "effect: 0"},
            "9:5: rule 2 (High): a rule of type threshold needs",
        ),
        (
            {"voice": "voices", "alert: High": "alert: Surge", "effect: 2": "effect: 0", "{loud}": "loud"},
            "7:5: rule 2 (Surge): an",
        ),
        ({"type: spike": "kind: spike", "voice": "voices"}, "4:5: rule 1 (Surge): unknown key 'kind'"),
        ({"type: spike": "# none", "voice": "voices"}, "3:5: rule 1 (Surge): Object missing required field `type`"),
        ({"fire: {arl: 30d}": "fire: {arl: 30d"}, "6:16: not valid YAML: expected ',' or '}'"),
    ],
)
def test_what_is_wrong_is_said_with_line_and_column(change: dict[str, str], words: str) -> None:
    text = DESK
    for old, new in change.items():
        assert old in text
        text = text.replace(old, new, 1)
    assert refusal(text).startswith(f"desk.yaml:{words}")


def test_one_bad_rule_and_nothing_is_taken() -> None:
    assert "rule 2 (High)" in refusal(yaml.safe_dump({"rules": [SPIKE, {**HIGH, "fire": {}}]}))


def test_a_version_does_not_change_with_comments_order_or_defaults_spelled_out() -> None:
    plain = "rules:\n - alert: Surge\n   type: spike\n   fire: {arl: 30d}\n   labels: {a: x, b: y}\n"
    other = "# ours\nrules:\n - labels: {b: y, a: x}\n   margin: {floor: 0.02} # as it was\n   fire: {arl: '30d'}\n"
    other += "   for: 0m\n   type: spike\n   effect_min: 0.1\n   alert: Surge\n"
    assert parse_rules(plain, name="a").rules[0].version == parse_rules(other, name="b").rules[0].version


@pytest.mark.parametrize(
    "change",
    [
        {"margin": 0.12},
        {"margin": {"deviations": 2}},
        {"min_support": {"voices": 3}},
        {"min_support": {"sources": 2}},
        {"fire": {"arl": "31d"}},
        {"pending": {"arl": "1d"}},
        {"for": "1m"},
        {"keep_firing_for": "31m"},
        {"baseline": {"half_life_days": 6}},
        {"min_support": {"sources": 3}},
        {"cooldown": {"for": "1h"}},
        {"severity": {"critical": {}}},
        {"labels": {"desk": "credit"}},
        {"alert": "Other"},
    ],
)
def test_a_version_changes_with_the_meaning(change: dict[str, Any]) -> None:
    assert version(**change) != version()


def test_the_version_of_all_rules_changes_with_each_of_them() -> None:
    def of(*rules: dict[str, Any]) -> str:
        return parse_rules(yaml.safe_dump({"rules": list(rules)}), name="x").version

    assert len({of(SPIKE), of(HIGH), of(SPIKE, HIGH), of({**SPIKE, "margin": 0.2}, HIGH)}) == 4


def test_an_annotation_is_filled_and_nothing_else_in_it_is_interpreted() -> None:
    values = {"entity": "{share}", "share": "62%"}
    assert fill("{entity}: {share} {unknown} {0} {entity.x} %s", values) == "{share}: 62% {unknown} {0} {entity.x} %s"


def test_a_word_for_what_is_counted_is_in_the_singular_for_one() -> None:
    text = "{stories} stories from {sources} sources in {minutes} minutes; {sources} sourcesX; {other} sources"
    one = {"stories": "1", "sources": "1", "minutes": "1"}
    assert fill(text, one) == "1 story from 1 source in 1 minute; 1 sourcesX; {other} sources"
    many = {"stories": "12", "sources": "0", "minutes": "11"}
    assert fill(text, many) == "12 stories from 0 sources in 11 minutes; 0 sourcesX; {other} sources"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rules:\n  - {alert: A}\nrules:\n  - {alert: B}\n", "3:1: the key 'rules'"),
        ("rules:\n  - alert: A\n    fire: {gte: 0.5, gte: 0.9}\n", "3:22: the key 'gte'"),
    ],
)
def test_a_key_that_comes_twice_is_refused_and_not_overwritten(text: str, words: str) -> None:
    with pytest.raises(RuleError, match="desk.yaml:" + words + " stands here a second time"):
        parse_rules(text, name="desk.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "rules: [\x01]",
        "rules: [{a: 2024-13-45}]",
        "rules: !!int abc",
        "rules: !!map [a]",
        "[" * 3000,
        "a: !!set {1: [}",
    ],
)
def test_what_yaml_itself_trips_over_is_a_refusal_too(text: str) -> None:
    with pytest.raises(RuleError, match=r"^desk\.yaml:"):
        parse_rules(text, name="desk.yaml")


def test_a_tag_that_would_make_objects_is_refused() -> None:
    with pytest.raises(RuleError, match=r"desk\.yaml:1:8: could not determine a constructor"):
        parse_rules("rules: !!python/object/apply:os.getcwd []", name="desk.yaml")


def test_the_schema_takes_what_is_shipped_and_refuses_what_the_reader_refuses() -> None:
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    shipped = resources.files("streams.monitor").joinpath("default_rules.yaml").read_text(encoding="utf-8")
    assert list(validator.iter_errors(yaml.safe_load(shipped))) == []
    wrong = yaml.safe_load(DESK)
    places = {tuple(error.absolute_path) for error in validator.iter_errors(wrong)}
    assert {("rules", 0, "min_support"), ("rules", 1, "severity", "info", "effect")} <= places
    assert not validator.is_valid({"rules": []})
    assert not validator.is_valid({"rule": [SPIKE]})
