"""An alert's life, arrow by arrow: one closed bin is one minute here."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from streams.monitor.bins import from_ms
from streams.monitor.lifecycle import Condition, Written, advance, alert_id, outranks, severity_of, write
from streams.monitor.rule_files import parse_rules
from streams.monitor.rules import Rule
from streams.monitor.state import Life
from streams.records import AlertState, Severity, Suppressed

MINUTE = 60_000
LABELS = {"alertname": "Surge", "entity": "AURL"}


def rule(**changes: Any) -> Rule:
    content = {"alert": "Surge", "type": "spike", "fire": {"arl": "30d"}, "keep_firing_for": "0m", **changes}
    content.setdefault("cooldown", {"for": "0m"})
    return parse_rules(yaml.safe_dump({"rules": [content]}), name="test").rules[0]


def saw(what: str, severity: Severity = "warning") -> Condition:
    """`quiet`, `worth a look`, `fires`, `holds` (neither fires nor calm), `calm`."""
    return Condition(
        opens=what in {"worth a look", "fires"},
        holds=what in {"worth a look", "fires", "holds"},
        fires=what == "fires",
        calm=what in {"calm", "quiet"},
        severity=severity,
    )


class Company:
    """Steps a life minute by minute and keeps what was written."""

    def __init__(self, **changes: Any) -> None:
        self.rule = rule(**changes)
        self.life = Life()
        self.minute = 0
        self.numbers: list[tuple[str, int]] = []
        self.last: list[Written] = []
        self.kept_by: Suppressed | None = None

    def see(self, *conditions: str | Condition, skip: int = 0) -> list[AlertState]:
        """What the last of the minutes wrote."""
        for condition in conditions:
            self.minute += skip
            start = self.minute * MINUTE
            end = start + MINUTE
            self.minute += 1
            seen = saw(condition) if isinstance(condition, str) else condition
            moves = advance(self.rule, self.life, seen, labels=LABELS, bin_start_ms=start, bin_end_ms=end)
            self.last = write(self.rule, self.life, moves, self.kept_by, at_ms=end)
            self.numbers += [(self.life.alert_id, written.transition) for written in self.last]
        return [written.state for written in self.last]


def test_what_is_quiet_stays_inactive() -> None:
    assert Company().see("quiet", "holds", "calm") == []


def test_what_is_worth_a_look_is_pending_and_fires_when_the_evidence_suffices() -> None:
    company = Company()
    assert company.see("worth a look") == ["pending"]
    assert company.see("holds") == []
    assert company.see("worth a look") == []
    assert company.see("fires") == ["firing"]
    assert company.life.fired_ms == 4 * MINUTE
    assert company.life.opened_ms == 0
    assert [number for _, number in company.numbers] == [0, 1]


def test_what_was_pending_and_comes_to_nothing_is_said_to_be_inactive() -> None:
    company = Company()
    company.see("worth a look")
    assert company.see("quiet") == ["inactive"]
    assert company.see("quiet") == []
    assert len({name for name, _ in company.numbers}) == 1


def test_enough_evidence_at_once_fires_without_a_word_before() -> None:
    company = Company()
    assert company.see("fires") == ["firing"]
    assert company.life.transition == 0


def test_for_asks_for_evidence_without_a_break() -> None:
    company = Company(**{"for": "3m"})
    assert company.see("fires") == ["pending"]
    assert company.see("fires") == []
    assert company.see("holds") == []  # the break
    assert company.see("fires", "fires") == []
    assert company.see("fires") == ["firing"]


def test_for_counts_event_time_and_not_bins() -> None:
    company = Company(**{"for": "30m"})
    company.see("fires")
    assert company.see("fires", skip=28) == ["firing"]


def test_it_resolves_when_it_has_been_calm_for_long_enough() -> None:
    company = Company(keep_firing_for="2m")
    company.see("fires")
    assert company.see("calm") == ["recovering"]
    assert company.see("calm") == []
    assert company.see("calm") == ["resolved"]
    assert company.life.state == "inactive"


def test_calm_that_is_broken_begins_anew() -> None:
    company = Company(keep_firing_for="2m")
    company.see("fires", "calm", "calm")
    assert company.see("holds") == ["firing"]
    assert company.last[0].again
    assert company.see("calm") == ["recovering"]
    assert company.see("calm") == []
    assert company.see("calm") == ["resolved"]
    assert [number for _, number in company.numbers] == [0, 1, 2, 3, 4]


def test_without_a_time_to_keep_firing_the_first_calm_bin_resolves() -> None:
    company = Company()
    company.see("fires")
    assert company.see("calm") == ["resolved"]


def test_silence_never_resolves_only_a_bin_that_was_seen_can() -> None:
    company = Company(keep_firing_for="2m")
    company.see("fires")
    assert company.see("holds", skip=10_000) == []
    assert company.life.state == "firing"


def test_a_higher_severity_is_written_and_a_lower_one_is_not() -> None:
    company = Company()
    company.see("fires")
    assert company.see(saw("fires", "critical")) == ["firing"]
    assert company.life.severity == "critical"
    assert company.see(saw("fires", "info")) == []
    assert company.life.severity == "critical"


def test_severity_may_rise_in_the_bin_that_resolves() -> None:
    company = Company()
    company.see("fires")
    assert company.see(saw("calm", "critical")) == ["firing", "resolved"]
    assert company.life.transition == 2


def test_within_the_cooldown_nothing_fires_and_it_is_counted() -> None:
    company = Company(cooldown={"for": "1h"})
    company.see("fires", "calm")
    assert company.see("fires") == ["suppressed"]
    kept = company.last[0].kept
    assert kept == Suppressed(by="cooldown", what="Surge", until=from_ms(61 * MINUTE))
    assert company.see("fires") == []  # once is enough
    assert company.life.suppressed == 2
    assert company.see("calm") == ["inactive"]
    assert company.last[0].kept == kept
    assert company.life.standing == "inactive"


def test_what_was_pending_within_the_cooldown_is_kept_back_under_the_same_id() -> None:
    company = Company(cooldown={"for": "1h"})
    company.see("fires", "calm")
    assert company.see("worth a look") == ["pending"]
    assert company.see("fires") == ["suppressed"]
    assert company.life.suppressed == 1
    assert len({name for name, _ in company.numbers[-2:]}) == 1


def test_what_a_cooldown_kept_back_and_is_calm_for_long_enough_is_over() -> None:
    company = Company(cooldown={"for": "1h"}, keep_firing_for="2m")
    company.see("fires", "calm", "calm", "calm", "fires")
    quieter = Condition(opens=False, holds=True, fires=False, calm=True, severity="warning")
    assert company.see(quieter, quieter, "holds", quieter, quieter) == []
    assert company.see(quieter) == ["inactive"]


def test_what_a_cooldown_kept_back_fires_when_it_is_over_and_the_evidence_is_there_anew() -> None:
    company = Company(cooldown={"for": "1h"})
    company.see("fires", "calm")
    assert company.see("fires") == ["suppressed"]
    assert company.see("holds", skip=70) == []
    assert company.see("fires") == ["firing"]
    assert company.last[0].kept is None
    assert company.life.standing == "firing"


def test_the_cooldown_counts_from_the_firing() -> None:
    company = Company(cooldown={"for": "1h"})
    company.see("fires", "calm")  # fired at the end of minute 1
    assert company.see("fires", skip=58) == ["suppressed"]  # ends at minute 61: still within
    assert company.see("fires") == ["firing"]


def test_only_a_higher_severity_breaks_the_cooldown() -> None:
    company = Company(cooldown={"for": "1h"})
    company.see("fires", "calm")
    assert company.see(saw("fires", "warning")) == ["suppressed"]
    assert company.see(saw("fires", "critical")) == ["firing"]
    company.see("calm")
    assert company.see(saw("fires", "critical")) == ["suppressed"]
    assert company.life.suppressed == 2


def test_a_cooldown_can_be_for_good() -> None:
    company = Company(cooldown={"for": "1h", "unless": "never"})
    company.see("fires", "calm")
    assert company.see(saw("fires", "critical")) == ["suppressed"]


def test_an_alert_that_opens_again_is_another_one() -> None:
    company = Company()
    company.see("fires", "calm", "fires", "calm")
    first, second = dict.fromkeys(name for name, _ in company.numbers)
    assert first != second
    assert [number for _, number in company.numbers] == [0, 1, 0, 1]


def test_an_id_is_a_hash_of_rule_labels_and_opening_bin() -> None:
    given = alert_id(rule(), LABELS, 0)
    assert given == alert_id(rule(), dict(reversed(LABELS.items())), 0)
    assert len(given) == 16
    assert int(given, 16) >= 0
    others = [
        alert_id(rule(margin=0.2), LABELS, 0),
        alert_id(rule(), {**LABELS, "entity": "BRND"}, 0),
        alert_id(rule(), LABELS, MINUTE),
    ]
    assert len({given, *others}) == 4


@pytest.mark.parametrize(
    ("effect", "stories", "severity"),
    [(0.0, 0, "info"), (0.3, 0, "warning"), (0.5, 9, "warning"), (0.5, 10, "critical"), (0.3, 99, "warning")],
)
def test_severity_is_the_highest_step_that_is_reached(effect: float, stories: int, severity: Severity) -> None:
    steps = {"critical": {"effect": 0.5, "stories": 10}, "info": {}, "warning": {"effect": 0.2}}
    assert severity_of(rule(severity=steps), effect=effect, stories=stories) == severity


def test_where_no_step_is_reached_severity_is_the_lowest_that_the_rule_knows() -> None:
    steps = {"critical": {"effect": 0.9}, "warning": {"effect": 0.5}}
    assert severity_of(rule(severity=steps), effect=0.1, stories=3) == "warning"


def test_severities_have_an_order() -> None:
    assert outranks("critical", "warning")
    assert outranks("warning", "info")
    assert not outranks("info", "info")
