"""What an alert shows: contributions that add up, the counterfactual, topics, counts, quality, and words."""

from __future__ import annotations

import math
import random
from datetime import timedelta
from typing import Any

import pytest

from streams.monitor import RuleSet
from streams.monitor.e_detector import term
from streams.monitor.rule_files import parse_rules
from streams.monitor.run import _in_words
from streams.monitor.state import TOP_STORIES
from streams.records import Alert, Mention
from tests.streams.monitor.invented import START, in_order, mention, run

ONSET = START + timedelta(hours=20)


def rules(arl: str = "10m") -> RuleSet:
    text = f"rules: [{{alert: Surge, type: spike, fire: {{arl: {arl}}}, min_support: {{stories: 3, sources: 2}}, "
    return parse_rules(text + "annotations: {summary: '{entity} {share} {stories} {baseline}'}}]", name="test")


def quiet() -> list[Mention]:
    rng = random.Random(3)
    return [mention(n, START + timedelta(minutes=15 * n), round(rng.uniform(0, 0.2), 4)) for n in range(78)]


def bad(number: int, minute: float, negative: float = 0.95, **more: Any) -> Mention:
    return mention(1000 + number, ONSET + timedelta(minutes=minute), negative, **more)


def fired(*mentions: Mention, arl: str = "10m", **options: Any) -> Alert:
    alerts = run(in_order([*quiet(), *mentions]), rules=rules(arl), **options)
    return next(alert for alert in alerts if alert.state == "firing")


def test_the_contributions_of_all_stories_add_up_to_one_when_all_are_shown() -> None:
    evidence = fired(*(bad(n, n / 2, 0.8 + n / 50) for n in range(6))).evidence
    assert len(evidence.messages) == evidence.observed.stories <= TOP_STORIES
    assert math.fsum(shown.contribution for shown in evidence.messages) == pytest.approx(1, abs=1e-5)
    contributions = [shown.contribution for shown in evidence.messages]
    assert contributions == sorted(contributions, reverse=True)
    assert [shown.negative for shown in evidence.messages] == sorted(
        (m.negative for m in evidence.messages), reverse=True
    )


def test_of_many_stories_the_strongest_are_shown_and_are_less_than_all() -> None:
    evidence = fired(*(bad(n, 0.01 * n, 0.7 + n / 100) for n in range(20)), arl="1h").evidence
    assert evidence.observed.stories == 20
    assert [shown.negative for shown in evidence.messages] == pytest.approx(
        [0.89 - n / 100 for n in range(TOP_STORIES)]
    )
    assert 0 < math.fsum(shown.contribution for shown in evidence.messages) < 1


def test_topics_share_the_evidence_out_and_add_up_to_one() -> None:
    mentions = [bad(n, n / 10, topic="legal" if n % 3 else "people") for n in range(9)]
    topics = fired(*mentions).evidence.topics
    assert set(topics) == {"legal", "people"}
    assert math.fsum(topics.values()) == pytest.approx(1, abs=1e-5)
    assert topics["legal"] > topics["people"] > 0


def test_the_counterfactual_takes_the_strongest_story_away() -> None:
    just = fired(*(bad(n, n) for n in range(20)), arl="2h").evidence
    assert just.e_value is not None
    assert just.counterfactual is not None
    assert just.threshold <= just.e_value
    assert just.counterfactual.e_value < just.e_value
    assert not just.counterfactual.fires
    plenty = fired(*(bad(n, 0.01 * n) for n in range(20))).evidence
    assert plenty.counterfactual is not None
    assert plenty.counterfactual.fires


def test_the_counterfactual_needs_the_support_that_the_rule_needs() -> None:
    three = fired(*(bad(n, 0.1) for n in range(3))).evidence
    assert three.counterfactual is not None
    assert three.counterfactual.e_value > three.threshold
    assert not three.counterfactual.fires


