"""A change of the model: it does not fire the fleet, it hides no surge, and it says so."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.monitor import RuleSet, default_rules, model_change
from streams.monitor.model_change import ALLOWED, PRIOR_VOTES, WARM_VOTES, shift_of
from streams.monitor.model_states import Arrival
from streams.monitor.partition import PartitionMonitor
from streams.monitor.rule_files import parse_rules
from streams.records import Alert, Mention, ModelVersion, encode
from tests.streams.monitor.invented import START, Record, as_bytes, ended, heard, in_order, mention, monitor, save
from tests.streams.monitor.test_order import PARTITIONS, disturbed

OLD, NEW = ModelVersion(name="champion", version="1"), ModelVersion(name="champion", version="2")
FLEET = tuple(f"C{number:02d}" for number in range(50))
DAYS_BEFORE, DAYS_AFTER = 3, 2
SWITCH = START + timedelta(days=DAYS_BEFORE)


def shipped() -> RuleSet:
    return default_rules()


def stream(
    seed: int,
    entities: Sequence[str],
    *,
    higher: float,
    per_hour: float = 24,
    surge: tuple[float, float] | None = None,
    days_after: float = DAYS_AFTER,
) -> list[Mention]:
    """Poisson mentions of companies, each with its own share; after the switch every score is higher by so much.

    `surge` is when, in hours after the switch, and how many times as many mentions come in the two hours from then on,
    three in four of them negative.
    """
    rng = random.Random(seed)
    found: list[Mention] = []
    end_h = (DAYS_BEFORE + days_after) * 24.0
    for entity in entities:
        share = rng.uniform(0.12, 0.3)
        hour = 0.0
        while True:
            in_surge = surge is not None and surge[0] <= hour - DAYS_BEFORE * 24 < surge[0] + 2
            hour += rng.expovariate(per_hour * (surge[1] if in_surge and surge else 1.0))
            if hour >= end_h:
                break
            at = START + timedelta(hours=hour)
            score = (
                rng.betavariate(8, 2)
                if in_surge and rng.random() < 0.75
                else rng.betavariate(4 * share, 4 * (1 - share))
            )
            model = OLD if at < SWITCH else NEW
            raised = min(1.0, score + (higher if model is NEW else 0.0))
            number = len(found)
            own = mention(
                number,
                at,
                round(raised, 4),
                entity=entity,
                text="",
                author=f"a{number}",
                partition=rng.randrange(PARTITIONS),
            )
            found.append(msgspec.structs.replace(own, model=model))
    return sorted(found, key=lambda m: (m.published_at, m.message_id))


def watched(mentions: Sequence[Mention], rules: RuleSet) -> list[Alert]:
    watching = monitor(rules)
    log: list[Record] = in_order(mentions, PARTITIONS)
    return [alert for offset, record in enumerate(log) for alert in watching.absorb(record, offset)]


def firing(alerts: Sequence[Alert]) -> list[Alert]:
    return [alert for alert in alerts if alert.state == "firing" and alert.transition <= 1]


def test_a_model_that_scores_015_higher_on_everything_fires_on_none_of_fifty_companies() -> None:
    assert firing(watched(stream(7, FLEET, higher=0.15), shipped())) == []


def test_without_it_the_same_change_would_have_fired_on_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_change, "LEAST_VOTES", float("inf"))  # every model is taken as it comes
    assert len({alert.labels["entity"] for alert in firing(watched(stream(7, FLEET, higher=0.15), shipped()))}) >= 3


@pytest.mark.parametrize("hours", [0.0, 1.0, 3.0, 12.0])
def test_a_surge_to_ten_times_as_many_is_found_during_the_warm_up_and_after_it(hours: float) -> None:
    entities = FLEET[:8]
    alerts = firing(watched(stream(11, entities, higher=0.15, surge=(hours, 10.0), days_after=1), shipped()))
    found = {alert.labels["entity"]: alert for alert in alerts}
    assert set(found) == set(entities)
    for alert in found.values():
        since_h = (alert.at - SWITCH).total_seconds() / 3600
        assert hours <= since_h <= hours + 2
        change = alert.evidence.quality.model_change
        if hours <= 1:
            assert change is not msgspec.UNSET
            assert (change.model, change.before, change.needed) == ("champion@2", ("champion@1",), 100)
            assert change.votes > 0
        if hours == 12:
            assert change is msgspec.UNSET
            assert b"model_change" not in encode(alert)


def told(
    models: Sequence[ModelVersion], *, scores: Sequence[float], per_model: int, every_s: float = 600
) -> list[Record]:
    """The log of one company that is scored by one model after the other, with a score of its own each."""
    log: list[Record] = [*heard(1)]
    rng = random.Random(3)
    number = 0
    for model, score in zip(models, scores, strict=True):
        for _ in range(per_model):
            number += 1
            at = START + timedelta(seconds=every_s * number)
            own = mention(number, at, round(score + rng.uniform(-0.1, 0.1), 4), text="", author=f"a{number}")
            log.append(msgspec.structs.replace(own, model=model))
    return [*log, *ended(1, START + timedelta(seconds=every_s * number + 3600))]


def quiet_monitor(
    models: Sequence[ModelVersion],
    *,
    scores: Sequence[float],
    per_model: int,
    every_s: float = 600,
    rules: RuleSet | None = None,
) -> PartitionMonitor:
    """A monitor that has heard what was `told`."""
    watching = monitor(rules or shipped())
    for offset, record in enumerate(told(models, scores=scores, per_model=per_model, every_s=every_s)):
        watching.absorb(record, offset)
    return watching


SUMS = """
rules:
  - {alert: Many, type: threshold, signal: negative_count, window: 24h, fire: {gte: 8}, resolve: {lte: 2}}
  - {alert: Mood, type: threshold, signal: mean_sentiment, window: 24h, fire: {gte: -0.1}}
  - {alert: Volume, type: threshold, signal: volume, window: 24h, fire: {gte: 1000}}
  - {alert: Share, type: threshold, window: 24h, fire: {gte: 0.9}}
