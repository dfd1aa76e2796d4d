"""`squall rules`: check a rule file; and a backtest from files to table, files and exit status."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest
from click.testing import Result
from typer.testing import CliRunner

from deploy.cli import app, rules_explain
from streams.errors import SquallError
from streams.monitor.explain import explain
from streams.monitor.rule_files import parse_rules
from streams.monitor.state import Life, RuleState
from streams.records import Mention, Suppressed
from streams.replay.results import load_run
from tests.streams.replay.replay_log import BAD, QUIET, story

SURGE = """
rules:
  - alert: Surge
    type: spike
    fire: {arl: 7d}
    min_support: {stories: 4, sources: 2}
    cooldown: {for: 12h}
"""
HIGH = "  - {alert: High, type: threshold, window: 30m, fire: {gte: 0.6}, min_support: {stories: 5}}\n"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two rule files and a file of scored mentions, and no settings of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.yaml").write_text(SURGE, encoding="utf-8")
    (tmp_path / "new.yaml").write_text(SURGE + HIGH, encoding="utf-8")
    lines = [scenario_line(record) for _, record in story() if isinstance(record, Mention)]
    (tmp_path / "history.jsonl").write_text("".join(lines), encoding="utf-8")
    return tmp_path


def scenario_line(mention: Mention) -> str:
    """A mention as people keep them: without Squall's own fields."""
    fields = ("entity", "source", "author", "published_at", "negative", "neutral", "positive", "text")
    row = {"id": mention.message_id, **{name: getattr(mention, name) for name in fields}}
    return msgspec.json.encode(row).decode() + "\n"


def squall(*arguments: str, columns: int = 200) -> Result:
    """Run `squall rules` in this process."""
    return CliRunner().invoke(app, ["rules", *arguments], env={"COLUMNS": str(columns)})


def backtest(*arguments: str, columns: int = 200) -> Result:
    """Run a backtest of the two rule files over the mentions."""
    fixed = ("history.jsonl", "--as-scored", "--rules", "new.yaml", "--against", "old.yaml")
    return squall("backtest", *fixed, *arguments, columns=columns)


def test_check_says_what_each_rule_does() -> None:
    shown = squall("check", "new.yaml")
    assert shown.exit_code == 0
    assert re.search(r"Surge \(spike, version [0-9a-f]{12}\)", shown.stdout)
    assert "by chance at most once in 7 days," in shown.stdout
    assert "new.yaml: 2 rules, version " in shown.stdout


@pytest.mark.parametrize(("file", "words"), [("broken.yaml", "did you mean 'margin'?"), ("gone.yaml", "cannot read")])
def test_check_of_a_file_that_is_not_valid_exits_with_1_and_says_why(place: Path, file: str, words: str) -> None:
    (place / "broken.yaml").write_text(SURGE.replace("cooldown: {for: 12h}", "marginn: 0.1"), encoding="utf-8")
    shown = squall("check", file)
    assert shown.exit_code == 1
    assert shown.stdout == ""
    assert words in shown.stderr


def test_a_backtest_shows_what_the_new_rules_add(place: Path) -> None:
    shown = backtest()
    assert shown.exit_code == 0, shown.output
    assert "Compared: two rule sets" in shown.stdout
    assert "rule High" in shown.stdout
    (row,) = (line for line in shown.stdout.splitlines() if line.startswith(" added "))
    assert BAD in row
    assert re.search(r"\d+ % of \d+ stories in \d+ minutes negative, usually \d+ %", row)
    assert "1 added, 0 removed, 0 shifted, 0 changed, 1 the same" in shown.stdout
    assert "a day, at most " in shown.stdout
    assert sorted(path.name for path in place.iterdir()) == ["history.jsonl", "new.yaml", "old.yaml"]


def test_the_same_rules_are_no_difference_to_a_desk() -> None:
    shown = squall("backtest", "history.jsonl", "--as-scored", "--rules", "old.yaml", "--against", "old.yaml")
    assert shown.exit_code == 0, shown.output
    assert "A desk would see no difference" in shown.stderr


def test_without_against_the_rules_in_force_are_the_old_ones(place: Path) -> None:
    arguments = ("backtest", "history.jsonl", "--as-scored", "--rules", "new.yaml")
    shipped = squall(*arguments)
    assert "old: the shipped rules; " in shipped.stdout
    (place / "squall.yaml").write_text("monitor: {rules: old.yaml}\n", encoding="utf-8")
    assert "old: old.yaml; " in squall(*arguments).stdout


@pytest.mark.parametrize(
    ("bounds", "status", "words"),
    [
        (("--max-added", "1", "--max-per-day", "9", "--no-removed"), 0, "All bounds hold"),
        (("--max-added", "0"), 1, "Not within bounds: 1 alert added, at most 0 may be"),
        (("--max-per-day", "0"), 1, "under the new rules, at most 0 may be"),
    ],
)
def test_the_exit_status_says_whether_the_bounds_hold(bounds: tuple[str, ...], status: int, words: str) -> None:
    shown = backtest(*bounds)
    assert shown.exit_code == status, shown.output
    assert words in shown.stderr