def test_the_counterfactual_takes_the_strongest_storys_factor_off_the_e_value() -> None:
    evidence = fired(*(bad(n, 0.01 * n, 0.8 + n / 50) for n in range(6))).evidence
    assert evidence.counterfactual is not None
    assert evidence.e_value is not None
    strongest = term(evidence.messages[0].negative, evidence.baseline.share + evidence.baseline.margin)
    assert evidence.counterfactual.e_value == pytest.approx(evidence.e_value / math.exp(strongest), rel=1e-4)


def test_voices_are_sources_or_authors() -> None:
    def fires(support: str, *mentions: Mention) -> bool:
        text = f"rules: [{{alert: Surge, type: spike, fire: {{arl: 10m}}, min_support: {support}}}]"
        alerts = run(in_order([*quiet(), *mentions]), rules=parse_rules(text, name="test"))
        return any(alert.state == "firing" for alert in alerts)

    one_feed = [bad(n, n / 2, source="wire-0", author=f"author-{n}") for n in range(8)]
    no_authors = [bad(n, n / 2, source="wire-0") for n in range(8)]
    one_author = [bad(n, n / 2, source="wire-0", author="ines") for n in range(8)]
    two_feeds = [bad(n, n / 2, source=f"wire-{n % 2}") for n in range(8)]
    for support in ("{stories: 2}", "{stories: 2, voices: 2}"):  # two voices are asked for where nothing is said
        assert [fires(support, *log) for log in (one_feed, no_authors, one_author, two_feeds)] == [1, 0, 0, 1]
    assert [fires("{sources: 2}", *log) for log in (one_feed, two_feeds)] == [False, True]
    assert [fires("{sources: 1}", *log) for log in (no_authors, two_feeds)] == [True, True]
    assert [fires("{voices: 1}", *log) for log in (no_authors, two_feeds)] == [True, True]
    assert [fires("{sources: 2, voices: 3}", *log) for log in (one_feed, two_feeds)] == [False, False]


def test_the_evidence_shows_the_usual_share_and_the_margin_that_it_was_held_against() -> None:
    """The log evidence of the stories shown, taken from the share and the margin shown, is what they contributed."""
    stories = [bad(n, 0.01 * n, 0.8 + n / 50) for n in range(6)]  # of one bin: all were held against one null mean
    evidence = fired(*stories).evidence
    null_mean = evidence.baseline.share + evidence.baseline.margin
    gains = {m.message_id: term(m.negative, null_mean) for m in stories}
    for shown in evidence.messages:
        assert shown.contribution == pytest.approx(gains[shown.message_id] / math.fsum(gains.values()), abs=1e-5)
    fixed = parse_rules("rules: [{alert: Surge, type: spike, fire: {arl: 10m}, margin: 0.12}]", name="test")
    alerts = run(in_order([*quiet(), *stories]), rules=fixed)
    assert next(alert for alert in alerts if alert.state == "firing").evidence.baseline.margin == 0.12


def test_copies_are_counted_with_their_story_and_have_no_vote() -> None:
    first = bad(0, 0.1)
    copies = [bad(50 + n, 0.2 + n / 100, text=f"RT @x: {first.text}", source=f"blog-{n}") for n in range(7)]
    evidence = fired(first, *copies, *(bad(n, 0.5 + n / 100) for n in range(1, 6))).evidence
    assert (evidence.observed.messages, evidence.observed.stories) == (13, 6)
    assert evidence.observed.sources == 5  # those that had a story of their own
    (shown,) = (message for message in evidence.messages if message.message_id == first.message_id)
    assert shown.copies == 8
    assert shown.text == first.text


def test_an_author_has_only_so_many_votes_an_hour() -> None:
    mentions = [bad(n, n / 100, author="loud") for n in range(9)] + [bad(20 + n, 0.5, author=f"a{n}") for n in range(6)]
    evidence = fired(*mentions).evidence
    assert evidence.observed.stories == 8
    assert evidence.quality.capped == 7
    assert evidence.observed.authors == 7
    assert fired(*mentions, author_votes_per_hour=5).evidence.observed.stories == 11


