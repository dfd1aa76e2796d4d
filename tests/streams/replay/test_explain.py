"""Why a rule fires, or why not: a replay that stops at a moment says the same as the alert that was raised."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from deploy.cli import rules_explain
from streams.errors import InputError
from streams.monitor import MonitorOptions, RuleSet
from streams.records import Alert, Mention
from streams.replay.explain import Moment, explain_at
from tests.streams.monitor.invented import START, Record, eager_rules, in_order, incident, mention, run
from tests.streams.monitor.invented_rules import NAMES, all_rules

OPTIONS = MonitorOptions(squall_version="test")


class Log:
    """A log in memory, as a source of mentions."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._records = records
        self.facts = SimpleNamespace(text="the log")
        self.partitions = (0,)

    def records(self, partition: int, *, on_bad: Any) -> Iterator[tuple[int, Record]]:
        yield from enumerate(self._records)


@pytest.fixture(scope="module")
def log() -> list[Record]:
    return in_order(incident(random.Random(3)))


@pytest.fixture(scope="module")
def alerts(log: list[Record]) -> list[Alert]:
    found = [alert for alert in run(log) if alert.labels["entity"] == "AURL"]
    assert {"firing", "resolved"} <= {alert.state for alert in found}
    return found


def at(log: Sequence[Record], moment: datetime, entity: str = "AURL", rules: RuleSet | None = None) -> Moment:
    source: Any = Log(log)
    return explain_at(source, rules or eager_rules(), OPTIONS, entity=entity, at=moment, on_bad=lambda bad: None)


def test_of_every_type_what_its_rule_asks_for_is_there_when_it_fires_and_something_is_missing_when_it_does_not(
    log: list[Record],
) -> None:
    fired = {alert.rule: alert for alert in run(log, rules=all_rules()) if alert.state == "firing" and not alert.again}
    assert set(fired) >= NAMES
    for name, alert in fired.items():
        found = next(one for one in at(log, alert.at, rules=all_rules()).rules if one.rule.alert == name)
        assert (found.state, found.unmet) == ("firing", ()), (name, found.unmet)
        assert rules_explain._rule(found)
    for found in at(log, START + timedelta(hours=20), rules=all_rules()).rules:
        assert found.state == "inactive"
        assert found.unmet, found.rule.alert
        assert rules_explain._rule(found)[-1].startswith("  does not fire: ")


def test_an_explanation_says_what_was_measured_in_the_unit_of_its_signal(log: list[Record]) -> None:
    fired = {alert.rule: alert for alert in run(log, rules=all_rules()) if alert.state == "firing" and not alert.again}

    def said(name: str) -> str:
        found = next(one for one in at(log, fired[name].at, rules=all_rules()).rules if one.rule.alert == name)
        return "\n".join(rules_explain._rule(found))

    assert re.search(
        r"  stories in .*: \d+, usually 0\.\d\n  return period +\d\.\d days   needs at least 0\.1 days", said("Burst")
    )
    assert re.search(r"  z-score +\d\.\d\d   needs at least 2\.00", said("Zed"))
    assert re.search(r"  mean sentiment +-0\.\d\d   needs at most -0\.60", said("Mood"))
    assert re.search(r"  negative stories +6   needs above 5 ", said("Six"))
    assert "  reads: topic legal, source not wire-3\n" in said("LegalVolume")
    assert re.search(r"  worst new story +9\d\.\d %   needs at least 90\.0 %", said("Novel"))
    assert re.search(r"  usual stories a day +\d+\.\d   needs below 200\.0", said("Novel"))
    assert re.search(r"  rule Praise +0   needs at most 0 ", said("Both"))
    assert re.search(r"  one of Surge, Mood +1   needs at least 1 ", said("AnyBad"))
    assert "negative" not in said("Both")


def test_at_the_moment_of_an_alert_every_thing_that_its_rule_asks_for_is_there(
    log: list[Record], alerts: list[Alert]
) -> None:
    for alert in alerts:
        if alert.state != "firing":
            continue
        found = next(one for one in at(log, alert.at).rules if one.rule.alert == alert.rule)
        assert found.state == "firing"
        assert found.since_ms == alert.fired_at.timestamp() * 1000  # type: ignore[union-attr]
        assert found.unmet == (), alert
        evidence = alert.evidence
        assert found.votes == evidence.observed.votes
        assert found.share == pytest.approx(evidence.observed.share, rel=1e-5)
        assert found.usual == pytest.approx(evidence.baseline.share, rel=1e-5)
        assert found.margin == pytest.approx(evidence.baseline.margin, rel=1e-5)
        if evidence.e_value is not None:
            assert found.checks[0].value == pytest.approx(evidence.e_value, rel=1e-5)


def test_before_it_something_is_missing(log: list[Record], alerts: list[Alert]) -> None:
    first = min(alert.at for alert in alerts if alert.state == "firing")
    before = at(log, first - timedelta(minutes=1))
    assert all(found.state != "firing" and found.unmet for found in before.rules)
    assert all(alert.at < first for alert in before.alerts)


def test_after_its_end_the_cooldown_is_what_is_missing(log: list[Record], alerts: list[Alert]) -> None:
    over = next(alert for alert in alerts if alert.state == "resolved" and alert.rule == "Surge")
    found = next(one for one in at(log, over.at).rules if one.rule.alert == "Surge")
    assert (found.state, found.since_ms) == ("inactive", None)
    cooldown = next(check for check in found.checks if check.name == "cooldown")
    left = over.fired_at + timedelta(hours=2) - over.at  # type: ignore[operator]
    assert cooldown.value == max(0, left.total_seconds() / 60)
    assert cooldown.met == (cooldown.value == 0)


def test_the_bin_is_the_last_one_that_had_ended(log: list[Record]) -> None:
    own = [record for record in log if isinstance(record, Mention) and record.entity == "AURL"]
    moment = own[40].published_at
    found = at(log, moment)
    assert found.bin_end <= moment
    earlier = [m for m in own if m.published_at < found.bin_end]
    assert found.bin_end - earlier[-1].published_at <= timedelta(minutes=1)
    assert not [m for m in own if found.bin_end <= m.published_at < moment - timedelta(minutes=1)]


def test_a_company_of_which_nothing_was_said_is_an_error_and_the_future_is_not_read(log: list[Record]) -> None:
    with pytest.raises(InputError, match=r"no mention of NOBODY until 2026-03-16T09:00:00Z in the log"):
        at(log, START + timedelta(hours=3), entity="NOBODY")
    later = [*log, mention(99_999, START + timedelta(days=400), entity="AURL")]
    assert at(later, START + timedelta(hours=20)) == at(log, START + timedelta(hours=20))


def test_a_threshold_that_is_far_from_its_share_says_so_from_its_window() -> None:
    quiet = in_order([mention(n, START + timedelta(minutes=n), 0.1) for n in range(60)])
    found = next(one for one in at(quiet, START + timedelta(minutes=50)).rules if one.rule.alert == "High")
    assert [check.name for check in found.unmet] == ["share", "effect"]
    assert found.checks[1].value == found.votes >= 29