"""


def test_what_a_threshold_counts_is_not_moved_as_if_it_were_a_sum_of_scores() -> None:
    rules = parse_rules(SUMS, name="sums.yaml")
    assert _alerts(told([OLD, NEW], scores=[0.2, 0.35], per_model=200), rules) == []
    state = quiet_monitor([OLD, NEW], scores=[0.2, 0.35], per_model=101, rules=rules).entities["AURL"]
    assert state.scale is not None
    assert state.scale.models == ("champion@2",)
    kept = {name: memory.window for name, memory in state.rules.items()}
    assert sum(total for _, _, total in kept["Many"]) == 0
    assert sum(votes for _, votes, _ in kept["Volume"]) > 100
    assert all(total == votes for _, votes, total in kept["Volume"])
    assert len(kept["Many"]) == len(kept["Mood"]) <= 1  # begun anew when the model became known
    assert all(-0.45 <= total / votes <= -0.25 for _, votes, total in kept["Mood"])
    share = sum(total for _, _, total in kept["Share"]) / sum(votes for _, votes, _ in kept["Share"])
    assert share == pytest.approx(0.35, abs=0.06)


def _alerts(log: Sequence[Record], rules: RuleSet) -> list[Alert]:
    watching = monitor(rules)
    return [alert for offset, record in enumerate(log) for alert in watching.absorb(record, offset)]


def test_a_timeline_shows_what_the_models_said_and_the_rules_read_what_is_on_scale() -> None:
    bins: list[tuple[int, float]] = []
    watching = PartitionMonitor(0, shipped(), on_bin=lambda closed: bins.append((closed.votes, closed.negative)))
    mentions = stream(5, FLEET[:1], higher=0.2, days_after=0.1)
    for offset, record in enumerate(in_order(mentions, PARTITIONS)):
        watching.absorb(record, offset)
    assert sum(votes for votes, _ in bins) == len(mentions)
    assert sum(negative for _, negative in bins) == pytest.approx(sum(m.negative for m in mentions))


def test_what_was_learned_is_moved_by_the_difference_that_was_measured() -> None:
    before = quiet_monitor([OLD], scores=[0.2], per_model=200).entities["AURL"]
    state = quiet_monitor([OLD, NEW], scores=[0.2, 0.35], per_model=200).entities["AURL"]
    assert state.scale is not None
    assert state.scale.models == ("champion@2",)
    assert not state.scale.arriving
    for name in ("NegativeShareSurge", "NegativeShareHigh"):
        was, level = before.rules[name].baseline, state.rules[name].baseline
        assert was.negative / was.votes == pytest.approx(0.2, abs=0.02)
        assert level.negative / level.votes == pytest.approx(0.35, abs=0.03)
    lately = state.rules["NegativeShareSurge"].lately
    assert lately.negative / lately.votes == pytest.approx(0.35, abs=0.02)


def rolled_out(per_hour: float, hours: float, *, seed: int = 1) -> list[Record]:
    """Two days of the old model; from then on each vote is likelier to be the new one's, up to all of them."""
    rng = random.Random(seed)
    log: list[Record] = [*heard(1)]
    number, hour, end_h = 0, 0.0, 48 + hours + 1500 / per_hour
    while (hour := hour + rng.expovariate(per_hour)) < end_h:
        number += 1
        is_new = rng.random() < (hour - 48) / hours
        score = rng.uniform(0.1, 0.3) + (0.2 if is_new else 0.0)
        own = mention(number, START + timedelta(hours=hour), round(score, 4), text="", author=f"a{number}")
        log.append(msgspec.structs.replace(own, model=NEW if is_new else OLD))
    return [*log, *ended(1, START + timedelta(hours=end_h + 1))]


