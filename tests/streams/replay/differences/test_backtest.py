"""Two rule sets over the same mentions, through the monitor itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from streams.errors import InputError
from streams.monitor import MonitorOptions
from streams.monitor.rule_files import parse_rules
from streams.records import Mention, Progress
from streams.replay.differences.backtest import Bounds, backtest, broken
from streams.replay.differences.comparison import Comparison, compare_folders
from streams.replay.plan import Plan, RulesRead
from streams.replay.results import load_run
from streams.replay.run import RunProgress
from streams.replay.sources.source import BadRecord, Numbered, OnBad, SourceFacts
from tests.streams.replay.replay_log import BAD, END, START, SURGE, story

SURGE_RULE = """
rules:
  - alert: Surge
    type: spike
    fire: {{arl: {arl}}}
    min_support: {{stories: 4, sources: 2}}
    cooldown: {{for: 12h}}
"""
SHARE_RULE = "  - {alert: High, type: threshold, window: 30m, fire: {gte: 0.4}, min_support: {stories: 5}}\n"


class InMemory:
    """A source of the invented log, as if it were one partition; it counts how often it is read."""

    def __init__(self, records: Sequence[Mention | Progress], bad: Sequence[BadRecord] = ()) -> None:
        self._records = records
        self._bad = bad
        self.reads = 0
        self.facts = SourceFacts(kind="files", text="invented.jsonl", parts=(), identity="0123456789abcdef")
        self.partitions = (0,)
        self.total = len(records)

    def records(self, partition: int, *, after: int = -1, on_bad: OnBad) -> Iterator[Numbered]:
        """Yield what is left after an offset."""
        self.reads += 1
        for bad in self._bad:
            on_bad(bad)
        for offset, record in enumerate(self._records):
            if offset > after:
                yield Numbered(offset, record)


def log() -> list[Mention | Progress]:
    """The invented log, with an end after which every bin is closed."""
    end = [Progress(partition=n, partitions=2, event_time=END + timedelta(hours=1), idle=False) for n in range(2)]
    return [record for _, record in story()] + end


def plan(text: str, *, name: str = "desk.yaml", since: datetime | None = None) -> Plan:
    """A plan with these rules."""
    rules = RulesRead(name, text, parse_rules(text, name=name))
    return Plan(rules=rules, options=MonitorOptions(squall_version="test"), report_from=since)


def compared(tmp_path: Path, old: str, new: str, *, keep: bool = False) -> Comparison:
    """The backtest of two rule texts over the invented log."""
    (tmp_path / "work").mkdir()
    return backtest(
        InMemory(log()), old=plan(old), new=plan(new), names=("old.yaml", "new.yaml"), work=tmp_path / "work", keep=keep
    )


def test_the_same_rules_make_no_difference_and_do_fire(tmp_path: Path) -> None:
    found = compared(tmp_path, SURGE_RULE.format(arl="7d"), SURGE_RULE.format(arl="7d"))
    assert found.difference.is_none
    assert [(pair.new.rule, pair.new.entity) for pair in found.difference.same] == [("Surge", BAD)]
    assert found.difference.same[0].new.fired > SURGE


def test_a_rule_that_wants_more_evidence_fires_later(tmp_path: Path) -> None:
    found = compared(tmp_path, SURGE_RULE.format(arl="1d"), SURGE_RULE.format(arl="365d"))
    (pair,) = [pair for pair in found.difference.shifted if pair.new.entity == BAD and pair.new.fired > SURGE]
    assert pair.shift > timedelta(0)


def test_a_rule_of_its_own_adds_alerts_and_leaves_the_others_as_they_were(tmp_path: Path) -> None:
    old = SURGE_RULE.format(arl="7d")
    found = compared(tmp_path, old, old + SHARE_RULE)
    assert len(found.difference.same) == 1
    assert found.difference.added
    assert {episode.rule for episode in found.difference.added} == {"High"}
    assert not found.difference.removed


def test_swapping_the_rule_files_swaps_what_is_added_and_removed(tmp_path: Path) -> None:
    old = SURGE_RULE.format(arl="7d")
    there = compared(tmp_path, old, old + SHARE_RULE)
    (tmp_path / "back").mkdir()
    back = compared(tmp_path / "back", old + SHARE_RULE, old)
    assert [e.id for e in there.difference.added] == [e.id for e in back.difference.removed]
    assert not back.difference.added


def test_both_runs_are_kept_as_finished_replays_if_that_is_asked_for(tmp_path: Path) -> None:
    old = SURGE_RULE.format(arl="7d")
    found = compared(tmp_path, old, old + SHARE_RULE, keep=True)
    again = compare_folders(tmp_path / "work" / "old", tmp_path / "work" / "new")
    assert again.difference == found.difference
    assert load_run(tmp_path / "work" / "new").rules_text == old + SHARE_RULE
    assert sorted(path.name for path in (tmp_path / "work").iterdir()) == ["new", "old"]


def test_a_bad_record_is_told_once_although_two_runs_meet_it(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    heard: list[BadRecord] = []
    moments: list[tuple[str, RunProgress]] = []
    source = InMemory(log(), bad=[BadRecord("invented.jsonl: line 3", "not_json", "a stray comma")])
    rules = plan(SURGE_RULE.format(arl="7d"))
    backtest(
        source,
        old=rules,
        new=rules,
        names=("a", "b"),
        work=tmp_path / "work",
        on_bad=heard.append,
        on_progress=lambda side, progress: moments.append((side, progress)),
    )
    assert [bad.detail for bad in heard] == ["a stray comma"]
    assert source.reads == 2
    assert {side for side, _ in moments} == {"old", "new"}


def test_no_mentions_at_all_are_an_error_and_not_a_difference_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there are no mentions in invented\.jsonl"):
        rules = plan(SURGE_RULE.format(arl="7d"))
        backtest(InMemory([]), old=rules, new=rules, names=("a", "b"), work=tmp_path)


def test_a_range_after_all_mentions_is_an_error(tmp_path: Path) -> None:
    rules = plan(SURGE_RULE.format(arl="7d"), since=datetime(2027, 1, 1, tzinfo=UTC))
    with pytest.raises(
        InputError, match=r"no mentions of the range in invented.*: those that were read are from 2026-03-0"
    ):
        backtest(InMemory(log()), old=rules, new=rules, names=("a", "b"), work=tmp_path)


def test_bounds_that_hold_say_nothing(tmp_path: Path) -> None:
    old = SURGE_RULE.format(arl="7d")
    found = compared(tmp_path, old, old)
    assert broken(found, Bounds(max_per_day=1, max_added=0, allow_removed=False)) == []
    assert not Bounds().any


def test_each_broken_bound_is_told_with_its_figures(tmp_path: Path) -> None:
    old, other = SURGE_RULE.format(arl="7d"), "rules:\n" + SHARE_RULE
    found = compared(tmp_path, old + SHARE_RULE, other)
    assert broken(found, Bounds(allow_removed=False)) == ["1 alert removed, none may be"]
    assert broken(found, Bounds()) == []
    (tmp_path / "more").mkdir()
    added = compared(tmp_path / "more", other, old + SHARE_RULE)
    assert broken(added, Bounds(max_added=0)) == ["1 alert added, at most 0 may be"]
    (words,) = broken(added, Bounds(max_per_day=0))
    day = added.new.per_day
    assert words == f"{day.most} alerts on {day.most_on} under the new rules, at most 0 may be"
    assert day.most_on is not None
    assert START.date() <= day.most_on <= END.date()