def test_a_removed_alert_breaks_the_bound_only_if_it_may_not_be() -> None:
    swapped = ("backtest", "history.jsonl", "--as-scored", "--rules", "old.yaml", "--against", "new.yaml")
    assert squall(*swapped, "--allow-removed").exit_code == 0
    refused = squall(*swapped, "--no-removed")
    assert refused.exit_code == 1
    assert "Not within bounds: 1 alert removed, none may be" in refused.stderr


def test_json_on_standard_output_is_json_and_nothing_else() -> None:
    shown = backtest("--json", "-", "--max-added", "0")
    assert shown.exit_code == 1
    content = json.loads(shown.stdout)
    assert content["counts"] == {"added": 1, "removed": 0, "shifted": 0, "changed": 0, "same": 1}
    assert content["added"][0]["rule"] == "High"
    assert content["broken"] == ["1 alert added, at most 0 may be"]


def test_markdown_is_written_for_a_pull_request(place: Path) -> None:
    shown = backtest("--markdown", "comment.md", "--max-added", "5")
    assert shown.exit_code == 0, shown.output
    text = (place / "comment.md").read_text(encoding="utf-8")
    assert text.startswith("### Alerts: two rule sets\n\n**All bounds hold.**\n")
    assert "1 added, 0 removed" in shown.stdout


def test_out_keeps_both_runs_and_their_difference(place: Path) -> None:
    shown = backtest("--out", "kept")
    assert shown.exit_code == 0, shown.output
    assert sorted(path.name for path in (place / "kept").iterdir()) == [
        "difference.json",
        "difference.md",
        "new",
        "old",
    ]
    assert (place / "kept" / "new" / "report.html").stat().st_size > 0
    assert not (place / "kept.partial").exists()
    with pytest.raises(SquallError, match="kept is there already: name another folder with --out, or remove it"):
        raise backtest("--out", "kept").exception or AssertionError


def test_only_alerts_of_the_range_are_compared() -> None:
    shown = backtest("--from", "2026-03-02T00:00:00Z", "--to", "2026-03-02T12:00:00Z", "--warm-up", "all")
    assert shown.exit_code == 0, shown.output
    assert "0 added, 0 removed" in shown.stdout
    assert "no alert in 1 day" in shown.stdout


def test_with_entity_the_alerts_of_one_company_are_compared(place: Path) -> None:
    assert "1 added, 0 removed" in backtest("--entity", BAD).stdout
    shown = backtest("--entity", QUIET[0])
    assert shown.exit_code == 0, shown.output
    assert "0 added, 0 removed, 0 shifted, 0 changed, 0 the same" in shown.stdout
    (place / "companies.csv").write_text(f"symbol,name\n{BAD},Invented Bank\n", encoding="utf-8")
    (place / "squall.yaml").write_text("entities: {tables: [companies.csv]}\n", encoding="utf-8")
    assert "1 added, 0 removed" in backtest("--entity", f"${BAD.lower()}", "--out", "kept").stdout
    assert load_run(place / "kept" / "new").summary.options["entity"] == BAD


@pytest.mark.parametrize("keeping", [(), ("--out", "kept")])
def test_a_company_that_the_history_does_not_mention_is_no_difference_of_nothing(keeping: tuple[str, ...]) -> None:
    found = backtest("--entity", "NOBODY", *keeping).exception
    assert isinstance(found, SquallError)
    assert "there are no mentions of NOBODY in history.jsonl" in str(found)


