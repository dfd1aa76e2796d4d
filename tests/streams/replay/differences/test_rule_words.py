"""A rule in one sentence."""

from __future__ import annotations

import yaml

from streams.monitor import default_rules
from streams.monitor.rule_files import parse_rules
from streams.replay.differences.rule_words import rule_sentence


def sentence(**keys: object) -> str:
    text = yaml.safe_dump({"rules": [{"alert": "Invented", **keys}]})
    return rule_sentence(parse_rules(text, name="invented.yaml").rules[0])


def test_the_shipped_rules_are_told_in_full() -> None:
    surge, high = map(rule_sentence, default_rules().rules)
    assert surge == (
        "Fires when a company's share of negative stories is more than 1.75 times as far as it strays in an hour (2 to "
        "15 points) above what is usual for it (and is seen 10 points above), with evidence that comes by chance at "
        "most once in 30 days, on at least 4 stories from 2 voices (sources or authors); warning, critical from 35 "
        "points above the usual and 15 stories; over when the share has been within 6 points of the usual for 30 "
        "minutes; fires once in 12 hours unless its severity rises."
    )
    assert high == (
        "Fires after 10 minutes in which a company's share of negative stories over 60 minutes is at least 75 % and at "
        "least 25 points above what is usual for it, on at least 25 stories from 4 sources; info; over when the share "
        "has been below 50 % for 30 minutes; fires once in 12 hours."
    )


def test_what_a_rule_does_not_ask_for_is_not_said() -> None:
    told = sentence(
        type="threshold", fire={"gte": 0.6}, effect_min=0, keep_firing_for="0m", cooldown={"for": "0m"}, window="1d"
    )
    assert "over 1 day is at least 60 %, on at least 3 stories" in told
    assert told.endswith("over when the share has been below 60 %; may fire again at once.")


def test_a_rise_that_must_be_seen_beyond_the_margin_is_said() -> None:
    told = sentence(type="spike", fire={"arl": "7d"}, margin=0.08, effect_min=0.2)
    assert "more than 8 points above what is usual for it (and is seen 20 points above)" in told
    assert "once in 7 days" in told


def test_what_is_asked_of_sources_and_voices_is_said_in_full() -> None:
    def support(**asked: int) -> str:
        return sentence(type="spike", fire={"arl": "7d"}, min_support=asked)

    assert "on at least 3 stories from 2 voices (sources or authors);" in support()
    assert "on at least 3 stories from 1 source;" in support(sources=1)
    assert "on at least 5 stories from 2 sources and 4 voices (sources or authors);" in support(
        stories=5, sources=2, voices=4
    )


def test_severities_stand_from_low_to_high() -> None:
    steps = {"critical": {"effect": 0.4}, "info": {"stories": 3}, "warning": {"effect": 0.01}}
    told = sentence(type="spike", fire={"arl": "7d"}, severity=steps)
    assert "; info, warning from 1 point above the usual, critical from 40 points above the usual; " in told


def test_a_rule_of_every_other_type_is_told_in_full() -> None:
    told = sentence(
        type="spike", method="return_period", signal="volume", windows=["5m", "2h"], fire={"return_period": "30d"}
    )
    assert told == (
        "Fires when a company's number of stories in 5 minutes or 2 hours is such as comes once in 30 days, on at "
        "least 3 stories from 2 voices (sources or authors); warning; over when it has been such as comes more often "
        "than once in 1 day for 30 minutes; fires once in 12 hours unless its severity rises."
    )
    told = sentence(type="spike", method="zscore", signal="mean_sentiment", fire={"lte": -4}, resolve={"gt": -1})
    assert "a company's mean sentiment in 60 minutes is at most -4 standard deviations off its own past" in told
    assert "over when it has been above -1 for 30 minutes" in told
    told = sentence(type="threshold", signal="negative_count", fire={"gt": 9}, window="2h", where={"topic": "legal"})
    assert "a company's number of negative stories over 2 hours is above 9, on at least 3 stories" in told
    assert "over when it has been at most 9 for 30 minutes" in told
    assert told.endswith(" It reads topic legal alone.")
    told = sentence(type="threshold", fire={"lt": 0.1}, resolve={"gte": 0.4}, where={"source": {"not": ["a", "b"]}})
    assert "share of negative stories over 60 minutes is below 10%" in told
    assert "over when it has been at least 40% for" in told
    assert told.endswith(" It reads source not a or b alone.")
    told = sentence(type="novelty", fire={"gte": 0.9}, quiet_below=60, relevance=0.5)
    assert told.startswith(
        "Fires when a company that usually has fewer than 60 stories a day has a new story, of a relevance of at least "
        "0.5, that is at least 90 % negative, on at least 1 story from 1 voice"
    )


def test_a_composite_is_told_by_the_names_of_its_parts() -> None:
    def told(**fire: object) -> str:
        parts = [{"alert": name, "type": "spike", "fire": {"arl": "30d"}} for name in "AB"]
        text = yaml.safe_dump({"rules": [{"alert": "C", "type": "composite", "fire": fire}, *parts]})
        return rule_sentence(parse_rules(text, name="invented.yaml").rules[0]).partition(";")[0]

    assert told(all=["A", "B"], within="2h") == "Fires when A and B fire (or did in the last 2 hours)"
    assert told(any=["A", "B"]) == "Fires when A or B fires"
    assert told(all=["A"], none=["B"]) == "Fires when A fires, and B does not"
