"""What the difference of two runs says, case by case."""

from __future__ import annotations

from datetime import date, timedelta

import msgspec
import pytest

from streams.records import Alert
from streams.replay.differences.difference import RunDifference, compare_runs
from streams.replay.differences.episodes import episodes, per_day
from tests.streams.replay.differences.invented_alerts import incident, minutes


def counts(found: RunDifference) -> dict[str, int]:
    """How many of each kind, where there are any."""
    kinds = ("same", "changed", "shifted", "added", "removed")
    return {kind: len(getattr(found, kind)) for kind in kinds if getattr(found, kind)}


def test_two_runs_without_alerts_differ_in_nothing() -> None:
    found = compare_runs([], [])
    assert found.is_none
    assert counts(found) == {}


def test_the_same_alert_under_another_version_of_its_rule_is_the_same() -> None:
    found = compare_runs(incident(version="v1"), incident(version="v2"))
    assert counts(found) == {"same": 1}
    assert found.is_none


def test_what_is_in_one_run_alone_was_added_or_removed() -> None:
    found = compare_runs(incident(entity="AURL"), incident(entity="BRND"))
    assert [episode.entity for episode in found.removed] == ["AURL"]
    assert [episode.entity for episode in found.added] == ["BRND"]
    assert not found.is_none


@pytest.mark.parametrize(("fired", "minutes_later"), [(75, -5), (95, 15)])
def test_an_alert_that_fires_at_another_time_is_shifted_by_so_much(fired: float, minutes_later: int) -> None:
    found = compare_runs(incident(fired=80), incident(fired=fired, version="v2"))
    assert counts(found) == {"shifted": 1}
    assert found.shifted[0].shift == timedelta(minutes=minutes_later)


def test_a_changed_alert_says_in_what() -> None:
    old = incident(ended=140, severity="warning", share=0.7, stories=12)
    new = incident(ended=150, severity="critical", share=0.8, stories=12, version="v2")
    found = compare_runs(old, new)
    assert counts(found) == {"changed": 1}
    assert found.changed[0].changes == ("ended", "severity", "share")


def test_a_severity_that_rose_later_counts_as_reached() -> None:
    found = compare_runs(incident(), incident(rises=[(100, "critical")]))
    assert [pair.changes for pair in found.changed] == [("severity",)]
    assert found.changed[0].new.severity == "critical"


def test_the_evidence_is_that_of_the_first_firing() -> None:
    risen = incident(rises=[(100, "critical")], share=0.7)
    later = msgspec.structs.replace(risen[2], evidence=incident(share=0.9)[1].evidence)
    assert compare_runs(risen, [*risen[:2], later, *risen[3:]]).is_none


def test_an_alert_that_is_firing_still_is_not_one_that_is_over() -> None:
    found = compare_runs(incident(ended=140), incident(ended=None, version="v2"))
    assert [pair.changes for pair in found.changed] == [("ended",)]


def test_an_alert_whose_firing_lies_before_the_range_is_an_episode_still() -> None:
    only_end = incident()[-1:]
    (episode,) = episodes(only_end).fired
    assert episode.fired == minutes(80)
    assert compare_runs(only_end, incident()).is_none


def test_pending_alerts_that_came_to_nothing_are_counted_apart() -> None:
    quiet = incident(400, fired=None, ended=420) + incident(900, fired=None, ended=None)
    found = compare_runs(incident(), incident() + quiet)
    assert counts(found) == {"same": 1}
    assert (found.old_unfired, found.new_unfired) == (0, 2)


def test_overlap_decides_and_not_the_nearest_start() -> None:
    long = incident(60, fired=70, ended=600)
    early = incident(50, fired=58, ended=65, version="v2")
    within = incident(300, fired=310, ended=590, version="v2")
    found = compare_runs(long, early + within)
    assert [pair.new.fired for pair in found.shifted] == [minutes(310)]
    assert [episode.fired for episode in found.added] == [minutes(58)]


def test_the_total_overlap_counts_and_not_the_greatest_single_one() -> None:
    # The second new alert overlaps both; giving it to the first old one would leave the second without a partner.
    old = incident(0, fired=10, ended=100) + incident(110, fired=120, ended=200)
    new = incident(0, fired=20, ended=45, version="v2") + incident(50, fired=60, ended=190, version="v2")
    found = compare_runs(old, new)
    pairs = [(pair.old.fired, pair.new.fired) for pair in found.shifted]
    assert pairs == [(minutes(10), minutes(20)), (minutes(120), minutes(60))]


def test_of_equal_overlaps_the_closer_start_is_taken() -> None:
    old = incident(0, fired=10, ended=400, rule="Gone")
    near = incident(10, fired=205, ended=210, rule="Come")
    far = incident(100, fired=110, ended=300, rule="New")
    found = compare_runs(old, near + far)
    assert [pair.new.rule for pair in found.shifted] == ["Come"]


