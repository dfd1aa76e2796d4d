"""The audit of what is locked: what fails the gate, what is accepted, and what is said where nothing is known."""

from __future__ import annotations

import json
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from deploy import audit
from deploy.audit import Accepted, Finding, Report, judge, read_accepted, read_report

TODAY = date(2026, 3, 18)
NOW = datetime(2026, 3, 18, 12, 30, tzinfo=UTC)
BAD = Finding("wobbly", "1.2", frozenset({"PYSEC-2026-7", "CVE-2026-1"}), ("1.3",))
FINE = Report((), 3, ())


def accepted(until: str = "2026-06-01", id_: str = "CVE-2026-1", package: str = "wobbly") -> Accepted:
    return Accepted(id_, package, "Only its server is affected.", date.fromisoformat(until))


def told(report: Report, *entries: Accepted) -> str:
    return "\n".join(judge(report, entries, TODAY).failures)


def test_a_known_vulnerability_fails_with_the_version_that_mends_it() -> None:
    failure = told(Report((BAD,), 3, ()))
    assert failure.startswith("wobbly 1.2: CVE-2026-1, PYSEC-2026-7 (fixed in 1.3)")
    assert "deploy/audit.toml" in failure


@pytest.mark.parametrize("id_", ["CVE-2026-1", "PYSEC-2026-7"])
def test_an_accepted_one_is_told_and_fails_nothing(id_: str) -> None:
    judgement = judge(Report((BAD,), 3, ()), [accepted(id_=id_)], TODAY)
    assert judgement.failures == []
    assert "is accepted until 2026-06-01: Only its server is affected." in judgement.remarks[0]


@pytest.mark.parametrize(("until", "fails"), [("2026-03-17", True), ("2026-03-18", False), ("2026-09-14", False)])
def test_what_is_accepted_is_so_until_its_day(until: str, fails: bool) -> None:
    assert ("look at it again" in told(Report((BAD,), 3, ()), accepted(until))) is fails


def test_nothing_is_accepted_for_ever() -> None:
    assert "at most 180 days ahead" in told(Report((BAD,), 3, ()), accepted("2026-09-15"))


def test_an_entry_for_another_package_accepts_nothing() -> None:
    assert "wobbly 1.2" in told(Report((BAD,), 3, ()), accepted(package="steady"))


def test_an_entry_that_nothing_needs_is_to_go_unless_its_package_is_unknown() -> None:
    assert "not found any more: take it out" in told(FINE, accepted())
    assert told(Report((), 2, ("wobbly",)), accepted()) == ""


def test_what_is_not_known_is_said_loudly_and_does_not_fail() -> None:
    judgement = judge(Report((), 1, tuple("abcdefg")), [], TODAY)
    assert judgement.failures == []
    assert judgement.remarks[0].startswith("NOT AUDITED: 7 of 8 packages")
    assert judgement.remarks[0].count(",") == 6


def test_with_nothing_found_it_says_how_many_were_looked_up() -> None:
    assert judge(FINE, [], TODAY).remarks == ["3 packages have no known vulnerability that is not accepted"]


@pytest.mark.parametrize(
    "entry",
    [
        'id = "CVE-1"\npackage = "a"\nuntil = 2026-06-01',
        'id = "CVE-1"\npackage = "a"\nreason = " "\nuntil = 2026-06-01',
        'id = "CVE-1"\npackage = "a"\nreason = "r"\nuntil = "2026-06-01"',
        'id = "CVE-1"\npackage = "a"\nreason = "r"\nuntil = 2026-06-01\nseverity = "low"',
    ],
)
def test_an_entry_without_a_reason_or_a_day_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="entry 1 needs id, package, a reason, and until"):
        read_accepted(f"[[accepted]]\n{entry}\n")


def test_the_list_of_this_repository_can_be_read() -> None:
    read_accepted(audit.ACCEPTED.read_text(encoding="utf-8"))


