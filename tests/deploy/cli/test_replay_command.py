"""`squall replay`: what it prints, what it leaves, how it ends, and what it says of wrong use."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from io import StringIO
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner, Result

from deploy.cli import replay as replay_command
from deploy.cli.replay import replay
from deploy.cli.replay_progress import LINE_EVERY_S, RunDisplay
from deploy.cli.replay_words import SHOWN_BAD, BadRows, a_day, bad_rows
from streams.errors import InputError, ReplayError
from streams.records import Alert
from streams.replay import execute
from streams.replay.pace import paced
from streams.replay.results import load_run
from streams.replay.run import run_monitor
from streams.replay.sources.source import BadRecord
from tests.streams.replay.replay_log import BAD, QUIET, SURGE
from tests.streams.replay.replay_source import write_mentions


def run(*arguments: str | Path) -> Result:
    app = typer.Typer(add_completion=False)
    app.command()(replay)
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})


@pytest.fixture(scope="module")
def mentions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mentions(tmp_path_factory.mktemp("mentions") / "mentions.jsonl")


@pytest.fixture(scope="module")
def done(mentions: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    out = tmp_path_factory.mktemp("done") / "run"
    return out, run(mentions, "--as-scored", "--out", out)


def test_a_replay_leaves_its_files_and_says_where(done: tuple[Path, Result]) -> None:
    out, result = done
    assert result.exit_code == 0, result.output
    names = {path.name for path in out.iterdir()}
    assert names == {"alerts.jsonl", "summary.json", "timeline.jsonl.gz", "rules.yaml", "report.html", "run.json"}
    assert f"The report: {out / 'report.html'}" in result.stdout
    assert "NegativeShareSurge" in result.stdout
    assert "1 alert fired" in result.stdout
    assert "replaying" in result.stderr


def test_each_line_of_the_alerts_says_what_it_is_in_plain_words(done: tuple[Path, Result]) -> None:
    out, _ = done
    rows = [json.loads(line) for line in (out / "alerts.jsonl").read_text().splitlines()]
    fired = next(row for row in rows if row["status"] == "firing")
    assert fired["labels"]["ticker"] == fired["labels"]["entity"] == BAD
    assert datetime.fromisoformat(fired["detectedAt"]) >= SURGE
    assert fired["startsAt"] == fired["fired_at"]
    assert fired["endsAt"] is None
    assert fired["evidence"]["messages"]
    assert [(row["detectedAt"], row["id"], row["transition"]) for row in rows] == sorted(
        (row["detectedAt"], row["id"], row["transition"]) for row in rows
    )


def test_the_summary_adds_up(done: tuple[Path, Result]) -> None:
    out, _ = done
    found = load_run(out)
    summary = found.summary
    assert summary.mode == "as-scored"
    assert summary.transitions == len(found.alerts) == sum(sum(rule.transitions.values()) for rule in summary.rules)
    assert summary.fired == 1 == sum(summary.fired_per_day.values()) == sum(summary.fired_by_severity.values())
    assert [company.entity for company in summary.most_alerts] == [BAD]
    assert summary.versions.models == {"given@1": summary.mentions}
    assert summary.companies == len({point.entity for point in found.timeline()}) == 1 + len(QUIET)
    assert summary.source.parts[0]["name"].endswith("mentions.jsonl")
    assert all("ticker" not in alert.labels for alert in found.alerts)


def test_without_a_folder_the_alerts_are_printed(mentions: Path, done: tuple[Path, Result]) -> None:
    result = run(mentions, "--as-scored", "--entity", BAD)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert len(lines) == len([alert for alert in load_run(done[0]).alerts if alert.labels["entity"] == BAD])
    assert any(f"ALERT (critical) {BAD}" in line or f"ALERT (warning) {BAD}" in line for line in lines)
    assert f"transitions of {BAD}, 1 alert fired" in result.stderr


def test_a_range_is_reported_as_if_all_had_been(mentions: Path, done: tuple[Path, Result], tmp_path: Path) -> None:
    begin = "2026-03-03T00:00:00+01:00"
    assert run(mentions, "--as-scored", "--from", begin, "--warm-up", "all", "--out", tmp_path / "run").exit_code == 0
    found = load_run(tmp_path / "run")
    since = datetime(2026, 3, 2, 23, tzinfo=UTC)
    assert found.alerts == [alert for alert in load_run(done[0]).alerts if alert.at >= since]
    assert found.summary.report_from == since
    assert found.summary.options["warm_up"] == "all"


def test_the_same_command_in_another_place_gives_the_same_bytes(
    mentions: Path, done: tuple[Path, Result], tmp_path: Path
) -> None:
    assert run(mentions, "--as-scored", "--out", tmp_path / "run").exit_code == 0
    for path in done[0].iterdir():
        if path.name != "run.json":
            assert path.read_bytes() == (tmp_path / "run" / path.name).read_bytes(), path.name


def test_bad_rows_are_told_and_counted_and_the_exit_status_is_1(mentions: Path, tmp_path: Path) -> None:
    file = tmp_path / "mentions.jsonl"
    file.write_bytes(mentions.read_bytes() + b'{"broken\n')
    result = run(file, "--as-scored", "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert "mentions.jsonl" in result.stderr
    assert sum(load_run(tmp_path / "run").summary.bad.values()) == 1
    assert "1 bad row: not_json\n" in result.stdout
    assert run(file, "--as-scored", "--out", tmp_path / "run", "--force", "--skip-bad").exit_code == 0


def test_a_folder_that_is_there_is_refused(mentions: Path, done: tuple[Path, Result]) -> None:
    result = run(mentions, "--as-scored", "--out", done[0])
    assert isinstance(result.exception, InputError)
    assert "is there already" in str(result.exception)


def test_a_range_without_mentions_is_told_with_what_there_is(mentions: Path, tmp_path: Path) -> None:
    result = run(
        mentions, "--as-scored", "--from", "2027-01-01T00:00:00Z", "--warm-up", "all", "--out", tmp_path / "run"
    )
    assert isinstance(result.exception, InputError), result.output
    assert "from 2027-01-01T00:00:00Z" in str(result.exception)
    assert not (tmp_path / "run").exists()


def test_a_range_that_ends_before_the_first_mention_is_told_with_the_first(mentions: Path, tmp_path: Path) -> None:
    result = run(mentions, "--as-scored", "--to", "2020-01-05T00:00:00Z", "--out", tmp_path / "run")
    assert isinstance(result.exception, InputError), result.output
    assert "there are no mentions up to 2020-01-05T00:00:00Z in" in str(result.exception)
    assert "the first is from 20" in str(result.exception)


def test_a_run_that_failed_before_it_began_does_not_stand_in_the_way_of_what_its_message_advises(
    mentions: Path, tmp_path: Path
) -> None:
    turned = tmp_path / "turned.jsonl"
    rows = [line for line in mentions.read_text().splitlines() if '"type":"mention"' in line]
    turned.write_text("\n".join(reversed(rows)))
    result = run(turned, "--as-scored", "--out", tmp_path / "run")
    assert isinstance(result.exception, InputError)
    assert "With --sort" in str(result.exception)
    assert not (tmp_path / "run.partial").exists()
    assert run(turned, "--as-scored", "--sort", "--out", tmp_path / "run").exit_code == 0


def test_an_unfinished_run_of_something_else_is_refused(mentions: Path, tmp_path: Path) -> None:
    later = ("--from", "2027-01-01T00:00:00Z", "--warm-up", "all", "--out", tmp_path / "run")
    run(mentions, "--as-scored", *later)
    result = run(mentions, "--as-scored", "--out", tmp_path / "run")
    assert isinstance(result.exception, ReplayError)
    assert "the begin of the range was 2027-01-01T00:00:00+00:00 and is open now" in str(result.exception)
    assert "Start over with --fresh, or name another folder" in str(result.exception)
    assert run(mentions, "--as-scored", "--out", tmp_path / "run", "--fresh").exit_code == 0


def test_what_was_done_before_an_error_far_in_is_refused_to_the_command_that_mends_it_with_what_to_add(
    mentions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execute, "run_monitor", partial(run_monitor, save_every=500))
    rows = [line for line in mentions.read_text().splitlines() if '"type":"mention"' in line]
    turned = tmp_path / "turned.jsonl"
    turned.write_text("\n".join([*rows[1:], rows[0]]))
    assert "With --sort" in str(run(turned, "--as-scored", "--out", tmp_path / "run").exception)
    sorting = ("--as-scored", "--sort", "--out", tmp_path / "run")
    refused = str(run(turned, *sorting).exception)
    assert "sort was not there and is True now" in refused
    assert "Start over with --fresh" in refused
    assert run(turned, *sorting, "--fresh").exit_code == 0


def test_a_rule_file_decides(mentions: Path, tmp_path: Path) -> None:
    rules = tmp_path / "loose.yaml"
    rules.write_text("rules: [{alert: Loose, type: threshold, fire: {gte: 0.3}, min_support: {stories: 2}}]")
    assert run(mentions, "--as-scored", "--rules", rules, "--out", tmp_path / "run").exit_code == 0
    found = load_run(tmp_path / "run")
    assert {alert.rule for alert in found.alerts} == {"Loose"}
    assert found.rules_text == rules.read_text()
    assert found.summary.versions.rules_file == "loose.yaml"
    assert run("--compare", tmp_path / "run", tmp_path / "run").exit_code == 0


def test_two_runs_are_compared(mentions: Path, done: tuple[Path, Result], tmp_path: Path) -> None:
    rules = tmp_path / "deaf.yaml"
    rules.write_text("rules: [{alert: Deaf, type: threshold, fire: {gte: 1.0}}]")
    assert run(mentions, "--as-scored", "--rules", rules, "--out", tmp_path / "deaf").exit_code == 0
    result = run("--compare", done[0], tmp_path / "deaf")
    assert result.exit_code == 1
    assert "1 removed" in result.output
    assert run("--compare", done[0], done[0]).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name what to replay"),
        (["x", "--from", "2026-03-02T10:00:00"], "is no time with an offset"),
        (["x", "--to", "yesterday"], "is no time with an offset"),
        (["x", "--from", "2026-03-03T00:00:00Z", "--to", "2026-03-02T00:00:00Z"], "the range is empty"),
        (["x", "--warm-up", "30"], "is no length of time: write 48h, 30d, 8w, or all"),
        (["kafka:", "--check"], "add --as-scored"),
        (["kafka:", "--check", "--as-scored", "--from", "2026-03-02T00:00:00Z"], "leave out --from"),
        (["x", "--trust-stories"], "only scored mentions name a story"),
        (["x", "--as-scored", "--model", "quill"], "nothing is scored with --as-scored"),
        (["--compare", "x"], "takes two folders"),
    ],
)
def test_wrong_use_is_told(arguments: list[str], words: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert words in " ".join(result.output.replace("│", " ").split())


def test_with_a_folder_and_a_speed_the_alerts_are_printed_when_they_are_due_and_the_results_are_kept(
    mentions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, speeds = tmp_path / "run", []

    def at_once(alerts: list[Alert], *, speed: float | None, since: datetime | None) -> Iterator[Alert]:
        now = [0.0]

        def sleep(seconds: float) -> None:
            now[0] += seconds

        yield from paced(alerts, speed=speed, since=since, clock=lambda: now[0], sleep=sleep)
        assert since is not None
        speeds.append((alerts[-1].at - since).total_seconds() / now[0])

    monkeypatch.setattr(replay_command, "paced", at_once)
    result = run(mentions, "--as-scored", "--speed", "60x", "--out", out)
    assert result.exit_code == 0, result.output
    assert speeds == [pytest.approx(60)]
    assert f"ALERT (critical) {BAD}" in result.stdout
    assert f"The report: {out / 'report.html'}" in result.stdout
    assert "3 transitions at 60x: the first in 31 minutes, the last in 31 minutes" in result.stderr
    assert f"the results are in {out} already" in result.stderr
    assert len(load_run(out).alerts) == 3  # pending, firing, and firing as its severity rises


@pytest.mark.parametrize("speed", ["fast", "0x"])
def test_a_speed_that_is_none_is_told_before_anything_is_read(speed: str) -> None:
    assert "is no speed" in str(run("x", "--as-scored", "--speed", speed).exception)


def test_a_log_gets_a_line_now_and_then_with_rate_and_time_left() -> None:
    now = [0.0]
    console = Console(file=StringIO(), width=200, highlight=False)
    with RunDisplay(console, clock=lambda: now[0]) as display:
        display.begin("replaying", 4_000)
        display.update(0, 4_000)
        for second in range(1, 26):
            now[0] = float(second)
            display.update(second * 100, 4_000, datetime(2026, 3, 2, second % 24, tzinfo=UTC))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(lines) == 1 + 25 // LINE_EVERY_S
    assert lines[1] == "replaying: 1,000 of about 4,000 (25%), at 2026-03-02 10:00, 100/s, 0:00:30 left"


def test_after_a_kill_the_rate_is_that_of_this_process() -> None:
    now = [0.0]
    with RunDisplay(Console(file=StringIO()), clock=lambda: now[0]) as display:
        display.begin("replaying", 1_000_000)
        display.update(500_000, 1_000_000)
        now[0] = 10.0
        display.update(501_000, 1_000_000)
        assert display.rate() == 100


def test_a_terminal_gets_a_bar_that_takes_no_line() -> None:
    console = Console(file=StringIO(), width=200, force_terminal=True)
    with RunDisplay(console) as display:
        display.begin("scoring", 10)
        display.update(12, 10, datetime(2026, 3, 2, tzinfo=UTC))
        display.begin("replaying", None)
        display.update(3, None)
    assert "scoring" in console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("rate", "words"),
    [(0.604, "0.6 alerts"), (1.0, "1 alert"), (1.03, "1 alert"), (9.96, "10 alerts"), (123, "123 alerts")],
)
def test_a_rate_of_alerts_is_a_number_that_people_write(rate: float, words: str) -> None:
    assert a_day(rate) == f"{words} a day"


def test_reasons_of_bad_rows_are_counted_where_there_are_several() -> None:
    assert bad_rows({"bad_row": 1}) == "1 bad row: of wrong shape or values"
    assert bad_rows({"bad_row": 1, "not_json": 2}) == "3 bad rows: 1 of wrong shape or values, 2 not_json"


def test_the_first_bad_rows_are_told_and_the_others_counted() -> None:
    console = Console(file=StringIO(), width=200)
    bad = BadRows(console)
    for number in range(SHOWN_BAD + 2):
        bad(BadRecord(f"a.csv: line {number}", "wrong_type", "[text] is missing"))
    bad.conclude()
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[0] == "a.csv: line 0: [text] is missing"
    assert lines[SHOWN_BAD:] == ["... and 2 more bad rows; summary.json counts them by reason"]