def test_the_same_id_is_the_same_alert_however_much_another_overlaps() -> None:
    old = incident(0, fired=10, ended=400)
    short, long = incident(0, fired=10, ended=20), incident(15, fired=30, ended=400)
    found = compare_runs(old, short + long)
    assert [pair.changes for pair in found.changed] == [("ended",)]
    assert [episode.fired for episode in found.added] == [minutes(30)]


def test_swapping_the_runs_matches_the_same_episodes_where_several_matches_are_equally_good() -> None:
    def run(*spans: tuple[str, float, float]) -> list[Alert]:
        return [
            alert
            for rule, opened, ended in spans
            for alert in incident(opened, fired=opened + 30, ended=ended, rule=rule)
        ]

    one = run(("O0", 60, 180), ("O1", 0, 180), ("O2", 60, 180))
    other = run(("N0", 0, 60), ("N1", 60, 180), ("N2", 60, 240))
    there, back = compare_runs(one, other), compare_runs(other, one)
    pairs = {(pair.old.rule, pair.new.rule) for pair in (*there.changed, *there.shifted)}
    assert pairs == {(pair.new.rule, pair.old.rule) for pair in (*back.changed, *back.shifted)}
    assert len(pairs) == 3


def test_what_is_too_far_from_all_that_is_left_has_no_partner() -> None:
    # Two old alerts are near to one new one; the other new one is near to that, but to neither of the old.
    old = incident(0, fired=2, ended=10) + incident(5, fired=7, ended=15)
    new = incident(370, fired=372, ended=375) + incident(730, fired=732, ended=740)
    found = compare_runs(old, new)
    assert [(pair.old.fired, pair.new.fired) for pair in found.shifted] == [(minutes(7), minutes(372))]
    assert [episode.fired for episode in found.removed] == [minutes(2)]
    assert [episode.fired for episode in found.added] == [minutes(732)]


@pytest.mark.parametrize(("gap_min", "matched"), [(359, True), (360, True), (361, False)])
def test_a_near_miss_within_six_hours_is_the_same_incident(gap_min: int, matched: bool) -> None:
    later = 140 + gap_min
    found = compare_runs(incident(ended=140), incident(later, fired=later + 20, ended=later + 60))
    assert counts(found) == ({"shifted": 1} if matched else {"added": 1, "removed": 1})


def test_as_many_near_misses_as_possible_are_matched() -> None:
    old = incident(0, fired=10, ended=60) + incident(400, fired=410, ended=460)
    new = incident(390 - 60, fired=340, ended=370, version="v2") + incident(760, fired=770, ended=800, version="v2")
    assert counts(compare_runs(old, new)) == {"shifted": 2}


def test_rules_of_one_name_are_not_matched_with_others() -> None:
    old = incident(rule="Surge") + incident(rule="High")
    new = incident(rule="Surge")
    found = compare_runs(old, new)
    assert counts(found) == {"same": 1, "removed": 1}
    assert found.removed[0].rule == "High"


def test_a_renamed_rule_is_matched_across_names() -> None:
    found = compare_runs(incident(rule="Surge"), incident(rule="ShareSurge"))
    assert [pair.changes for pair in found.changed] == [("rule",)]


def test_a_rule_that_both_have_but_that_never_fired_in_one_is_not_taken_as_renamed() -> None:
    both = {"Surge", "High"}
    found = compare_runs(incident(rule="High"), incident(rule="Surge"), old_rules=both, new_rules=both)
    assert counts(found) == {"added": 1, "removed": 1}


def test_an_alert_about_no_company_goes_by_its_labels() -> None:
    sector = [
        msgspec.structs.replace(alert, labels={"alertname": "Broad", "sector": "Banks", "desk": "credit"})
        for alert in incident(rule="Broad")
    ]
    assert [episode.entity for episode in episodes(sector).fired] == ["desk=credit, sector=Banks"]


def test_a_transition_that_is_there_twice_counts_once() -> None:
    assert compare_runs(incident() * 2, incident()).is_none


def test_alerts_a_day_have_a_mean_over_all_days_and_a_most() -> None:
    day = 24 * 60
    alerts = [
        alert
        for opened in (100, 700, 2 * day + 5, 2 * day + 900)
        for alert in incident(opened, fired=opened + 10, ended=opened + 90)
    ]
    counted = per_day(episodes(alerts).fired, since=minutes(0), until=minutes(3 * day + 1))
    assert (counted.days, counted.mean, counted.most) == (4, 1.0, 2)
    assert counted.most_on == date(2026, 3, 2)


def test_what_fired_before_the_range_is_not_counted_and_the_last_bin_may_end_a_day_later() -> None:
    day = 24 * 60
    alerts = incident(day - 30, fired=day - 10, ended=day + 20) + incident(2 * day - 20, fired=2 * day, ended=2 * day)
    counted = per_day(episodes(alerts).fired, since=minutes(day), until=minutes(2 * day - 1))
    assert (counted.days, counted.count, counted.most_on) == (2, 1, date(2026, 3, 4))


def test_days_without_alerts_have_no_worst_day() -> None:
    counted = per_day([], since=minutes(0), until=minutes(1))
    assert (counted.days, counted.mean, counted.most, counted.most_on) == (1, 0.0, 0, None)