@pytest.mark.parametrize(("per_hour", "hours"), [(60, 0.25), (240, 0.25), (240, 1), (240, 2), (24, 6)])
def test_a_promotion_that_takes_its_time_is_still_a_replacement(per_hour: float, hours: float) -> None:
    watching = monitor(shipped())
    found = [alert for offset, own in enumerate(rolled_out(per_hour, hours)) for alert in watching.absorb(own, offset)]
    assert firing(found) == []
    state = watching.entities["AURL"]
    assert state.scale is not None
    assert (state.scale.models, state.scale.arriving) == (("champion@2",), {})
    lately = state.rules["NegativeShareSurge"].lately
    assert lately.negative / lately.votes == pytest.approx(0.4, abs=0.03)


def test_a_promotion_in_the_midst_of_an_alert_is_a_replacement_once_the_alert_is_over() -> None:
    models = [OLD] * 200 + [OLD] * 20 + [OLD, NEW] * 30 + [NEW] * 260
    scores = [0.2] * 200 + [0.8] * 80 + [0.35] * 260
    watching = quiet_monitor(models, scores=scores, per_model=1, every_s=60)
    state = watching.entities["AURL"]
    assert any(memory.life.fired_ms for memory in state.rules.values())
    assert state.scale is not None
    assert (state.scale.models, state.scale.arriving) == (("champion@2",), {})
    assert state.scale.negative / state.scale.votes == pytest.approx(0.35, abs=0.03)


def test_votes_that_are_dropped_for_an_alert_take_those_of_others_with_them() -> None:
    models = [OLD] * 200 + [OLD] * 20 + [OLD, NEW] * 30
    state = quiet_monitor(models, scores=[0.2] * 200 + [0.8] * 80, per_model=1, every_s=60).entities["AURL"]
    assert state.scale is not None
    arrival = state.scale.arriving["champion@2"]
    assert (arrival.votes, arrival.held_votes, arrival.others, arrival.held_others) == (0, 0, 0, 0)
    assert arrival.lately == pytest.approx(arrival.others_lately, rel=0.1)


def test_a_warm_up_that_was_saved_before_it_was_known_who_scores_goes_on_for_a_little_longer() -> None:
    saved = Arrival(votes=WARM_VOTES, excess=15.0, others=60.0)
    assert model_change._replaces(saved) is None
    for _ in range(40):
        model_change._see_who_scores(saved, own=1, others=1)
    assert model_change._replaces(saved) is False


LASTING = """
rules:
  - {alert: Surge, type: spike, fire: {arl: 30d}, pending: {arl: 12h}}
"""
ALWAYS = {
    "volume": "{alert: Always, type: threshold, signal: volume, window: 24h, fire: {gte: 5}}",
    "composite": "{alert: Always, type: composite, fire: {any: [Loud]}}\n"
    "  - {alert: Loud, type: threshold, signal: volume, window: 24h, fire: {gte: 5}}",
    "scores": "{alert: Always, type: threshold, signal: mean_sentiment, window: 24h, fire: {lte: -0.05}}",
    "novelty": "{alert: Always, type: novelty, fire: {gte: 0.1}, keep_firing_for: 1m, cooldown: {for: 1m}}",
    "cooldown": "{alert: Always, type: threshold, signal: negative_count, window: 30m, fire: {lt: 5}, "
    "min_support: {stories: 1, voices: 1}, cooldown: {for: 30d}}",
}


YOUNG = "{alert: Young, type: threshold, signal: mean_sentiment, window: 2h, fire: {lte: -0.3}}"


@pytest.mark.parametrize("which", sorted(ALWAYS))
def test_a_model_becomes_known_beside_an_alert_that_does_not_end_or_is_none_of_scores(which: str) -> None:
    rules = parse_rules(f"{LASTING}  - {ALWAYS[which]}\n", name="lasting.yaml")
    state = quiet_monitor([OLD, NEW], scores=[0.2, 0.35], per_model=200, rules=rules).entities["AURL"]
    assert state.rules["Always"].life.state in ("firing", "suppressed")
    assert state.scale is not None
    assert (state.scale.models, state.scale.arriving) == (("champion@2",), {})
    lately = state.rules["Surge"].lately
    assert lately.negative / lately.votes == pytest.approx(0.35, abs=0.03)


def test_while_an_alert_on_scores_is_young_nothing_is_learned_of_a_new_model() -> None:
    rules = parse_rules(f"{LASTING}  - {YOUNG}\n", name="lasting.yaml")
    # Half a day each, so that the alert has fired for less than a day.
    state = quiet_monitor([OLD, NEW], scores=[0.2, 0.6], per_model=140, every_s=300, rules=rules).entities["AURL"]
    assert state.rules["Young"].life.state == "firing"
    assert state.scale is not None
    assert state.scale.models == ("champion@1",)
    arrival = state.scale.arriving["champion@2"]
    assert arrival.votes < 60
    assert arrival.lately > 40  # who scores is seen all the same


