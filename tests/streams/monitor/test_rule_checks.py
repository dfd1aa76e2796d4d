"""What each type of rule may say and must: refused with file, line and column, and in words that help."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from streams.errors import RuleError
from streams.monitor.rule_files import json_schema, parse_rules
from streams.monitor.rules import Rule
from tests.streams.monitor.invented import EAGER
from tests.streams.monitor.invented_rules import OTHER

SPIKE: dict[str, Any] = {"alert": "A", "type": "spike", "fire": {"arl": "30d"}}
PERIOD = {"alert": "A", "type": "spike", "method": "return_period", "signal": "volume", "fire": {"return_period": "7d"}}
ZED = {"alert": "A", "type": "spike", "method": "zscore", "signal": "volume", "fire": {"gte": 4}}
COUNT = {"alert": "A", "type": "threshold", "signal": "volume", "fire": {"gte": 40}}
MOOD = {"alert": "A", "type": "threshold", "signal": "mean_sentiment", "fire": {"lte": -0.4}}
NEW = {"alert": "A", "type": "novelty", "fire": {"gte": 0.9}}
BOTH = {"alert": "A", "type": "composite", "fire": {"all": ["B"]}}
OF = {"alert": "B", "type": "spike", "fire": {"arl": "30d"}}


def parsed(*rules: dict[str, Any]) -> tuple[Rule, ...]:
    return parse_rules(yaml.safe_dump({"rules": list(rules)}, sort_keys=False), name="desk.yaml").rules


def refused(*rules: dict[str, Any]) -> str:
    with pytest.raises(RuleError) as error:
        parsed(*rules)
    assert str(error.value).startswith("desk.yaml:")
    return str(error.value)


@pytest.mark.parametrize("rule", [SPIKE, PERIOD, ZED, COUNT, MOOD, NEW])
def test_each_of_them_is_a_rule(rule: dict[str, Any]) -> None:
    assert parsed(rule)[0].alert == "A"
    assert parsed(BOTH, OF)[0].parts == ("B",)


@pytest.mark.parametrize(
    ("rule", "changes", "words"),
    [
        (
            SPIKE,
            {"type": "breadth"},
            "3:3: rule 1 (A): type: breadth: rules over several companies of a sector",
        ),
        (SPIKE, {"type": "absence"}, "type: absence: rules on a source that has fallen silent are not there yet"),
        (SPIKE, {"by": "sector"}, "by: sector: rules by sector are not there yet"),
        (SPIKE, {"by": "topic"}, "where: {topic: ...} makes a rule read one topic"),
        (SPIKE, {"by": "source"}, "where: {source: ...} makes a rule read one source"),
        (SPIKE, {"by": "moon"}, "by: Invalid enum value 'moon'"),
        (SPIKE, {"by": "ticker", "signal": "volume"}, "signal: a rule of type spike reads negative_share, not volume"),
        (SPIKE, {"windows": ["5m"]}, "windows: a rule of type spike has none"),
        (SPIKE, {"quiet_below": 5}, "quiet_below: a rule of type spike has none"),
        (SPIKE, {"fire": {"arl": "1d", "within": "1h"}}, "needs fire: {arl: ...}, and nothing else in it"),
        (SPIKE, {"where": {"topics": "legal"}}, "unknown key 'where.topics'; did you mean 'where.topic'?"),
        (SPIKE, {"where": {"topic": {"nto": ["a"]}}}, "unknown key 'where.topic.nto'; did you mean 'where.topic.not'?"),
        (SPIKE, {"where": {}}, "where: names nothing: say topic, source or language"),
        (SPIKE, {"where": {"source": []}}, "where.source: an empty list or name"),
        (SPIKE, {"where": {"source": {"not": ""}}}, "where.source: an empty list or name"),
        (SPIKE, {"where": {"source": 5}}, "where.source: Expected"),
        (PERIOD, {"signal": "negative_share"}, "with method return_period reads volume or negative_count, not neg"),
        (PERIOD, {"fire": {"arl": "30d"}}, "with method return_period needs fire: {return_period: ...}"),
        (PERIOD, {"fire": {"return_period": "0d"}}, "fire.return_period must be at least 1m"),
        (PERIOD, {"fire": {"return_period": "30 days"}}, "fire.return_period: Expected `str` matching"),
        (PERIOD, {"windows": []}, "windows: the first must be at least 1m"),
        (PERIOD, {"windows": ["0m", "5m"]}, "windows: the first must be at least 1m"),
        (PERIOD, {"windows": ["7m", "14m"]}, "the first is the step, which must be a part of an hour; 7m is not"),
        (PERIOD, {"windows": ["2h"]}, "which must be a part of an hour; 2h is not"),
        (PERIOD, {"windows": ["5m", "12m"]}, "windows: must ascend, as multiples of the first"),
        (PERIOD, {"windows": ["30m", "30m"]}, "windows: must ascend, as multiples of the first"),
        (PERIOD, {"windows": ["1m", "5h"]}, "windows: the last is more than 288 times the first"),
        (PERIOD, {"pending": {"return_period": "8d"}}, "pending.return_period 8d must be above 0m and at most"),
        (PERIOD, {"resolve": {"return_period": "8d"}}, "resolve.return_period 8d must be above 0m and at most"),
        (
            PERIOD,
            {"resolve": {"lt": 5}},
            "resolve.lt: the resolve of a rule of type spike with method return_",
        ),
        (PERIOD, {"pending": {"arl": "1d"}}, "pending.arl: a rule of type spike with method return_period has none"),
        (PERIOD, {"effect_min": 0.1}, "effect_min: a rule of type spike with method return_period has none"),
        (PERIOD, {"severity": {"critical": {"effect": 0.2}}}, "effect is of the negative share"),
        (ZED, {"fire": {"lte": -4}}, "a count is judged as it grows, so that too few cannot be seen"),
        (ZED, {"fire": {"gte": 4, "lt": 2}}, "with method zscore needs fire: {gte: ...} (or gt, lte, lt)"),
        (ZED, {"fire": {"gte": float("nan")}}, "fire.gte: expected a number, got nan"),
        (ZED, {"window": "2d"}, "window: a z-score looks at 1d at most, not 2d"),
        (ZED, {"window": "0m"}, "window must be at least 1m"),
        (ZED, {"resolve": {"gte": 2}}, "resolve.gte is on the side of fire.gte: say lt or lte"),
        (ZED, {"resolve": {"lt": 5}}, "resolve.lt 5.0 is above fire.gte 4.0: it would end as it begins"),
        (COUNT, {"fire": {"gte": -1}}, "fire.gte: Expected `float` >= 0.0"),
        (COUNT, {"fire": {}}, "a rule of type threshold needs fire: {gte: ...} (or gt, lte, lt)"),
        (
            COUNT,
            {"effect_min": 0.1},
            "effect_min: is of the negative share, and a rule of type threshold on vol",
        ),
        (COUNT, {"resolve": {"lte": 40}}, "resolve.lte 40.0 is at fire.gte 40.0: it would end as it begins"),
        (COUNT, {"resolve": {"lt": 3, "lte": 2}}, "resolve: lte and lt: one of them is enough"),
        (COUNT, {"method": "zscore"}, "method: a rule of type threshold has none"),
        (MOOD, {"fire": {"lte": -1.5}}, "fire.lte: Expected `float` >= -1.0"),
        (MOOD, {"resolve": {"lt": 0}}, "resolve.lt is on the side of fire.lte: say gt or gte"),
        (MOOD, {"resolve": {"gt": -0.5}}, "resolve.gt -0.5 is below fire.lte -0.4: it would end as it begins"),
        (NEW, {"fire": {"lt": 0.9}}, "a rule of type novelty needs fire: {gte: ...} (or gt)"),
        (NEW, {"fire": {"gte": 1.1}}, "fire.gte: Expected `float` <= 1.0"),
        (NEW, {"relevance": 2}, "relevance: Expected"),
        (NEW, {"quiet_below": 0}, "quiet_below: Expected"),
        (NEW, {"resolve": {"lt": 0.1}}, "resolve.lt: the resolve of a rule of type novelty is not asked for"),
        (NEW, {"window": "1h"}, "window: a rule of type novelty has none"),
        (NEW, {"for": "5m"}, "for: a rule of type novelty has none"),
        (BOTH, {"fire": {"none": ["B"]}}, "a rule of type composite needs fire: {all: [...]} or {any: [...]}"),
        (BOTH, {"fire": {"all": ["B"], "gte": 1}}, "and nothing else in it"),
        (BOTH, {"fire": {"all": ["C"]}}, "5:5: rule 1 (A): fire.all: there is no rule 'C'; the rules are A, B"),
        (BOTH, {"fire": {"any": ["B"], "none": ["C"]}}, "fire.none: there is no rule 'C'"),
        (BOTH, {"fire": {"all": ["B"], "within": "soon"}}, "fire.within: Expected `str` matching"),
        (BOTH, {"fire": {"all": ["A"]}}, "4:3: rule 1 (A): fire: the rule hangs on itself: A -> A"),
        (BOTH, {"fire": {"alll": ["B"]}}, "unknown key 'fire.alll'; did you mean 'fire.all'?"),
        (BOTH, {"where": {"topic": "legal"}}, "where: a rule of type composite has none"),
        (BOTH, {"min_support": {"stories": 2}}, "min_support: a rule of type composite has none"),
    ],
)
def test_what_a_type_cannot_say_is_refused(rule: dict[str, Any], changes: dict[str, Any], words: str) -> None:
    assert words in refused({**rule, **changes}, OF)


LONG = "is too long: write 3650d at most"


@pytest.mark.parametrize(
    ("rule", "changes", "words"),
    [
        (SPIKE, {"cooldown": {"for": "9999999d"}}, f"7:5: rule 1 (A): cooldown.for: 9999999d {LONG}"),
        (SPIKE, {"cooldown": {"for": "3651d"}}, f"7:5: rule 1 (A): cooldown.for: 3651d {LONG}"),
        (SPIKE, {"cooldown": {"for": "5256001m"}}, f"7:5: rule 1 (A): cooldown.for: 5256001m {LONG}"),
        (SPIKE, {"for": "87601h"}, f"6:3: rule 1 (A): for: 87601h {LONG}"),
        (SPIKE, {"keep_firing_for": "9999999d"}, f"keep_firing_for: 9999999d {LONG}"),
        (SPIKE, {"fire": {"arl": "9999999d"}}, f"5:5: rule 1 (A): fire.arl: 9999999d {LONG}"),
        (SPIKE, {"fire": {"arl": "1" + "0" * 5_000 + "d"}}, f"fire.arl: 100000000... {LONG}"),
        (SPIKE, {"pending": {"arl": "9999999d"}}, f"pending.arl: 9999999d {LONG}"),
        (SPIKE, {"pending": {"within": "9999999d"}}, f"pending.within: 9999999d {LONG}"),
        (COUNT, {"window": "9999999d"}, f"window: 9999999d {LONG}"),
        (PERIOD, {"windows": ["5m", "9999999d"]}, f"windows: 9999999d {LONG}"),
        (PERIOD, {"fire": {"return_period": "9999999d"}}, f"fire.return_period: 9999999d {LONG}"),
        (PERIOD, {"pending": {"return_period": "9999999d"}}, f"pending.return_period: 9999999d {LONG}"),
        (PERIOD, {"resolve": {"return_period": "9999999d"}}, f"resolve.return_period: 9999999d {LONG}"),
        (BOTH, {"fire": {"all": ["B"], "within": "9999999d"}}, f"fire.within: 9999999d {LONG}"),
    ],
)
def test_a_duration_that_leads_out_of_the_calendar_is_refused(
    rule: dict[str, Any], changes: dict[str, Any], words: str
) -> None:
    assert words in refused({**rule, **changes}, OF)


def test_a_duration_that_is_too_long_is_found_in_the_defaults_of_a_group() -> None:
    text = yaml.safe_dump(
        {"groups": [{"name": "G", "defaults": {"cooldown": {"for": "9999999d"}}, "rules": [SPIKE]}]}, sort_keys=False
    )
    with pytest.raises(
        RuleError, match=r"^desk\.yaml:5:7: group 1 \(G\), rule 1 \(A\): cooldown\.for: 9999999d is too"
    ):
        parse_rules(text, name="desk.yaml")


def test_a_duration_of_ten_years_is_taken_however_it_is_written() -> None:
    for text in ("3650d", "87600h", "5256000m", "0000000000030m"):
        assert parsed({**SPIKE, "cooldown": {"for": text}})[0].cooldown.for_ms <= 3650 * 86_400_000


def test_composites_that_hang_on_one_another_are_refused_with_the_way_around() -> None:
    ring = [{**BOTH, "alert": name, "fire": {"any": [other]}} for name, other in ("XY", "YZ", "ZX")]
    assert "fire: the rule hangs on itself: X -> Y -> Z -> X" in refused(*ring)
    chain = [{**BOTH, "alert": name, "fire": {"any": [other]}} for name, other in ("XY", "YZ", "ZB")]
    assert [rule.alert for rule in parsed(*chain, OF)] == ["X", "Y", "Z", "B"]


def test_a_novel_story_is_one_story_of_one_voice_unless_more_is_asked_for() -> None:
    def support(**said: Any) -> tuple[int, int | None, int | None]:
        found = parsed({**NEW, **({"min_support": said} if said else {})})[0].min_support
        return found.stories, found.sources, found.asked_voices

    assert support() == support(stories=1) == (1, None, 1)
    assert support(stories=3) == (3, None, 1)
    assert support(sources=2) == (1, 2, None)
    assert support(voices=2) == (1, None, 2)


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        (SPIKE, {"where": {"topic": "legal"}}),
        (PERIOD, {"windows": ["10m"]}),
        (PERIOD, {"signal": "negative_count"}),
        (PERIOD, {"resolve": {"return_period": "2d"}}),
        (COUNT, {"fire": {"gt": 40}}),
        (NEW, {"relevance": 0.5}),
        (NEW, {"quiet_below": 60}),
        (BOTH, {"fire": {"any": ["B"]}}),
        (BOTH, {"fire": {"all": ["B"], "within": "1h"}}),
    ],
)
def test_a_version_changes_with_each_new_key(rule: dict[str, Any], change: dict[str, Any]) -> None:
    assert parsed({**rule, **change}, OF)[0].version != parsed(rule, OF)[0].version


def test_a_new_key_at_its_default_changes_no_version() -> None:
    spelled = {**SPIKE, "by": "ticker", "fire": {"arl": "30d", "within": "0m", "none": []}}
    assert parsed(spelled)[0].version == parsed(SPIKE)[0].version == "7a942f77f3fa"


def test_of_a_company_the_baseline_is_shown_of_a_rule_that_reads_all_of_its_stories() -> None:
    def shown(*rules: dict[str, Any]) -> str | None:
        found = parse_rules(yaml.safe_dump({"rules": list(rules)}), name="x").for_baselines
        return None if found is None else found.alert

    filtered = {**SPIKE, "alert": "F", "where": {"topic": "legal"}}
    both = {**BOTH, "alert": "Both", "fire": {"all": ["B"]}}
    assert shown(filtered, both, {**COUNT, "alert": "C"}, OF) == "B"
    assert shown({**both, "fire": {"any": ["C"]}}, {**COUNT, "alert": "C"}) == "C"


def test_the_schema_takes_every_type_and_refuses_what_is_none() -> None:
    validator = Draft202012Validator(json_schema())
    assert list(validator.iter_errors(yaml.safe_load(EAGER + OTHER))) == []
    for wrong in ({**SPIKE, "type": "breadth"}, {**NEW, "relevance": 2}, {**SPIKE, "where": {"topics": "x"}}):
        assert not validator.is_valid({"rules": [wrong]})