def test_with_known_at_what_arrived_later_is_left_out(place: Path) -> None:
    known = backtest("--known-at", "2026-03-02T12:00:00Z", "--out", "kept")
    assert known.exit_code == 0, known.output
    assert "0 added, 0 removed, 0 shifted, 0 changed, 0 the same" in known.stdout
    for side in ("old", "new"):
        assert load_run(place / "kept" / side).summary.options["known_at"] == "2026-03-02T12:00:00Z"
    # What counts is when a row arrived, not when it was published.
    rows = [json.loads(line) for line in (place / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    late = [json.dumps(row | {"received_at": "2026-03-09T00:00:00Z"} if row["entity"] == BAD else row) for row in rows]
    (place / "history.jsonl").write_text("\n".join(late), encoding="utf-8")
    assert "1 added" in backtest("--known-at", "2026-03-09T00:00:00Z").stdout
    assert "0 added" in backtest("--known-at", "2026-03-08T00:00:00Z").stdout


def test_bad_rows_end_with_2_although_the_difference_is_shown(place: Path) -> None:
    with (place / "history.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"id": "x", "entity": "QUOLL", "negative": 7}\n')
    shown = backtest()
    assert shown.exit_code == 2, shown.output
    assert "1 added, 0 removed" in shown.stdout
    assert "1 bad record was left out: mend it, or pass it over with --skip-bad" in shown.stderr
    assert backtest("--skip-bad").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--from", "yesterday"), "is no time with an offset"),
        (("--from", "2026-03-03T00:00:00Z", "--to", "2026-03-02T00:00:00Z"), "an empty range"),
        (("--known-at", "noon"), "is no time with an offset"),
        (("--warm-up", "long"), "is no length of time: write 48h, 30d, 8w, or all"),
        (("--model", "x"), "nothing is scored with --as-scored"),
        (("--json", "a", "--markdown", "a"), "not the same as --json"),
        (("--column", "price=close"), "is not FIELD=COLUMN"),
        (("--max-added", "-1"), "greater than or equal to 0"),
    ],
)
def test_wrong_use_ends_with_2_and_says_what_is_wrong(arguments: tuple[str, ...], words: str) -> None:
    shown = backtest(*arguments)
    assert shown.exit_code == 2
    assert words in re.sub(r"[\s│]+", " ", shown.stderr)


@pytest.mark.parametrize("option", ["--json", "--markdown"])
def test_a_result_that_could_not_be_written_is_refused_before_the_runs(place: Path, option: str) -> None:
    for file, words in (("nowhere/x", "there is no folder nowhere; make it first"), (".", "it is a folder")):
        shown = backtest(option, file)
        assert str(shown.exception) == f"cannot write {file}: {words}"
        assert "replaying" not in shown.stderr
    assert not (place / "nowhere").exists()


def test_a_folder_of_results_that_could_not_be_made_is_refused_before_the_runs(place: Path) -> None:
    shown = backtest("--out", "history.jsonl/runs")
    assert "cannot write" in str(shown.exception)
    assert "replaying" not in shown.stderr


def test_a_column_of_another_name_is_found_if_it_is_named(place: Path) -> None:
    lines = (place / "history.jsonl").read_text(encoding="utf-8")
    (place / "history.jsonl").write_text(lines.replace('"entity":', '"issuer":'), encoding="utf-8")
    assert isinstance(backtest().exception, SquallError)
    shown = backtest("--column", "entity=issuer")
    assert shown.exit_code == 0, shown.output
    assert "1 added, 0 removed" in shown.stdout


@pytest.mark.parametrize("file", ["new.yaml", "history.jsonl"])
def test_an_input_that_cannot_be_read_is_an_error_that_names_it(place: Path, file: str) -> None:
    (place / file).unlink()
    found = backtest().exception
    assert isinstance(found, SquallError)
    assert file in str(found)


def test_where_a_table_would_not_fit_each_alert_has_a_line() -> None:
    shown = backtest(columns=70)
    (line,) = (line for line in shown.stdout.splitlines() if line.startswith("added "))
    seen = r"\d+ % of \d+ stories in 30 minutes negative, usually \d+ %"
    assert re.fullmatch(rf"added    2026-03-03 \d\d:\d\d UTC  {BAD}  High \(warning\): {seen}; .*", line)


def test_explain_says_what_each_rule_knew_and_asked_for() -> None:
    at = max(record.published_at for _, record in story() if isinstance(record, Mention))
    entity = next(record.entity for _, record in story() if isinstance(record, Mention))
    shown = squall(
        "explain", "history.jsonl", "--entity", entity, "--at", f"{at:%Y-%m-%dT%H:%M:%SZ}", "--rules", "new.yaml"
    )
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.startswith(f"{entity} at {at:%Y-%m-%dT%H:%M:%SZ}: its last minute with mentions ended at ")
    assert re.search(r"Surge \(spike\): (inactive|pending|firing)", shown.stdout)
    assert re.search(r"  evidence \(e-value\) +[\d,]+ +needs at least 10,080 +(yes|NO)", shown.stdout)
    assert re.search(r"  negative share +[\d.]+ % +needs at least 60.0 % +(yes|NO)", shown.stdout)


def test_explain_of_a_company_that_is_not_there_says_so() -> None:
    shown = squall("explain", "history.jsonl", "--entity", "NOBODY", "--at", "2030-01-01T00:00:00Z")
    assert isinstance(shown.exception, SquallError)
    assert "there is no mention of NOBODY until 2030-01-01T00:00:00Z in history.jsonl" in str(shown.exception)


def test_an_alert_whose_rise_is_kept_back_is_explained_as_firing() -> None:
    rule = parse_rules(SURGE, name="surge.yaml").rules[0]
    kept = Suppressed(by="silence", what="s1")
    memory = RuleState(rule_version=rule.version, life=Life(state="firing", fired_ms=60_000, kept=kept))
    first = rules_explain._rule(explain(rule, memory, end_ms=120_000))[0]
    assert ": firing since 1970-01-01T00:01:00Z;" in first
    assert first.endswith("; that its severity rose is kept back by silence s1")
    memory.life.untold = True
    first = rules_explain._rule(explain(rule, memory, end_ms=120_000))[0]
    assert ": suppressed since" in first
    assert first.endswith(", by silence s1")