def test_a_model_that_scores_lower_is_learned_as_well() -> None:
    state = quiet_monitor([OLD, NEW], scores=[0.4, 0.2], per_model=250).entities["AURL"]
    level = state.rules["NegativeShareSurge"].baseline
    assert level.negative / level.votes == pytest.approx(0.2, abs=0.04)


def test_a_model_beside_another_moves_nothing_and_is_known_from_then_on() -> None:
    other = ModelVersion(name="chinese", version="1")
    models = [OLD] + [OLD, other] * 120
    scores = [0.2] + [0.2, 0.4] * 120
    state = quiet_monitor([OLD] * 60 + models, scores=[0.2] * 60 + scores, per_model=1).entities["AURL"]
    assert state.scale is not None
    assert state.scale.models == ("champion@1", "chinese@1")
    assert not state.scale.arriving
    level = state.rules["NegativeShareSurge"].baseline
    assert level.negative / level.votes < 0.32


def test_a_company_with_little_history_takes_a_new_model_as_it_comes() -> None:
    state = quiet_monitor([OLD, NEW], scores=[0.2, 0.5], per_model=15).entities["AURL"]
    assert state.scale is not None
    assert state.scale.models == ("champion@1", "champion@2")
    assert not state.scale.arriving


def test_votes_of_the_first_tier_are_no_new_model() -> None:
    watching = monitor(shipped())
    first_tier = ModelVersion(name="first-tier", version="1")
    for number in range(120):
        own = mention(number, START + timedelta(minutes=10 * number), 0.2, text="", author=f"a{number}")
        if number % 3 == 2:
            own = msgspec.structs.replace(own, model=first_tier, degraded=True, negative=0.6)
        watching.absorb(own if number else heard(1)[0], number)
    scale = watching.entities["AURL"].scale
    assert scale is not None
    assert (scale.models, scale.arriving) == (("fake@1",), {})
    assert scale.negative / scale.votes == pytest.approx(0.2, abs=0.01)


def test_a_model_that_is_taken_back_is_still_known() -> None:
    state = quiet_monitor([OLD, NEW, OLD], scores=[0.2, 0.35, 0.2], per_model=60).entities["AURL"]
    assert state.scale is not None
    assert state.scale.models == ("champion@1",)
    level = state.rules["NegativeShareSurge"].baseline
    assert level.negative / level.votes == pytest.approx(0.2, abs=0.05)


@given(
    differences=st.lists(st.floats(-1, 1), max_size=300),
    allowed=st.floats(-0.5, ALLOWED),
)
def test_what_is_taken_off_lies_between_the_measured_difference_and_the_largest_allowed_one(
    differences: list[float], allowed: float
) -> None:
    arrival = Arrival(votes=len(differences), excess=sum(differences))
    mean = sum(differences) / len(differences) if differences else ALLOWED
    assert min(mean, ALLOWED) - 1e-9 <= shift_of(arrival) <= max(mean, ALLOWED) + 1e-9
    assert shift_of(Arrival(votes=WARM_VOTES, excess=WARM_VOTES * allowed)) - allowed <= PRIOR_VOTES / 120 * 0.7 + 1e-9


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_saved_and_restored_at_any_point_the_alerts_are_the_same_bytes(seed: int) -> None:
    rng = random.Random(seed)
    mentions = stream(seed, FLEET[:2], higher=0.15, surge=(rng.uniform(0, 5), 10.0), days_after=0.4)
    rules = shipped()
    expected = [encode(alert) for alert in watched(mentions, rules)]
    log: list[Record] = in_order(mentions, PARTITIONS)
    store: dict[str, bytes] = {}
    found: list[bytes] = []
    watching = monitor(rules)
    for offset, record in enumerate(log):
        found += [encode(alert) for alert in watching.absorb(record, offset)]
        if rng.random() < 0.02:
            save(store, watching)
            watching = monitor(rules)
            watching.restore(store.items())
    assert found == expected
    assert any(b'"firing"' in alert for alert in found)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_in_any_order_within_the_lateness_with_a_fifth_sent_again_the_alerts_are_the_same_bytes(seed: int) -> None:
    mentions = stream(seed, FLEET[:2], higher=0.15, surge=(2.0, 10.0), days_after=0.3)
    watching = monitor(shipped())
    log = disturbed(mentions, random.Random(seed))
    found = [alert for offset, record in enumerate(log) for alert in watching.absorb(record, offset)]
    assert as_bytes(found) == as_bytes(watched(mentions, shipped()))
    assert firing(found)
