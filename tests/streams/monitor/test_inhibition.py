"""Inhibition: while one alert of a company fires, another that says less calls nobody; and what is refused."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from streams.errors import RuleError
from streams.monitor import RuleSet
from streams.monitor.keeping import Keeper
from streams.monitor.rule_files import json_schema, parse_rules
from streams.monitor.state import Life, RuleState
from streams.records import Alert, Suppressed, encode
from tests.streams.monitor.invented import EAGER, as_bytes, in_order, incident, run
from tests.streams.monitor.test_order import crashing, disturbed, seeds

INHIBIT = """
inhibit_rules:
  - source_matchers: ['rule="Surge"']
    target_matchers: ['rule="High"']
    equal: [entity]
"""


def rules(text: str = INHIBIT) -> RuleSet:
    return parse_rules(EAGER + text, name="desk.yaml")


def refusal(text: str) -> str:
    with pytest.raises(RuleError) as error:
        rules(text)
    return str(error.value)


def of(alerts: Sequence[Alert], rule: str) -> list[Alert]:
    return [alert for alert in alerts if alert.rule == rule]


def test_while_the_source_fires_the_target_calls_nobody_and_says_who_keeps_it_back() -> None:
    log = in_order(incident(random.Random(1)))
    plain, found = run(log), run(log, rules=rules())
    assert as_bytes(of(found, "Surge")) == as_bytes(of(plain, "Surge"))
    fired = next(alert for alert in of(plain, "High") if alert.state == "firing")
    kept = next(alert for alert in of(found, "High") if alert.state == "suppressed")
    assert (kept.id, kept.at, kept.evidence) == (fired.id, fired.at, fired.evidence)
    assert kept.suppressed == Suppressed(by="inhibition", what="Surge")
    firing = [alert for alert in of(found, "Surge") if alert.state in ("firing", "resolved")]
    until = next((alert.at for alert in firing if alert.state == "resolved"), None)
    assert not [alert for alert in of(found, "High") if alert.is_news and (until is None or alert.at < until)]


def test_when_the_source_ends_and_the_target_still_fires_somebody_is_called() -> None:
    # Surge ends after ten calm minutes; High, made slow to calm down, fires on.
    slow = EAGER.replace("resolve: {lt: 0.4}", "resolve: {lt: 0.05}")
    log = in_order(incident(random.Random(1)))
    found = run(log, rules=parse_rules(slow + INHIBIT, name="slow.yaml"))
    over = next(alert.at for alert in of(found, "Surge") if alert.state == "resolved")
    states = [(alert.state, alert.at) for alert in of(found, "High") if alert.state in ("suppressed", "firing")]
    assert states[0][0] == "suppressed"
    assert next(at for state, at in states if state == "firing") >= over


def life(rule: str, *, state: str = "firing", severity: str = "warning", **labels: str) -> RuleState:
    own = {"alertname": rule, "entity": "AURL", **labels}
    return RuleState(
        rule_version="v",
        life=Life(state=state, labels=own, severity=severity),  # type: ignore[arg-type]
    )


def reason(text: str, target: str, **memories: RuleState) -> str | None:
    found = Keeper((), rules(text).inhibit_rules).reason(target, memories, at_ms=0)
    return None if found is None else found.what


@pytest.mark.parametrize(
    ("source", "what"),
    [
        (life("Surge"), "Surge"),
        (life("Surge", state="pending"), None),
        (life("Surge", state="suppressed"), None),  # within a cooldown it does not fire
        (life("Surge", state="inactive"), None),
    ],
)
def test_only_what_fires_keeps_anything_back(source: RuleState, what: str | None) -> None:
    assert reason(INHIBIT, "High", Surge=source, High=life("High")) == what
    assert reason(INHIBIT, "Surge", Surge=life("Surge"), High=life("High")) is None


def test_severities_and_equal_labels_are_looked_at() -> None:
    critical = """
inhibit_rules:
  - {source_matchers: ['severity="critical"'], target_matchers: ['severity!="critical"'], equal: [entity, desk]}
"""
    high = life("High", desk="credit")
    loud = life("Surge", severity="critical", desk="credit")
    assert reason(critical, "High", Surge=loud, High=high) == "Surge"
    assert reason(critical, "High", Surge=life("Surge", desk="credit"), High=high) is None
    assert reason(critical, "High", Surge=life("Surge", severity="critical", desk="fx"), High=high) is None
    assert reason(critical, "High", Surge=life("Surge", severity="critical"), High=life("High")) == "Surge"


def test_what_fits_both_sides_does_not_keep_back_another_that_does() -> None:
    both = """
inhibit_rules:
  - {source_matchers: ['entity=~".+"'], target_matchers: ['entity=~".+"'], equal: [entity]}