def test_what_to_know_before_one_trusts_it_is_counted() -> None:
    mentions = [bad(n, 0.1, truncated=n < 3, clamped=n < 2) for n in range(8)]
    quality = fired(*mentions).evidence.quality
    assert (quality.truncated, quality.clamped, quality.late) == (3, 2, 0)
    assert not quality.warm  # 78 votes are less than 100


def test_what_came_too_late_is_outside_the_evidence_and_is_said_once() -> None:
    log = in_order([*quiet(), *(bad(n, 0) for n in range(3)), *(bad(n, 12) for n in range(3, 9))], partitions=1)
    late = mention(5000, ONSET - timedelta(minutes=20), 1.0)
    place = len(log) - 2
    assert log[place - 1] == bad(7, 12)
    evidence = next(
        alert for alert in run([*log[:place], late, late, *log[place:]], rules=rules("1d")) if alert.state == "firing"
    ).evidence
    assert evidence.quality.late == 1
    assert all(shown.message_id != late.message_id for shown in evidence.messages)


def test_times_and_shares_say_what_was_seen_against_what_is_usual() -> None:
    alert = fired(*(bad(n, 3 + n / 100, 0.9) for n in range(8)))
    evidence = alert.evidence
    assert evidence.onset == evidence.observed.window_start == ONSET + timedelta(minutes=3)
    assert alert.at == evidence.observed.window_end == ONSET + timedelta(minutes=4)
    assert evidence.delay_s == 60
    assert evidence.observed.share == 0.9
    assert evidence.observed.low < 0.9 < evidence.observed.high
    level = (10 + math.fsum(m.negative for m in quiet())) / 118
    fresh = [0.5 ** ((quiet()[-1].published_at - m.published_at) / timedelta(hours=6)) for m in quiet()]
    lately = math.fsum(keep * m.negative for keep, m in zip(fresh, quiet(), strict=True))
    expected = (lately + 60 * level) / (math.fsum(fresh) + 60)
    assert evidence.baseline.share == pytest.approx(expected, abs=0.005)  # of the level, too, votes have faded a little
    assert 1.75 * 0.04 < evidence.baseline.margin < 0.15  # the first hours were far off what is supposed of any company
    assert evidence.baseline.low < evidence.baseline.share < evidence.baseline.high
    assert alert.annotations["summary"] == f"AURL 90% 8 {evidence.baseline.share:.0%}"
    assert alert.versions == {"squall": "test", "model": "fake@1"}
    assert alert.replay == "squall replay kafka: --as-scored --entity AURL --to 2026-03-17T02:04:00Z"


def test_a_long_text_is_cut_where_one_can_see_it() -> None:
    mentions = [bad(n, 0.1, text=f"{bad(n, 0).text} " * 12) for n in range(8)]
    for shown in fired(*mentions).evidence.messages:
        assert len(shown.text) <= 280
        assert shown.text.endswith("…")


def test_an_end_shows_what_raised_the_alert_and_not_the_calm_that_ended_it() -> None:
    calm = [mention(3000 + n, ONSET + timedelta(minutes=30 + 5 * n), 0.02) for n in range(20)]
    alerts = run(in_order([*quiet(), *(bad(n, 0.1) for n in range(8)), *calm]), rules=rules())
    states = {alert.state: alert for alert in alerts}
    assert states["resolved"].evidence == states["firing"].evidence
    assert states["resolved"].ends_at == states["resolved"].at > states["firing"].at
    assert states["resolved"].id == states["firing"].id
    assert states["firing"].ends_at is None


@pytest.mark.parametrize(
    ("bins", "words"),
    [
        (60, "may come every day or so"),
        (1440 * 30, "at most once in about 30 days"),
        (1440 * 366, "at most once in about a year"),
        (1440 * 365.25 * 7, "at most once in about 7 years"),
        (1440 * 365.25 * 100.1, "at most once in more than 100 years"),
        (math.exp(700), "at most once in more than 100 years"),
    ],
)
def test_the_bound_is_said_as_a_sentence(bins: float, words: str) -> None:
    assert words in _in_words(math.log(bins))


def test_a_plain_threshold_makes_no_statement_about_chance() -> None:
    assert "no statement about chance" in _in_words(None)
