"""What becomes of an alert whose rule changes, and of a rise that never gets the support its rule asks for."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from streams.monitor.rule_files import parse_rules
from streams.records import Alert, Silence, SilenceMatcher
from tests.streams.monitor.invented import EAGER, START, ended, heard, in_order, incident, mention, monitor, run

CHANGED = EAGER.replace("min_support: {stories: 3", "min_support: {stories: 2")
OTHERS_ONLY = "rules:\n" + EAGER[EAGER.index("  - alert: High") :]


def firing_and_state(*silences: Silence) -> tuple[list[Alert], dict[str, bytes], int]:
    """A monitor in the middle of an incident: its alerts so far, its state, and the next offset."""
    watching = monitor()
    watching.silence(silences)
    store: dict[str, bytes] = {}
    alerts: list[Alert] = []
    for offset, record in enumerate(in_order(incident(random.Random(4)))):
        alerts += watching.absorb(record, offset)
        surges = {alert.state for alert in alerts if alert.rule == "Surge"}
        if surges >= ({"firing", "suppressed"} if silences else {"firing"}):
            changes = watching.changes()
            store = {key: value for key, value in [*changes.entities, *changes.clock] if value is not None}
            return alerts, store, offset + 1
    raise AssertionError("nothing fired")


@pytest.mark.parametrize("text", [CHANGED, OTHERS_ONLY], ids=["changed", "taken away"])
def test_an_alert_whose_rule_is_changed_or_taken_away_is_closed_under_its_own_id(text: str) -> None:
    alerts, store, offset = firing_and_state()
    fired = [alert for alert in alerts if alert.state == "firing" and alert.rule == "Surge"][-1]
    later = monitor(parse_rules(text, name="changed.yaml"))
    later.restore(store.items())
    at = fired.at + timedelta(hours=1)
    log = [mention(9_000, at, entity=fired.labels["entity"]), *ended(3, at + timedelta(hours=1))]
    found = [alert for number, record in enumerate(log, offset) for alert in later.absorb(record, number)]
    (closed,) = [alert for alert in found if alert.id == fired.id]
    assert (closed.state, closed.transition) == ("resolved", fired.transition + 1)
    assert (closed.rule_version, closed.labels) == (fired.rule_version, fired.labels)
    assert closed.ends_at == closed.at
    assert "changed or taken away" in closed.annotations["summary"]


def test_an_alert_that_is_closed_while_its_rise_is_silenced_ends_in_the_severity_that_was_told() -> None:
    matchers = (SilenceMatcher(name="severity", op="=", value="critical"),)
    quiet = Silence(
        id="s1", matchers=matchers, starts_at=START, ends_at=START + timedelta(days=9), by="desk", comment=""
    )
    alerts, store, offset = firing_and_state(quiet)
    told, kept = (next(one for one in alerts if one.state == state) for state in ("firing", "suppressed"))
    assert (kept.id, kept.severity) == (told.id, "critical") != (told.id, told.severity)
    later = monitor(parse_rules(OTHERS_ONLY, name="changed.yaml"))
    later.restore(store.items())
    at = kept.at + timedelta(hours=1)
    log = [mention(9_000, at, entity=told.labels["entity"]), *ended(3, at + timedelta(hours=1))]
    found = [alert for number, record in enumerate(log, offset) for alert in later.absorb(record, number)]
    (closed,) = [alert for alert in found if alert.id == told.id]
    assert (closed.state, closed.severity) == ("resolved", told.severity)


def test_a_rise_that_cannot_fire_becomes_the_usual_after_two_days() -> None:
    rng = random.Random(1)
    log = [
        mention(number, START + timedelta(minutes=20 * number), round(rng.uniform(0.6, 0.9), 3), source="only-one")
        for number in range(72 * 6)
    ]
    alerts = run([*heard(1), *log, *ended(1, log[-1].published_at + timedelta(hours=1))])
    assert not [alert for alert in alerts if alert.state == "firing"]
    shares = [alert.evidence.baseline.share for alert in alerts if alert.state == "pending"]
    assert not shares or shares[-1] > shares[0]
    watching = monitor()
    for offset, record in enumerate([*heard(1), *log, *ended(1, log[-1].published_at + timedelta(hours=1))]):
        watching.absorb(record, offset)
    (state,) = watching._entities.values()
    learned = state.rules["Surge"].baseline
    assert learned.votes > 100
    assert learned.negative / learned.votes > 0.5