"""
    assert reason(both, "High", Surge=life("Surge"), High=life("High")) is None


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("inhibit_rules: 7", "23:1", "inhibit_rules: expected a list"),
        ("inhibit_rules: [7]", "23:17", "inhibit rule 1: Expected `object`, got `int`"),
        (INHIBIT.replace("equal: [entity]", "equal: [sector]"), "27:5", "for Alertmanager's own inhibit_rules"),
        (INHIBIT.replace("    equal: [entity]\n", ""), "25:5", "inhibit rule 1: equal must name entity"),
        (INHIBIT.replace("equal:", "equals:"), "27:5", "unknown key 'equals'; did you mean 'equal'?"),
        (INHIBIT.replace('rule="Surge"', "rule~Surge"), "25:23", "source_matchers: 'rule~Surge' is no matcher"),
        (INHIBIT.replace('rule="High"', "rule=~("), "26:23", "target_matchers: 'rule=~(' holds no regular expression"),
        (INHIBIT.replace("['rule=\"High\"']", "[]"), "26:5", "target_matchers: Expected `array` of length >= 1"),
        (INHIBIT.replace('rule="High"', 'rule="Hihg"'), "26:5", "no rule of this file raises such an alert"),
        (
            INHIBIT + "  - {source_matchers: [rule=High, entity=X], target_matchers: [rule=Surge], equal: [entity]}\n",
            "28:5",
            "inhibit rule 2: High and Surge would hold back each other, and nobody would hear of either",
        ),
    ],
)
def test_what_is_no_inhibit_rule_is_refused_where_it_stands(text: str, place: str, words: str) -> None:
    said = refusal(text.lstrip("\n") if text.startswith("inhibit") else text)
    assert words in said
    assert said.startswith(f"desk.yaml:{place}: "), said


def test_a_rule_keeps_its_version_and_the_set_has_another() -> None:
    plain = rules("")
    assert [rule.version for rule in rules().rules] == [rule.version for rule in plain.rules]
    assert rules().version != plain.version
    assert rules("inhibit_rules: []").version == plain.version


def test_the_schema_knows_inhibit_rules() -> None:
    validator = Draft202012Validator(json_schema())
    assert validator.is_valid(yaml.safe_load(EAGER + INHIBIT))
    assert not validator.is_valid(yaml.safe_load(EAGER + INHIBIT.replace("equal:", "equals:")))


@settings(max_examples=20, deadline=None)
@given(stream=seeds, order=seeds, swap=st.booleans())
def test_any_order_with_a_fifth_redelivered_gives_byte_identical_alerts_under_inhibition(
    stream: int, order: int, swap: bool
) -> None:
    text = INHIBIT
    if swap:
        text = text.replace("Surge", "*").replace("High", "Surge").replace("*", "High")
    mentions = incident(random.Random(stream))
    expected = run(in_order(mentions), rules=rules(text))
    assert as_bytes(run(disturbed(mentions, random.Random(order)), rules=rules(text))) == as_bytes(expected)


BOTH = """
  - alert: Both
    type: composite
    fire: {all: [Surge, High], within: 1h}
inhibit_rules:
  - {source_matchers: [rule=Both], target_matchers: ['rule=~"Surge|High"'], equal: [entity]}
"""


def test_a_composite_may_speak_for_its_parts_which_are_kept_back_from_the_bin_in_which_it_fires() -> None:
    found = run(in_order(incident(random.Random(1))), rules=rules(BOTH))
    (fired,) = [alert for alert in of(found, "Both") if alert.state == "firing"]
    assert fired.evidence.messages
    last = [alert for alert in found if alert.rule != "Both" and alert.at == fired.at and alert.state == "suppressed"]
    assert [alert.suppressed for alert in last] == [Suppressed(by="inhibition", what="Both")]
    part = last[0].rule
    other = "High" if part == "Surge" else "Surge"
    assert [alert.state for alert in of(found, other) if alert.at < fired.at][-1] == "firing"  # it was told before
    assert [alert.state for alert in of(found, other)][-1] == "resolved"  # and so is its end


@settings(max_examples=15, deadline=None)
@given(stream=seeds, order=seeds, text=st.sampled_from([INHIBIT, BOTH]))
def test_a_crash_at_any_point_under_inhibition_gives_the_same_alerts(stream: int, order: int, text: str) -> None:
    rng = random.Random(order)
    log = disturbed(incident(random.Random(stream)), rng)
    expected = {(alert.id, alert.transition): encode(alert) for alert in run(log, rules=rules(text))}
    found: dict[tuple[str, int], bytes] = {}
    for alert in crashing(log, rng, rules(text)):
        assert found.setdefault((alert.id, alert.transition), encode(alert)) == encode(alert)
    assert found == expected
