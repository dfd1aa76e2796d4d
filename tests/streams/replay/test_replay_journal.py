"""A journal belongs to one run, and what cannot be gone on from is told."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from streams.errors import ReplayError, RuleError
from streams.monitor import MonitorOptions
from streams.replay.hours import TimelineRow
from streams.replay.journal import Journal, Position, Tally
from streams.replay.plan import Plan, read_rules
from streams.replay.sources.source import SourceFacts

FACTS = SourceFacts("files", "a.csv", ({"name": "a.csv", "bytes": 3},), "0123456789abcdef")
PLAN = Plan(rules=read_rules(None), options=MonitorOptions())


def _save(journal: Journal, position: Position, *, state=(), rows=(), tally=None) -> None:
    journal.save(0, position, state=state, alerts=[], rows=rows, tally=tally or Tally())


def test_a_run_goes_on_as_what_it_was(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal") as journal:
        assert journal.facts() is None
        assert journal.adopt(PLAN.identity(FACTS), FACTS) is False
    with Journal(tmp_path / "journal") as journal:
        assert journal.adopt(PLAN.identity(FACTS), FACTS) is True
        assert journal.facts() == FACTS


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (replace(PLAN, entity="TAMAR"), "the company was all and is TAMAR now"),
        (replace(PLAN, mode="rescored"), "the mode was as-scored and is rescored now"),
        (replace(PLAN, options=MonitorOptions(allowed_lateness_s=9)), "monitor.allowed_lateness_s was 120 and is 9"),
        (replace(PLAN, options=MonitorOptions(squall_version="9")), "monitor.squall_version was 0 and is 9"),
        (replace(PLAN, names={"TAMAR": "Tamar Looms"}), "the company names was"),
        (
            replace(PLAN, report_from=datetime(2026, 3, 2, tzinfo=UTC)),
            "the begin of the range was open and is 2026-03-02",
        ),
        (replace(PLAN, remarks={"model": "quill@2"}), "model was not there and is quill@2 now"),
        (replace(PLAN, rules=replace(PLAN.rules, text="# said otherwise\n" + PLAN.rules.text)), "the rules was"),
    ],
)
def test_another_run_is_refused_with_what_has_changed(tmp_path: Path, changed: Plan, words: str) -> None:
    with Journal(tmp_path / "journal") as journal:
        journal.adopt(PLAN.identity(FACTS), FACTS)
        with pytest.raises(ReplayError, match="Start over with --fresh") as told:
            journal.adopt(changed.identity(FACTS), FACTS)
        assert words in str(told.value)
        with pytest.raises(ReplayError, match="the source was 0123456789abcdef and is fedcba9876543210 now"):
            journal.adopt(PLAN.identity(replace(FACTS, identity="fedcba9876543210")), FACTS)


def test_state_that_is_not_needed_any_more_is_let_go_of(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal") as journal:
        _save(journal, Position(5), state=[("a", b"1"), ("b", b"2")])
        _save(journal, Position(9, hours=b"x"), state=[("a", b"3"), ("b", None)], tally=Tally(mentions=4))
        assert dict(journal.state(0)) == {"a": b"3"}
        assert journal.position(0) == Position(9, False, b"x")
        assert journal.position(1) == Position(-1)
        assert journal.tally() == Tally(mentions=4)
        _save(journal, Position(12, done=True))
        assert dict(journal.state(0)) == {}
        assert journal.position(0).done


def test_the_hours_of_a_company_on_two_partitions_add_up(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal") as journal:
        row = TimelineRow("TAMAR", 0, 3, 2, 0.5, 0.25, 0.2, 0.3, 0.07)
        _save(journal, Position(5), rows=[row])
        _save(journal, Position(6), rows=[row._replace(mentions=1, votes=1, negative=0.25)])
        assert list(journal.timeline()) == [TimelineRow("TAMAR", 0, 4, 3, 0.75, 0.25, 0.2, 0.3, 0.07)]


def test_a_save_that_fails_half_way_has_not_happened(tmp_path: Path) -> None:
    def broken():
        yield "a", b"2"
        raise RuntimeError

    with Journal(tmp_path / "journal") as journal:
        _save(journal, Position(5), state=[("a", b"1")])
        with pytest.raises(RuntimeError):
            _save(journal, Position(9), state=broken())
        bad_row = ("TAMAR", 0, None, None, None, None, None, None, None)
        with pytest.raises(ReplayError, match="cannot be used: NOT NULL"):
            _save(journal, Position(9), state=[("a", b"3")], rows=[bad_row])  # type: ignore[list-item]
        assert dict(journal.state(0)) == {"a": b"1"}
        assert journal.position(0).offset == 5


def test_a_file_that_is_no_journal_is_told(tmp_path: Path) -> None:
    (tmp_path / "journal").write_bytes(b"not a database, but long enough to be taken for one" * 90)
    with pytest.raises(ReplayError, match=r"journal cannot be used: .*--fresh"):
        Journal(tmp_path / "journal")


def test_a_journal_of_a_newer_version_is_told(tmp_path: Path) -> None:
    Journal(tmp_path / "journal").close()
    db = sqlite3.connect(tmp_path / "journal")
    db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(ReplayError, match=r"is of format 99, this version of Squall writes 2: start over with --fresh"):
        Journal(tmp_path / "journal")


def test_rules_are_kept_as_they_were_read(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("rules:\n  - {alert: Mine, type: spike, fire: {arl: 7d}}  # ours\n")
    read = read_rules(file)
    assert (read.name, read.text) == ("mine.yaml", file.read_text())
    assert [rule.alert for rule in read.rules.rules] == ["Mine"]
    assert len(read.sha256) == 64
    with pytest.raises(RuleError, match="cannot read the rule file"):
        read_rules(tmp_path / "none.yaml")
