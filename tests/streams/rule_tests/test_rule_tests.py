"""Rule tests: what a file may say, what a run makes of it, and in which words it fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import deploy
from streams.errors import RuleError
from streams.rule_tests import Outcome, load_rule_tests, run_test
from streams.rule_tests.files import span_s
from streams.rule_tests.run import START, since_start

EXAMPLE = Path(deploy.__file__).parent / "examples" / "rule_tests.yaml"
RULES = """
rules:
  - alert: High
    type: threshold
    window: 30m
    fire: {gte: 0.7}
    resolve: {lt: 0.4}
    min_support: {stories: 4, sources: 2}
    keep_firing_for: 5m
    cooldown: {for: 1h, unless: never}
"""
QUIET = {"from": "0s", "to": "6h", "every": "10m", "negative": 0.1}
LOUD = {"from": "3h", "to": "3h20m", "every": "1m", "negative": 0.95}


def outcome(folder: Path, **test: Any) -> Outcome:
    (folder / "desk.yaml").write_text(RULES)
    file = folder / "tests.yaml"
    file.write_text(yaml.safe_dump({"rules": "desk.yaml", "tests": [{"name": "one", **test}]}))
    found = load_rule_tests(file)
    return run_test(found.tests[0], found.rules)


def test_the_example_passes_against_the_shipped_rules() -> None:
    found = load_rule_tests(EXAMPLE)
    assert [run_test(one, found.rules).passed for one in found.tests] == [True] * len(found.tests)
    assert len(found.tests) >= 5


def test_the_examples_of_every_type_pass_and_each_of_their_rules_fires_in_one() -> None:
    found = load_rule_tests(EXAMPLE.parent / "rules" / "desk_tests.yaml")
    outcomes = [run_test(one, found.rules) for one in found.tests]
    assert [outcome.passed for outcome in outcomes] == [True] * len(outcomes)
    fired = {alert.rule for outcome in outcomes for alert in outcome.raised if alert.state == "firing"}
    assert fired == {rule.alert for rule in found.rules.rules}
    assert {rule.type for rule in found.rules.rules} == {"spike", "threshold", "novelty", "composite"}


def test_mentions_have_a_source_a_language_and_a_relevance_of_their_own_if_that_is_said(tmp_path: Path) -> None:
    rules = """
rules:
  - alert: New
    type: novelty
    where: {source: newswire, language: en}
    relevance: 0.5
    fire: {gte: 0.9}
"""
    said = {"from": "1h", "negative": 0.9, "source": "newswire", "language": "en", "relevance": 0.5, "positive": 0.1}
    (tmp_path / "desk.yaml").write_text(rules)
    file = tmp_path / "tests.yaml"
    for change, count in (({}, 1), ({"source": "blog"}, 0), ({"language": "de"}, 0), ({"relevance": 0.4}, 0)):
        file.write_text(yaml.safe_dump({"rules": "desk.yaml", "tests": [{"name": "one", "mentions": [said | change]}]}))
        found = load_rule_tests(file)
        assert len(run_test(found.tests[0], found.rules).raised) == count
    file.write_text(yaml.safe_dump({"tests": [{"name": "one", "mentions": [said | {"positive": 0.2}]}]}))
    with pytest.raises(RuleError, match="mentions 1: negative and positive add up to more than 1"):
        load_rule_tests(file)


def test_what_fires_must_be_expected_and_what_is_expected_must_fire(tmp_path: Path) -> None:
    expected = {"alert": "High", "from": "3h", "to": "3h20m"}
    assert outcome(tmp_path, mentions=[QUIET, LOUD], expect=[expected]).passed
    unexpected = outcome(tmp_path, mentions=[QUIET, LOUD])
    assert [(alert.rule, alert.state) for alert in unexpected.unexpected] == [("High", "firing")]
    missing = outcome(tmp_path, mentions=[QUIET], expect=[expected])
    assert [wanted.alert for wanted in missing.missing] == ["High"]
    assert missing.raised == ()


@pytest.mark.parametrize(
    ("change", "passes"),
    [
        ({"to": "3h1m"}, False),
        ({"from": "3h19m"}, False),
        ({"severity": "warning"}, True),
        ({"severity": "critical"}, False),
        ({"entity": "OTHER"}, False),
        ({"state": "resolved", "to": "6h"}, False),
    ],
)
def test_an_expectation_is_met_by_time_state_severity_and_company(
    tmp_path: Path, change: dict[str, str], passes: bool
) -> None:
    expected = {"alert": "High", "from": "3h", "to": "3h20m", **change}
    assert outcome(tmp_path, mentions=[QUIET, LOUD], expect=[expected]).passed == passes


def test_copies_are_one_story_and_one_source_is_not_two(tmp_path: Path) -> None:
    assert outcome(tmp_path, mentions=[QUIET, {**LOUD, "text": "Acme recalls every kettle it ever made"}]).passed
    assert outcome(tmp_path, mentions=[{**QUIET, "sources": 1}, {**LOUD, "sources": 1}]).passed


def test_an_end_is_looked_at_only_where_it_is_expected(tmp_path: Path) -> None:
    calm = {"from": "3h21m", "to": "6h", "every": "1m", "negative": 0.0}
    firing = {"alert": "High"}
    over = {"alert": "High", "state": "resolved", "from": "3h20m", "to": "4h30m"}
    assert outcome(tmp_path, mentions=[QUIET, LOUD, calm], expect=[firing]).passed
    assert outcome(tmp_path, mentions=[QUIET, LOUD, calm], expect=[firing, over]).passed
    twice = outcome(tmp_path, mentions=[QUIET, LOUD, calm], expect=[firing, over, over])
    assert len(twice.missing) == 1, "a record answers one expectation"


def test_what_comes_too_late_has_no_say(tmp_path: Path) -> None:
    assert outcome(tmp_path, mentions=[{**QUIET, "every": "1m"}, {**LOUD, "late": "1h"}]).passed
    assert not outcome(tmp_path, mentions=[{**QUIET, "every": "10m"}, {**LOUD, "late": "30s"}]).passed


def test_the_same_test_gives_the_same_alerts(tmp_path: Path) -> None:
    mentions = [{**QUIET, "negative": [0.0, 0.4]}, {**LOUD, "negative": [0.8, 1.0], "authors": 7, "count": 2}]
    first, second = (outcome(tmp_path, mentions=mentions).raised for _ in range(2))
    assert first
    assert first == second


def test_a_firing_is_expected_by_no_other_state_of_the_same_alert(tmp_path: Path) -> None:
    calm = {"from": "3h21m", "to": "6h", "every": "1m", "negative": 0.0}
    only = outcome(tmp_path, mentions=[QUIET, LOUD, calm], expect=[{"alert": "High", "state": "resolved"}])
    assert only.missing == ()
    assert [alert.state for alert in only.unexpected] == ["firing"]


def test_the_narrower_expectation_takes_its_alert_first(tmp_path: Path) -> None:
    again = {"from": "5h", "to": "5h20m", "every": "1m", "negative": 0.95}
    calm = {"from": "3h21m", "to": "4h59m", "every": "1m", "negative": 0.0}
    quiet = {**QUIET, "to": "7h"}
    wanted = [{"alert": "High"}, {"alert": "High", "to": "4h"}]
    assert outcome(tmp_path, mentions=[quiet, LOUD, calm, again], expect=wanted).passed


TEST = """\
rules: desk.yaml
tests:
  - name: one
    mentions:
      - {from: 0s, to: 6h, every: 10m, negative: 0.1}
    expect:
      - {alert: High, from: 3h, to: 4h}
