"""From a finished run to its report: what is read of it, and that nothing is left half-written."""

from __future__ import annotations

import gzip
import random
from html import unescape
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streams.errors import InputError
from streams.records import encode
from streams.replay import results
from streams.replay.report import report_data, write_report
from streams.replay.report.command import command
from streams.replay.report.lives import lives
from streams.replay.report.page import render
from tests.streams.monitor.invented import in_order, incident, run
from tests.streams.replay.report.report_invented import (
    DAY,
    RULES,
    START,
    hours,
    life,
    report,
)
from tests.streams.replay.report.report_text import PageText, page_of


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    alerts = [*life("a1", START + DAY), *life("b2", START + DAY)]
    for name in ("one.html", "two.html"):
        write_report(report(alerts), tmp_path / name)
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.html", "two.html"]


def test_text_that_no_encoding_holds_does_not_stop_a_report(tmp_path: Path) -> None:
    write_report(report(names={"QLMK": "Quill\ud800mark"}, versions={"odd \udfff": "\ud800"}), tmp_path / "r.html")
    assert "Quill" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_a_timeline_that_breaks_off_leaves_no_report(tmp_path: Path) -> None:
    broken = tmp_path / "timeline.jsonl.gz"
    broken.write_bytes(gzip.compress(b'{"entity": "QLMK"}\n'))
    with pytest.raises(InputError, match="line 1"):
        write_report(report(timeline=results.read_timeline(broken)), tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def _summary(**changes: Any) -> results.Summary:
    versions = results.Versions(
        squall="0.1.0",
        python="3.11",
        records={"alert": 1},
        rules="ba9876543210",
        rules_file="desk.yaml",
        rules_sha256="ab" * 32,
        models={"small@3": 42},
    )
    values: dict[str, Any] = {
        "mode": "as-scored",
        "source": results.SourceSummary(
            kind="files",
            text="a b.jsonl",
            identity="77" * 8,
            parts=[{"name": "a b.jsonl", "bytes": 12, "sha256": "e3"}],
        ),
        "options": {"monitor": {"allowed_lateness_s": 120}, "entity": None, "warm_up": "all"},
        "messages": {"messages": 700, "bad_rows": 3},
        "report_from": None,
        "report_until": START + 5 * DAY,
        "first_event": START,
        "last_event": START + 2 * DAY,
        "mentions": 600,
        "companies": 1,
        "late": 0,
        "duplicates": 0,
        "suppressed": 0,
        "bad": {},
        "transitions": 3,
        "fired": 1,
        "fired_by_severity": {"warning": 1},
        "fired_per_day": {},
        "most_alerts": [results.CompanySummary(entity="BRYN", name="Brynholt", alerts=0)],
        "rules": [],
        "versions": versions,
    }
    return results.Summary(**{**values, **changes})


def test_a_finished_run_has_all_that_a_report_needs(tmp_path: Path) -> None:
    alerts = life("a1", START + DAY)
    (tmp_path / results.SUMMARY).write_bytes(encode(_summary()))
    (tmp_path / results.ALERTS).write_bytes(b"".join(results.alert_line(alert) for alert in alerts))
    (tmp_path / results.RULES).write_text(RULES, encoding="utf-8")
    lines = b"".join(encode(point) + b"\n" for point in hours("QLMK", 48))
    (tmp_path / results.TIMELINE).write_bytes(gzip.compress(lines))
    data = report_data(results.load_run(tmp_path))
    assert data.names == {"BRYN": "Brynholt", "QLMK": "Quillmark Ferries"}
    assert {point.margin for point in results.load_run(tmp_path).timeline()} == {0.06}
    assert data.facts.options == {"monitor.allowed_lateness_s": "120", "warm_up": "all"}
    page = PageText(render(data))
    for words in (
        "squall replay 'a b.jsonl' --as-scored --to 2026-03-07T00:00:00Z --warm-up all --rules rules.yaml --out again",
        "bad rows 3, messages 700",
        "with the scores that the mentions came with: small@3",
        "a b.jsonl, bytes 12, sha256 e3",
        "desk.yaml (sha256 " + "ab" * 32,
        "from the beginning to 7 March 2026 00:00 UTC",
        "2 March 2026 00:00 UTC to 4 March 2026 00:00 UTC",
        "288 mentions 312 more outside the range",
        "Quillmark Ferries QLMK",
    ):
        assert words in page.text, words


def test_the_command_names_all_that_a_summary_knows() -> None:
    versions = msgspec.structs.replace(_summary().versions, rules_file="default_rules.yaml")
    parts = [{"name": "a.csv"}, {"name": "b.csv"}]
    told = _summary(
        mode="rescored",
        source=results.SourceSummary(kind="files", text="a.csv b.csv", identity="7", parts=parts),
        options={
            "model": "small@3f9a",
            "entity": "QLMK",
            "known_at": "2026-03-09T00:00:00Z",
            "warm_up": "36h",
            "columns": {"text": "the body"},
            "default_source": "wire",
            "assume_utc": True,
            "sort": True,
        },
        report_from=START,
        report_until=None,
        versions=versions,
    )
    assert command(told) == (
        "squall replay a.csv b.csv --model 3f9a --from 2026-03-02T00:00:00Z --warm-up 36h "
        "--known-at 2026-03-09T00:00:00Z --entity QLMK --column 'text=the body' --source wire --assume-utc --sort "
        "--out again"
    )
    kafka = results.SourceSummary(kind="kafka", text="kafka:?from=a&to=b", identity="7", parts=[{"topic": "t"}])
    told = _summary(source=kafka, options={"trust_stories": True}, report_until=None, versions=versions)
    assert command(told) == "squall replay 'kafka:?from=a&to=b' --as-scored --trust-stories --out again"


def test_rules_that_cannot_be_read_are_shown_all_the_same(tmp_path: Path) -> None:
    (tmp_path / results.SUMMARY).write_bytes(encode(_summary()))
    (tmp_path / results.ALERTS).write_bytes(b"")
    (tmp_path / results.RULES).write_text("rules: of a later version\n", encoding="utf-8")
    (tmp_path / results.TIMELINE).write_bytes(gzip.compress(b""))
    data = report_data(results.load_run(tmp_path))
    assert "rules: of a later version" in unescape(render(data))


def test_what_the_monitor_raises_is_told() -> None:
    raised = run(in_order(incident(random.Random(3))))
    fired = [found for found in lives(raised) if found.fired is not None]
    assert fired
    page = page_of(raised)
    for found in fired:
        assert f"alert-{found.id}" in {element.get("id") for element in page.all("details")}
        for told in found.shown.evidence.messages:
            assert told.text in page.text
