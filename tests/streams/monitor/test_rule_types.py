"""Every type, method and signal beside the share: what it fires on, how it ends, and what it leaves in peace."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest
import yaml
from msgspec import UNSET

from streams.monitor import RuleSet
from streams.monitor.rule_files import parse_rules
from streams.monitor.state import Vote
from streams.records import Alert, Mention, decode_alert, encode
from tests.streams.monitor.invented import START, in_order, mention, run

DAY = timedelta(days=1)
ANYBODY = {"stories": 3, "voices": 1}
SPARSE: dict[str, Any] = {"keep_firing_for": "10m", "cooldown": {"for": "1h"}, "min_support": ANYBODY}


def rules(*rule: dict[str, Any]) -> RuleSet:
    return parse_rules(yaml.safe_dump({"rules": list(rule)}), name="test")


def alerts_of(log: list[Mention], *rule: dict[str, Any], named: str | None = None) -> list[Alert]:
    found = run(in_order(sorted(log, key=lambda m: m.published_at)), rules=rules(*rule))
    assert [decode_alert(encode(alert)) for alert in found] == found
    return [alert for alert in found if named is None or alert.rule == named]


def fired(alerts: list[Alert]) -> list[Alert]:
    return [alert for alert in alerts if alert.state == "firing"]


def ended(alerts: list[Alert]) -> list[Alert]:
    return [alert for alert in alerts if alert.state == "resolved"]


class Stream:
    """Mentions of a company, numbered as they are made."""

    def __init__(self) -> None:
        self.made: list[Mention] = []
        self._rng = random.Random(5)

    def add(self, at: timedelta, negative: float = 0.1, **more: Any) -> None:
        number = len(self.made)
        positive = more.pop("positive", 0.0)
        made = mention(number, START + at, negative, **more)
        self.made.append(made if not positive else _happier(made, positive))

    def usual(self, days: float, per_hour: float = 4, negative: float = 0.1, **more: Any) -> Stream:
        for minute in times(self._rng, days * 1440, per_hour):
            self.add(timedelta(minutes=minute), negative, **more)
        return self

    def burst(self, at: timedelta, count: int, negative: float = 0.1, every_s: float = 5, **more: Any) -> Stream:
        for number in range(count):
            self.add(at + timedelta(seconds=number * every_s), negative, **more)
        return self


def _happier(made: Mention, positive: float) -> Mention:
    from msgspec.structs import replace

    return replace(made, positive=positive, neutral=round(1 - made.negative - positive, 4))


def times(rng: random.Random, minutes: float, per_hour: float) -> Iterator[float]:
    at = 0.0
    while (at := at + rng.expovariate(per_hour / 60)) < minutes:
        yield at


VOLUME = {"alert": "Loud", "type": "threshold", "signal": "volume", "window": "30m", "fire": {"gte": 20}, **SPARSE}


def test_a_volume_threshold_fires_on_stories_of_whatever_kind_and_ends_when_they_have_passed() -> None:
    log = Stream().usual(1).burst(DAY, 20).usual(2).made
    (first,), (over,) = fired(found := alerts_of(log, VOLUME)), ended(found)
    assert first.evidence.signal == "volume"
    assert first.evidence.measure is not UNSET
    assert (first.evidence.measure.value, first.evidence.measure.usual) == (pytest.approx(20, abs=3), None)
    assert first.evidence.measure.window_s == 1800
    assert (first.evidence.threshold, first.evidence.e_value, first.evidence.counterfactual) == (20, None, None)
    assert over.id == first.id
    assert over.evidence == first.evidence


def test_copies_and_two_loud_authors_are_no_volume() -> None:
    copies = Stream().usual(1).burst(DAY, 60, text="one story told by all of them in just these words, again and again")
    authors = Stream().usual(1).burst(DAY, 60, author="loud")
    assert not alerts_of(copies.made, VOLUME)
    assert not alerts_of(authors.made, VOLUME)


def test_a_count_shows_what_led_up_to_it() -> None:
    log = Stream().usual(0.5).burst(DAY, 20, every_s=30).made
    (first,) = fired(alerts_of(log, VOLUME))
    assert first.evidence.observed.stories >= 10
    assert first.evidence.onset < first.at - timedelta(minutes=4)


def test_a_count_of_negative_stories_passes_over_the_others() -> None:
    rule = {**VOLUME, "alert": "Bad", "signal": "negative_count", "fire": {"gt": 9}, "resolve": {"lte": 3}}
    decoy = Stream().usual(1).burst(DAY, 60, 0.49).made
    assert not alerts_of(decoy, rule)
    (first,) = fired(alerts_of(Stream().usual(1).burst(DAY, 10, 0.5).burst(DAY, 9, 0.2).made, rule))
    assert first.evidence.measure is not UNSET
    assert first.evidence.measure.value == 10


def test_a_mean_sentiment_fires_when_it_is_low_and_ends_when_it_has_risen_past_its_own_bound() -> None:
    rule = {**VOLUME, "alert": "Mood", "signal": "mean_sentiment", "fire": {"lte": -0.5}, "resolve": {"gt": -0.2}}
    log = Stream().usual(1, positive=0.3).burst(DAY, 6, 0.9).usual(2, positive=0.3).made
    (first,), (over,) = fired(found := alerts_of(log, rule)), ended(found)
    assert first.evidence.measure is not UNSET
    assert -0.9 <= first.evidence.measure.value <= -0.5
    assert first.evidence.messages[0].negative == 0.9
    assert over.at > first.at
    mixed = Stream().usual(1, positive=0.3).burst(DAY, 12, 0.5, positive=0.4).made
    assert not alerts_of(mixed, rule)


def test_a_share_may_be_asked_to_be_low() -> None:
    rule = {**VOLUME, "alert": "Calm", "signal": "negative_share", "fire": {"lt": 0.05}, "effect_min": 0.0}
    rule["resolve"] = {"gte": 0.3}
    assert not fired(alerts_of(Stream().usual(0.5, 20).made, rule))
    (first,) = fired(alerts_of(Stream().usual(0.5, 20).burst(DAY, 9, 0.01).made, rule))
    assert first.evidence.observed.share == 0.01
    assert first.evidence.measure is UNSET


def test_a_vote_of_a_state_from_before_has_no_sentiment_no_language_and_is_about_its_company() -> None:
    old = {"at_ms": 1, "message_id": "a", "source": "s", "negative": 0.5, "topic": "t", "text": "x", "model": "m"}
    vote = msgspec.msgpack.decode(msgspec.msgpack.encode(old), type=Vote)
    assert (vote.positive, vote.lang, vote.relevance) == (0.0, None, 1.0)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(vote)) == old


LEGAL = {**VOLUME, "alert": "Legal", "where": {"topic": "legal"}, "fire": {"gte": 6}}


def test_a_rule_with_a_filter_reads_nothing_else() -> None:
    others = Stream().usual(1).burst(DAY, 60, topic="earnings")
    assert not alerts_of(others.made, LEGAL)
    (first,) = fired(alerts_of(others.burst(DAY, 6, topic="legal").made, LEGAL))
    assert first.evidence.observed.messages == 6
    assert {message.topic for message in first.evidence.messages} == {"legal"}


def test_a_filtered_count_ends_when_the_company_is_heard_of_and_the_filter_lets_nothing_pass() -> None:
    log = Stream().usual(1).burst(DAY, 9, topic="legal").made
    assert not ended(alerts_of(log, LEGAL))
    later = Stream().usual(2, topic="earnings").burst(DAY, 9, topic="legal").made
    assert len(ended(alerts_of(later, LEGAL))) == 1


@pytest.mark.parametrize(
    ("where", "fires"),
    [
        ({"topic": ["legal", "fraud"]}, True),
        ({"topic": {"not": ["legal"]}}, False),
        ({"source": "feed"}, True),
        ({"source": {"not": "feed"}}, False),
        ({"language": "de"}, True),
        ({"language": ["en", "fr"]}, False),
        ({"language": {"not": "en"}}, True),
        ({"topic": "legal", "source": "feed", "language": "de"}, True),
        ({"topic": "legal", "source": "other"}, False),
    ],
)
def test_a_filter_is_a_value_a_list_or_all_but_these(where: dict[str, Any], fires: bool) -> None:
    log = Stream().usual(1, topic="x", source="y", lang="en")
    log.burst(DAY, 9, topic="legal", source="feed", lang="de")
    assert bool(fired(alerts_of(log.made, {**LEGAL, "where": where, "fire": {"gte": 9}}))) is fires


PERIOD = {
    "alert": "Rare",
    "type": "spike",
    "method": "return_period",
    "signal": "volume",
    "windows": ["5m", "30m", "2h"],
    "fire": {"return_period": "10d"},
    **SPARSE,
    "annotations": {"summary": "{value} in {window}, usually {usual}; {return_period}"},
}


def test_a_volume_that_comes_once_in_so_many_days_fires_and_is_said_in_words() -> None:
    log = Stream().usual(16).burst(16 * DAY, 40).made
    (first,) = fired(alerts_of(log, PERIOD))
    measure = first.evidence.measure
    assert measure is not UNSET
    assert measure.return_period_days is not UNSET
    assert measure.return_period_days >= 10 == first.evidence.threshold
    assert measure.usual is not None
    assert measure.usual < 2 < measure.value
    assert measure.beyond_history is True
    assert first.evidence.in_words == "so many stories are the highest in 14 days of history of this company"
    assert "the highest in 14 days of history" in first.annotations["summary"]
    assert first.at < START + 16 * DAY + timedelta(minutes=6)  # while its five minutes were still running


def test_a_return_period_ends_and_leaves_the_usual_and_the_first_days_in_peace() -> None:
    quiet = Stream().usual(16)
    assert not alerts_of(quiet.made, PERIOD)
    early = Stream().usual(4).burst(4 * DAY, 60).made
    assert not alerts_of(early, PERIOD)  # ten days cannot be known before they have passed
    after = Stream().usual(18).burst(16 * DAY, 40).made
    found = alerts_of(after, PERIOD)
    assert (len(fired(found)), len(ended(found))) == (1, 1)


def test_a_return_period_counts_negative_stories_if_told_to() -> None:
    rule = {**PERIOD, "signal": "negative_count"}
    assert not fired(alerts_of(Stream().usual(12).burst(12 * DAY, 60, 0.4).made, rule))
    (first,) = fired(alerts_of(Stream().usual(12).burst(12 * DAY, 12, 0.9).made, rule))
    assert first.evidence.in_words.startswith("so many negative stories ")


@pytest.mark.parametrize("rule", [PERIOD, {**PERIOD, "alert": "Zed", "method": "zscore", "fire": {"gte": 3}}])
def test_a_company_that_was_never_seen_before_is_no_surprise_and_nothing_against_nothing_is_none(
    rule: dict[str, Any],
) -> None:
    rule = {key: value for key, value in rule.items() if key != "windows" or rule["method"] == "return_period"}
    assert not alerts_of(Stream().burst(DAY, 60, 0.9).made, rule)
    mute = {**rule, "signal": "negative_count", "min_support": {"stories": 0, "voices": 0}}
    assert not alerts_of(Stream().usual(12).burst(12 * DAY, 60).made, mute)


ZED = {**SPARSE, "alert": "Zed", "type": "spike", "method": "zscore", "signal": "volume", "fire": {"gte": 4}}


def test_a_zscore_fires_on_what_its_own_past_did_not_have_and_ends() -> None:
    log = Stream().usual(8).burst(7 * DAY, 40).made
    (first,), (over,) = fired(found := alerts_of(log, ZED)), ended(found)
    measure = first.evidence.measure
    assert measure is not UNSET
    assert measure.z is not UNSET
    assert measure.z >= 4 == first.evidence.threshold
    assert measure.usual == pytest.approx(4, rel=0.2)
    assert measure.window_s == 3600
    assert "standard deviations above this company's own past" in first.evidence.in_words
    assert over.at > first.at
    assert not alerts_of(Stream().usual(8).made, ZED)


def test_a_company_that_was_silent_for_a_month_is_known_to_have_been_silent() -> None:
    log = Stream().burst(timedelta(hours=1), 2).burst(30 * DAY, 9).usual(30, 1, entity="BRND").made
    (first,) = fired(alerts_of(log, ZED))
    assert first.evidence.measure is not UNSET
    assert first.evidence.measure.usual == pytest.approx(0, abs=0.01)
    (rare,) = fired(alerts_of(log, PERIOD))
    assert rare.evidence.measure is not UNSET
    assert rare.evidence.measure.usual == pytest.approx(0, abs=0.1)


def test_a_month_in_which_nothing_was_heard_of_anybody_says_nothing_of_a_company() -> None:
    log = Stream().burst(timedelta(hours=1), 2).burst(30 * DAY, 9).usual(0.1, 9, entity="BRND").made
    assert not alerts_of(log, ZED)
    assert not alerts_of(log, PERIOD)


def test_after_a_feed_was_down_for_a_week_the_usual_is_what_it_was() -> None:
    def usual(hours_heard: int) -> float:
        log = Stream().usual(14).burst(21 * DAY, 40).made
        for hour in range(0, 7 * 24, 24 // hours_heard if hours_heard else 1000):
            log.append(mention(10_000 + hour, START + 14 * DAY + timedelta(hours=hour), entity="BRND"))
        (first,) = fired(alerts_of(log, ZED))
        assert first.evidence.measure is not UNSET
        assert first.evidence.measure.usual is not None
        return first.evidence.measure.usual

    assert usual(0) == pytest.approx(4, rel=0.1)
    assert usual(12) < 3.5  # the feed was up, and nobody spoke of the company


def test_a_zscore_of_sentiment_sees_a_fall_and_learns_nothing_from_hours_without_a_story() -> None:
    rule = {**ZED, "signal": "mean_sentiment", "fire": {"lte": -4}}
    log = Stream().usual(8, 6, positive=0.2).burst(8 * DAY, 9, 0.9).made
    (first,) = fired(alerts_of(log, rule))
    assert first.evidence.measure is not UNSET
    assert first.evidence.measure.z is not UNSET
    assert first.evidence.measure.z <= -4
    assert first.evidence.measure.usual == pytest.approx(0.1, abs=0.01)
    assert not alerts_of(Stream().burst(DAY, 5, positive=0.2).burst(40 * DAY, 9, 0.9).made, rule)


NOVEL = {
    "alert": "New",
    "type": "novelty",
    "where": {"source": "newswire"},
    "fire": {"gte": 0.9},
    "relevance": 0.5,
    "keep_firing_for": "1h",
    "cooldown": {"for": "2h", "unless": "never"},
}


def test_one_new_and_bad_story_from_a_good_source_is_an_alert() -> None:
    log = Stream().usual(3, 0.1).burst(2 * DAY, 1, 0.93, source="newswire").made
    (first,) = fired(alerts_of(log, NOVEL))
    assert first.evidence.signal == "novel_story"
    assert (first.evidence.observed.stories, first.evidence.observed.share) == (1, 0.93)
    assert first.evidence.threshold == 0.9
    assert first.at == START + 2 * DAY + timedelta(minutes=1)


@pytest.mark.parametrize(
    "more", [{"source": "blog"}, {"negative": 0.89}, {"relevance": 0.4}], ids=["source", "negative", "relevance"]
)
def test_a_story_from_elsewhere_or_milder_or_about_others_is_none(more: dict[str, Any]) -> None:
    story = {"source": "newswire", "negative": 0.93, **more}
    relevance = story.pop("relevance", 1.0)
    log = Stream().usual(2, 0.1)
    log.burst(2 * DAY, 1, **story)
    from msgspec.structs import replace

    log.made[-1] = replace(log.made[-1], relevance=relevance)
    assert not alerts_of(log.made, NOVEL)


def test_a_copy_is_not_new() -> None:
    text = "Aurelia is raided by police in four countries over bribes that it is said to have paid for years"
    log = Stream().burst(DAY, 1, 0.95, source="newswire", text=text)
    log.burst(DAY + timedelta(hours=5), 1, 0.95, source="newswire", text=f"RT @x: {text}")
    assert len(fired(alerts_of(log.made, NOVEL))) == 1


def test_a_new_story_after_a_long_silence_is_another_alert_although_the_first_was_still_open() -> None:
    log = Stream().burst(DAY, 1, 0.95, source="newswire").burst(3 * DAY, 1, 0.95, source="newswire")
    first, over, second = alerts_of(log.made, NOVEL)
    assert (first.state, over.state, second.state) == ("firing", "resolved", "firing")
    assert over.id == first.id != second.id
    assert over.at == second.at


def test_a_second_story_within_the_cooldown_calls_nobody_again() -> None:
    log = Stream().burst(DAY, 1, 0.95, source="newswire").burst(DAY + timedelta(minutes=90), 1, 0.95, source="newswire")
    assert len(fired(alerts_of(log.made, NOVEL))) == 1


def test_novelty_can_be_kept_to_companies_with_few_stories() -> None:
    rule = {**NOVEL, "quiet_below": 60}
    bad = {"negative": 0.95, "source": "newswire"}
    assert fired(alerts_of(Stream().usual(4, 2).burst(4 * DAY, 1, **bad).made, rule))
    assert not alerts_of(Stream().usual(4, 4).burst(4 * DAY, 1, **bad).made, rule)


QUIET = {**VOLUME, "alert": "Quieter", "signal": "negative_count", "fire": {"gte": 8}}


def both(**fire: Any) -> dict[str, Any]:
    return {"alert": "Both", "type": "composite", "fire": fire, "keep_firing_for": "10m", "cooldown": {"for": "1h"}}


def test_a_composite_fires_in_the_bin_in_which_its_last_part_does_wherever_it_stands_in_the_file() -> None:
    log = Stream().usual(2).burst(DAY, 30, 0.9, every_s=20).made
    for order in ((both(all=["Loud", "Quieter"]), VOLUME, QUIET), (VOLUME, QUIET, both(all=["Loud", "Quieter"]))):
        found = alerts_of(log, *order)
        (whole,) = fired([alert for alert in found if alert.rule == "Both"])
        parts = fired([alert for alert in found if alert.rule != "Both"])
        assert whole.at == max(part.at for part in parts)
        assert whole.evidence.parts == ("Loud", "Quieter")
        assert whole.evidence.in_words.startswith("Loud and Quieter held together; ")
        assert whole.versions["model"] == "fake@1"
        assert len(ended([alert for alert in found if alert.rule == "Both"])) == 1


def test_one_part_is_not_all_parts_and_one_is_enough_for_any() -> None:
    log = Stream().usual(1).burst(DAY, 30, 0.3).made
    assert not alerts_of(log, VOLUME, QUIET, both(all=["Loud", "Quieter"]), named="Both")
    (whole,) = fired(alerts_of(log, VOLUME, QUIET, both(any=["Loud", "Quieter"]), named="Both"))
    assert whole.evidence.parts == ("Loud",)


def test_what_must_not_hold_keeps_a_composite_from_firing() -> None:
    calm = Stream().usual(1).burst(DAY, 30, 0.3).made
    bad = Stream().usual(1).burst(DAY, 30, 0.9).made
    rule = both(all=["Loud"], none=["Quieter"])
    assert fired(alerts_of(calm, QUIET, VOLUME, rule, named="Both"))
    assert not alerts_of(bad, QUIET, VOLUME, rule, named="Both")


def test_a_part_that_has_fired_within_still_holds_and_its_evidence_is_kept() -> None:
    log = Stream().usual(2).burst(DAY, 12, 0.9).burst(DAY + timedelta(minutes=100), 24, 0.2).made
    assert not alerts_of(log, QUIET, VOLUME, both(all=["Loud", "Quieter"]), named="Both")
    found = alerts_of(log, QUIET, VOLUME, both(all=["Loud", "Quieter"], within="2h"))
    (whole,) = fired([alert for alert in found if alert.rule == "Both"])
    loud, bad = (fired([alert for alert in found if alert.rule == name])[0] for name in ("Loud", "Quieter"))
    assert ended(found)[0].rule == "Quieter"
    assert bad.at < whole.at == loud.at
    assert whole.evidence.parts == ("Loud", "Quieter")


def test_a_composite_may_be_made_of_composites() -> None:
    log = Stream().usual(1).burst(DAY, 30, 0.9).made
    outer = {**both(all=["Both"]), "alert": "Outer"}
    (whole,) = fired(alerts_of(log, outer, both(any=["Loud", "Quieter"]), VOLUME, QUIET, named="Outer"))
    assert whole.evidence.parts == ("Both",)