"""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("negative", "negativ", "5:40: test 1 (one), mentions 1: unknown key 'negativ'; did you mean 'negative'?"),
        ("0.1}", "1.1}", "5:40: test 1 (one): mentions[0].negative: Expected `float` <= 1.0"),
        ("0.1}", "[0.5, 0.1]}", "5:40: test 1 (one), mentions 1: negative: the first bound is above the second"),
        ("0.1}", "[0.5]}", "5:40: test 1 (one): mentions[0].negative: Expected `array` of length >= 2"),
        ("every: 10m, ", "", "5:10: test 1 (one), mentions 1: to and every belong together"),
        ("every: 10m", "every: 0m", "5:28: test 1 (one), mentions 1: every must be at least 1s"),
        ("every: 10m", "every: soon", "5:28: test 1 (one), mentions 1: every: 'soon' is no span of time"),
        ("every: 10m", "every: 10m, count: 2000000", "5:40: test 1 (one), mentions 1: more than 1,000,000 mentions"),
        ("to: 6h", "to: 99999999d", "5:20: test 1 (one), mentions 1: to: '99999999d' is more than 3,660 days"),
        ("to: 6h, every: 10m", "to: 3000d, every: 1m", "5:31: test 1 (one), mentions 1: more than 1,000,000 mentions"),
        ("from: 0s", "from: 7h", "5:20: test 1 (one), mentions 1: to is before from"),
        ("to: 4h", "to: 1h", "7:33: test 1 (one), expect 1: to is before from"),
        ("alert: High", "alert: Hihg", "7:10: test 1 (one), expect 1: there is no rule 'Hihg'; the rules are High"),
        ("  - name: one\n", "  - nam: one\n", "3:5: test 1: unknown key 'nam'; did you mean 'name'?"),
        ("tests:", "test:", "2:1: rule tests: unknown key 'test'; did you mean 'tests'?"),
        ("rules: desk.yaml", "rules: 7", "1:1: rule tests: rules: Expected `str | null`, got `int`"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_line_and_column(tmp_path: Path, old: str, new: str, words: str) -> None:
    (tmp_path / "desk.yaml").write_text(RULES)
    file = tmp_path / "tests.yaml"
    assert old in TEST
    file.write_text(TEST.replace(old, new, 1))
    with pytest.raises(RuleError) as refused:
        load_rule_tests(file)
    assert str(refused.value).startswith(f"{file}:{words}")


def test_missing_files_and_empty_ones_are_named(tmp_path: Path) -> None:
    file = tmp_path / "tests.yaml"
    with pytest.raises(RuleError, match="cannot read the file of rule tests"):
        load_rule_tests(file)
    file.write_text("tests: []")
    with pytest.raises(RuleError, match="1:1: needs at least one test"):
        load_rule_tests(file)
    file.write_text(TEST)
    with pytest.raises(RuleError, match=r"cannot read the rule file .*desk\.yaml"):
        load_rule_tests(file)


@given(st.integers(0, 10**6))
def test_a_time_is_written_as_it_is_read(seconds: int) -> None:
    from datetime import timedelta

    assert span_s(since_start(START + timedelta(seconds=seconds))) == seconds


@pytest.mark.parametrize("text", ["", "soon", "1", "1m1h", "-1h", "1.5h"])
def test_other_spans_are_refused(text: str) -> None:
    with pytest.raises(RuleError, match="no span of time"):
        span_s(text)
