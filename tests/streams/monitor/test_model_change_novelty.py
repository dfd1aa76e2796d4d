"""A change of the model and single stories: novelty reads what the model said, counts what is on scale."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.monitor.rule_files import parse_rules
from streams.records import Alert, ModelVersion, decode_alert, encode
from tests.streams.monitor.invented import START, Record, ended, heard, mention, monitor, save

OLD, NEW = ModelVersion(name="champion", version="1"), ModelVersion(name="champion", version="2")
QUIET = """
rules:
  - {alert: New, type: novelty, fire: {gte: 0.9}, quiet_below: 60, min_support: {stories: 1, voices: 1}}
  - {alert: Two, type: threshold, signal: negative_count, window: 24h, fire: {gte: 2}, min_support: {stories: 1}}
"""


def alerts_of(*bad: float, model: ModelVersion, **more: Any) -> list[Alert]:
    """Of a quiet company with forty usual stories by the old model, an hour apart; then come these, by a model."""
    watching = monitor(parse_rules(QUIET, name="quiet.yaml"))
    log: list[Record] = [*heard(1)]
    for number, negative in enumerate((*[0.2] * 40, *bad)):
        own = mention(number, START + timedelta(hours=number), negative, author=f"a{number}", **more)
        log.append(msgspec.structs.replace(own, model=OLD if number < 40 else model))
    log += ended(1, START + timedelta(hours=60))
    found = [alert for offset, own in enumerate(log) for alert in watching.absorb(own, offset)]
    assert [decode_alert(encode(alert)) for alert in found] == found
    return [alert for alert in found if alert.state == "firing"]


@pytest.mark.parametrize("model", [OLD, NEW], ids=["known", "new"])
def test_novelty_hears_the_first_story_of_a_new_model_as_it_was_scored(model: ModelVersion) -> None:
    (alert,) = alerts_of(0.95, model=model)
    assert alert.rule == "New"
    assert (alert.evidence.observed.share, alert.evidence.threshold) == (0.95, 0.9)
    assert [message.negative for message in alert.evidence.messages] == [0.95]
    assert (alert.evidence.quality.model_change is not msgspec.UNSET) is (model is NEW)


def test_novelty_stays_silent_of_a_story_that_the_new_model_takes_for_mild() -> None:
    assert alerts_of(0.89, 0.3, model=NEW) == []


def test_what_is_counted_stays_on_scale_until_the_model_is_known() -> None:
    assert [alert.rule for alert in alerts_of(0.6, 0.6, model=OLD)] == ["Two"]
    assert alerts_of(0.6, 0.6, model=NEW) == []
    assert [alert.rule for alert in alerts_of(0.8, 0.8, model=NEW)] == ["Two"]


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_slow_promotion_saved_and_restored_at_any_point_leaves_the_same_state_and_alerts(seed: int) -> None:
    rng = random.Random(seed)
    log: list[Record] = [*heard(1)]
    for number in range(400):
        is_new = rng.random() < (number - 100) / 100
        bad = rng.random() < 0.05 or 120 <= number < 140
        own = mention(
            number,
            START + timedelta(minutes=20 * number),
            round(rng.uniform(0.6 if bad else 0.1, 1.0 if bad else 0.4), 4),
        )
        log.append(msgspec.structs.replace(own, model=NEW if is_new else OLD))
    log += ended(1, START + timedelta(minutes=20 * 410))
    rules = parse_rules(QUIET, name="quiet.yaml")
    whole, watching = monitor(rules), monitor(rules)
    expected = [encode(alert) for offset, own in enumerate(log) for alert in whole.absorb(own, offset)]
    store: dict[str, bytes] = {}
    found: list[bytes] = []
    for offset, own in enumerate(log):
        found += [encode(alert) for alert in watching.absorb(own, offset)]
        if rng.random() < 0.05:
            save(store, watching)
            watching = monitor(rules)
            watching.restore(store.items())
    assert found == expected
    left, scale = watching.entities["AURL"], whole.entities["AURL"].scale
    assert scale is not None
    assert (left.scale, left.rules) == (scale, whole.entities["AURL"].rules)
    assert scale.models == ("champion@2",)
