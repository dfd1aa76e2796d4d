"""Two finished replays side by side: what went in differently is told before what came out differently."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from streams.errors import InputError
from streams.replay.differences.comparison import Fact, compare_folders
from streams.replay.differences.difference_markdown import MOST_LINES, as_markdown
from streams.replay.differences.difference_words import a_day, as_json, counts, headline, lines
from tests.streams.replay.differences.invented_alerts import incident, minutes
from tests.streams.replay.differences.invented_runs import RULES, run_folder

EARLIER = RULES.replace("30d", "7d")
DAY = 24 * 60


def test_the_same_run_twice_differs_in_nothing(tmp_path: Path) -> None:
    found = compare_folders(run_folder(tmp_path / "a", incident()), run_folder(tmp_path / "b", incident()))
    assert found.facts == ()
    assert found.cautions == ()
    assert found.difference.is_none
    assert headline(found) == "the same input, rules and models"
    assert [row.kinds["same"] for row in counts(found)] == [1]


def test_two_rule_sets_are_told_by_rule_and_key(tmp_path: Path) -> None:
    more = EARLIER + "  - {alert: High, type: threshold, fire: {gte: 0.8}}\n"
    found = compare_folders(run_folder(tmp_path / "a"), run_folder(tmp_path / "b", rules=more, rules_file="new.yaml"))
    assert headline(found) == "two rule sets"
    assert [fact.name for fact in found.facts] == ["rules", "rule Surge: fire.arl", "rule High"]
    assert found.facts[1:] == (Fact("rule Surge: fire.arl", "30d", "7d"), Fact("rule High", "not there", "there"))


def test_rules_that_this_version_does_not_read_are_still_told_to_differ(tmp_path: Path) -> None:
    new = run_folder(tmp_path / "b", rules=EARLIER)
    (new / "rules.yaml").write_text("rules: [{alert: Novel, type: from_the_future}]", encoding="utf-8")
    found = compare_folders(run_folder(tmp_path / "a"), new)
    assert [fact.name for fact in found.facts] == ["rules"]


def test_as_it_was_against_scored_again_is_told_with_its_models(tmp_path: Path) -> None:
    old = run_folder(tmp_path / "a", identity="a" * 16)
    new = run_folder(tmp_path / "b", identity="b" * 16, mode="rescored", models=("fake@2",))
    found = compare_folders(old, new)
    assert headline(found) == "scores as they were against scored again"
    told = {fact.name: (fact.old, fact.new) for fact in found.facts}
    assert told["scores"] == ("as they were", "scored again")
    assert told["models"] == ("fake@1", "fake@2")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"models": ("fake@2",)}, "two models"),
        ({"text": "other.jsonl", "identity": "f" * 16}, "two inputs"),
        ({"squall": "0.2.0"}, "two versions of Squall"),
        ({"options": {"monitor.allowed_lateness_s": 60}}, "other options"),
    ],
)
def test_what_differs_is_named(tmp_path: Path, fields: dict[str, object], words: str) -> None:
    found = compare_folders(run_folder(tmp_path / "a"), run_folder(tmp_path / "b", **fields))  # type: ignore[arg-type]
    assert headline(found) == words
    assert found.facts


def test_other_ranges_are_compared_only_with_a_word_of_caution(tmp_path: Path) -> None:
    old = run_folder(tmp_path / "a", since=minutes(0), until=minutes(600))
    new = run_folder(tmp_path / "b", since=minutes(60), until=minutes(600))
    found = compare_folders(old, new)
    assert found.cautions == (
        "the old run reports on 2026-03-02T00:00:00Z to 2026-03-02T10:00:00Z, the new one on 2026-03-02T01:00:00Z to "
        "2026-03-02T10:00:00Z: alerts outside of what both cover count as added or removed",
    )


def test_runs_without_a_common_time_are_refused(tmp_path: Path) -> None:
    old = run_folder(tmp_path / "a", since=minutes(0), until=minutes(60))
    new = run_folder(tmp_path / "b", since=minutes(61), until=minutes(600))
    with pytest.raises(InputError, match="they have no time in common"):
        compare_folders(old, new)


def test_one_company_against_all_is_compared_with_a_word_of_caution(tmp_path: Path) -> None:
    found = compare_folders(run_folder(tmp_path / "a", entity="AURL"), run_folder(tmp_path / "b"))
    assert found.cautions == (
        "the old run is about AURL and the new one about all companies: other companies' alerts are in one only",
    )


def test_two_companies_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is about AURL and .* about BRND: there is nothing to compare"):
        compare_folders(run_folder(tmp_path / "a", entity="AURL"), run_folder(tmp_path / "b", entity="BRND"))


def test_a_folder_that_is_no_replay_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere is not the folder of a finished replay"):
        compare_folders(run_folder(tmp_path / "a"), tmp_path / "nowhere")


def test_each_episode_is_told_in_words(tmp_path: Path) -> None:
    old = incident(60, entity="AURL") + incident(60, entity="BRND") + incident(60, fired=90, entity="CRUX")
    new = incident(60, entity="AURL", share=0.8) + incident(60, fired=70, entity="CRUX") + incident(60, entity="DELF")
    found = compare_folders(run_folder(tmp_path / "a", old), run_folder(tmp_path / "b", new))
    told = [(line.kind, line.company, line.seen, line.note) for line in lines(found)]
    usual = "70 % of 12 stories in 40 minutes negative, usually 25 %"
    assert told == [
        ("added", "DELF Invented plc (DELF)", usual, "fired for 60 minutes"),
        ("removed", "BRND Invented plc (BRND)", usual, "fired for 60 minutes"),
        (
            "shifted",
            "CRUX Invented plc (CRUX)",
            usual,
            "20 minutes earlier",
        ),
        ("changed", "AURL Invented plc (AURL)", usual.replace("70", "80"), "share 70.0 % → 80.0 %"),
    ]


def test_a_change_too_small_to_be_shown_is_still_said_to_be_one(tmp_path: Path) -> None:
    old, new = incident(share=0.7), incident(share=0.70001)
    found = compare_folders(run_folder(tmp_path / "a", old), run_folder(tmp_path / "b", new))
    assert [line.note for line in lines(found)] == ["the evidence differs in later digits"]
    assert as_json(found)["changed"][0]["changes"] == ["share"]


def test_of_a_shifted_alert_only_what_matters_is_told(tmp_path: Path) -> None:
    old = incident(fired=80, ended=None, severity="warning")
    new = incident(fired=200, ended=240, severity="critical", share=0.8, e_value=90_000.0)
    found = compare_folders(run_folder(tmp_path / "a", old), run_folder(tmp_path / "b", new))
    (line,) = lines(found)
    ended = "ended 2 March 2026 04:00 UTC, was still firing"
    assert line.note == f"2 hours later; {ended}; severity warning → critical; share 70.0 % → 80.0 %"


def test_alerts_a_day_are_told_with_mean_and_most(tmp_path: Path) -> None:
    alerts = incident(60) + incident(60, entity="BRND") + incident(3 * DAY, fired=3 * DAY + 9, ended=3 * DAY + 60)
    found = compare_folders(run_folder(tmp_path / "a", alerts), run_folder(tmp_path / "b"))
    assert a_day(found.old.per_day) == "3 alerts in 5 days: 0.60 a day, at most 2 (2026-03-02)"
    assert a_day(found.new.per_day) == "no alert in 5 days"


def test_a_program_gets_every_episode(tmp_path: Path) -> None:
    old = incident(60) + incident(2 * DAY, fired=None, ended=None)
    found = compare_folders(run_folder(tmp_path / "a", old), run_folder(tmp_path / "b", incident(fired=100)))
    content = msgspec.json.decode(msgspec.json.encode(as_json(found)))
    assert content["counts"] == {"added": 0, "removed": 0, "shifted": 1, "changed": 0, "same": 0}
    assert content["unfired"] == {"old": 1, "new": 0}
    (pair,) = content["shifted"]
    assert pair["minutes_later"] == 20
    assert pair["old"]["fired"] == "2026-03-02T01:20:00Z"
    assert pair["new"]["e_value"] == 52_000
    assert content["old"]["most_on"] == "2026-03-02"


def test_markdown_lists_what_differs_and_nothing_in_it_is_markup(tmp_path: Path) -> None:
    hostile = [
        msgspec.structs.replace(alert, annotations={"name": "@everyone | <img src=x> [a](b)\n\n# Big"})
        for alert in incident()
    ]
    found = compare_folders(run_folder(tmp_path / "a"), run_folder(tmp_path / "b", hostile))
    text = as_markdown(found, verdict=["1 alert was added, at most 0 may be"])
    (row,) = (line for line in text.splitlines() if line.startswith("| added"))
    assert row.count("|") - row.count("\\|") == 8
    assert "<img" not in text.replace("\\<", "")
    assert "@everyone" not in text
    assert "**Not within bounds:** 1 alert was added, at most 0 may be." in text
    assert "**1 added**, **0 removed**, **0 shifted**, **0 changed**, 0 the same." in text


def test_markdown_of_a_great_difference_stays_short_enough_for_a_comment(tmp_path: Path) -> None:
    alerts = [
        alert for number in range(400) for alert in incident(number * 15, fired=number * 15 + 5, entity=f"E{number}")
    ]
    found = compare_folders(run_folder(tmp_path / "a"), run_folder(tmp_path / "b", alerts))
    text = as_markdown(found)
    assert len(text) < 65_536
    assert f"... and {400 - MOST_LINES:,} more." in text
    assert "**All bounds" not in text