def output(*packages: dict[str, Any]) -> str:
    return json.dumps({"dependencies": list(packages), "fixes": []})


GOOD = {"name": "steady", "version": "2.0", "vulns": []}
ILL = {
    "name": "wobbly",
    "version": "1.2",
    "vulns": [{"id": "PYSEC-2026-7", "aliases": ["CVE-2026-1"], "fix_versions": ["1.3"], "description": "..."}],
}
SKIPPED = {"name": "foggy", "skip_reason": "Dependency not found"}


def test_the_report_of_pip_audit_is_read() -> None:
    assert read_report(output(GOOD, ILL, SKIPPED)) == Report((BAD,), 2, ("foggy",))


class StandIn:
    """A program in pip-audit's place that answers by service, and counts how often it is asked."""

    def __init__(self, folder: Path, answers: dict[str, str | None]) -> None:
        self.program = folder / "pip-audit"
        self._calls = folder / "calls"
        self._calls.write_text("")
        script = f"""#!{sys.executable}
import sys
answers = {answers!r}
words = sys.argv
answer = answers[words[words.index("--vulnerability-service") + 1]]
open({str(self._calls)!r}, "a").write(" ".join(words) + "\\n")
if answer is None:
    sys.exit("no network")
open(words[words.index("-o") + 1], "w").write(answer)
"""
        self.program.write_text(script)
        self.program.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        return self._calls.read_text().splitlines()


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.lock"
    path.write_text("steady==2.0 --hash=sha256:00\n")
    return path


def test_the_locks_are_audited_with_hashes_and_without_resolving(tmp_path: Path, lock: Path) -> None:
    stand_in = StandIn(tmp_path, {"pypi": output(GOOD)})
    assert audit.audit(stand_in.program, [lock], tmp_path / "cache", NOW) == Report((), 1, ())
    assert "--require-hashes --disable-pip" in stand_in.calls[0]
    assert f"-r {lock}" in stand_in.calls[0]


def test_a_complete_audit_counts_for_its_day_and_its_locks(tmp_path: Path, lock: Path) -> None:
    stand_in = StandIn(tmp_path, {"pypi": output(GOOD)})
    times = [NOW, NOW.replace(hour=23), NOW.replace(day=19), NOW.replace(day=19)]
    for time in times:
        audit.audit(stand_in.program, [lock], tmp_path / "cache", time)
    assert len(stand_in.calls) == 2
    lock.write_text("steady==2.1 --hash=sha256:01\n")
    audit.audit(stand_in.program, [lock], tmp_path / "cache", times[-1])
    assert len(stand_in.calls) == 3


def test_what_one_service_does_not_know_another_is_asked_and_again_in_an_hour(tmp_path: Path, lock: Path) -> None:
    stand_in = StandIn(tmp_path, {"pypi": output(SKIPPED, ILL), "osv": None})
    for time in (NOW, NOW, NOW.replace(hour=13)):
        assert audit.audit(stand_in.program, [lock], tmp_path / "cache", time) == Report((BAD,), 1, ("foggy",))
    assert len(stand_in.calls) == 4


@pytest.mark.parametrize("answer", [None, "", "{}", "[]"])
def test_without_an_answer_nothing_fails_and_that_is_said(
    tmp_path: Path, lock: Path, capsys: pytest.CaptureFixture[str], answer: str | None
) -> None:
    stand_in = StandIn(tmp_path, dict.fromkeys(audit.SERVICES, answer))
    assert audit.main(stand_in.program, audit.ACCEPTED, [lock], tmp_path / "cache") == 0
    assert "NOT AUDITED" in capsys.readouterr().err


def test_the_gate_fails_on_what_is_found(tmp_path: Path, lock: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stand_in = StandIn(tmp_path, {"pypi": output(GOOD, ILL)})
    assert audit.main(stand_in.program, audit.ACCEPTED, [lock], tmp_path / "cache") == 1
    assert "FAILED: wobbly 1.2" in capsys.readouterr().err
