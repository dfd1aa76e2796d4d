"""`squall rules test` as a rules repository calls it: lines, and the exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.cli import app
from streams.errors import SquallError

RULES = "rules:\n  - {alert: High, type: threshold, window: 30m, fire: {gte: 0.6}, min_support: {stories: 5}}\n"
TESTS = """
rules: desk.yaml
tests:
  - name: bad news fires
    entity: ACME
    mentions:
      - {from: 0s, to: 3h, every: 10m, negative: 0.1}
      - {from: 1h, to: 1h20m, every: 1m, negative: 0.9}
    expect:
      - {alert: High, from: 1h, to: 1h20m, severity: warning}
  - name: good news does not
    mentions:
      - {from: 0s, to: 3h, every: 10m, negative: 0.1}
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "desk.yaml").write_text(RULES)
    (tmp_path / "tests.yaml").write_text(TESTS)
    return tmp_path


def test_tests_that_pass_are_named_and_the_status_is_0() -> None:
    shown = CliRunner().invoke(app, ["rules", "test", "tests.yaml"])
    assert shown.exit_code == 0
    assert shown.stdout == (
        "ok      bad news fires\nok      good news does not\n2 tests passed, 0 failed; rules: desk.yaml\n"
    )


def test_a_test_that_fails_says_where_it_stands_what_is_missing_and_what_came(place: Path) -> None:
    (place / "tests.yaml").write_text(TESTS.replace("severity: warning", "severity: critical"))
    shown = CliRunner().invoke(app, ["rules", "test", "tests.yaml"])
    assert shown.exit_code == 1
    lines = shown.stdout.splitlines()
    assert lines[0] == "FAILED  bad news fires (tests.yaml:4:5)"
    assert lines[1].strip() == "missing: High firing (critical) of ACME, from 1h to 1h20m"
    assert lines[2].strip().startswith("not expected: High firing (warning) of ACME at 1h")
    assert lines[-1] == "1 test passed, 1 failed; rules: desk.yaml"


def test_other_rules_can_be_tested_and_a_file_that_is_wrong_runs_nothing(place: Path) -> None:
    (place / "new.yaml").write_text(RULES.replace("0.6", "0.99"))
    shown = CliRunner().invoke(app, ["rules", "test", "tests.yaml", "--rules", "new.yaml"])
    assert shown.exit_code == 1
    assert "nothing was raised" in shown.stdout
    (place / "wrong.yaml").write_text(TESTS.replace("negative: 0.9", "negativ: 0.9"))
    refused = CliRunner().invoke(app, ["rules", "test", "tests.yaml", "wrong.yaml"])
    assert isinstance(refused.exception, SquallError)
    assert "wrong.yaml:8:42: test 1 (bad news fires), mentions 2: unknown key 'negativ'" in str(refused.exception)
    assert refused.stdout == ""


def test_the_schema_is_json_for_editors() -> None:
    shown = CliRunner().invoke(app, ["rules", "schema"])
    assert shown.exit_code == 0
    assert json.loads(shown.stdout)["title"] == "Squall alert rules"
