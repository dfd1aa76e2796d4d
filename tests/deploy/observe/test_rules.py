"""The rules on Squall itself: promtool's own checks, a test of both kinds and a runbook section for each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.cli import ENTRIES, load
from tests.deploy.observe.programs import PROMETHEUS, RUNBOOK, run
from tests.deploy.observe.promql import known, problems, rules

RULES = sorted((PROMETHEUS / "rules").glob("*.yaml"))
TESTS = sorted((PROMETHEUS / "tests").glob("*.yaml"))
ALERTS = [rule for rule in rules() if "alert" in rule]
NAMES = [alert["alert"] for alert in ALERTS]
PARTS = ("**What it means**", "**What to look at**", "**What to do**", "**When it is over**")


def test_promtool_accepts_the_rules() -> None:
    done = run("promtool", "check", "rules", *map(str, RULES))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["prometheus.yml", "prometheus.local.yml"])
def test_promtool_accepts_the_configuration(name: str) -> None:
    done = run("promtool", "check", "config", str(PROMETHEUS / name))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(RULES)} rule files found" in done.stdout


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_alarms_fire_when_they_should_and_not_otherwise(path: Any) -> None:
    done = run("promtool", "test", "rules", str(path), timeout_s=280)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]


def unit_tests() -> dict[str, set[bool]]:
    """By alert, whether there is a test in which it fires (True) and one in which it does not (False)."""
    found: dict[str, set[bool]] = {}
    for path in TESTS:
        for test in yaml.safe_load(path.read_text())["tests"]:
            for case in test["alert_rule_test"]:
                found.setdefault(case["alertname"], set()).add(bool(case["exp_alerts"]))
    return found


def test_every_alarm_has_a_test_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    tested = unit_tests()
    always = {"SquallWatchdog"}
    lacking = {name: tested.get(name, set()) for name in NAMES if tested.get(name) != {True, False}}
    assert set(lacking) == always, lacking
    assert tested["SquallWatchdog"] == {True}


def test_the_names_of_alarms_are_distinct() -> None:
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("alert", ALERTS, ids=NAMES)
def test_an_alarm_says_how_bad_it_is_and_what_is_wrong(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in {"critical", "warning", "none"}
    assert alert["labels"]["system"] == "squall"
    assert alert["alert"].startswith("Squall")
    annotations = alert["annotations"]
    assert annotations["runbook_url"] == f"deploy/docs/RUNBOOK.md#{alert['alert'].lower()}"
    assert annotations["summary"]
    assert not annotations["summary"].endswith(".")
    assert annotations["description"].endswith(".")


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert", rule.get("record")))
def test_a_rule_asks_for_what_there_is(rule: dict[str, Any]) -> None:
    assert problems(rule["expr"], known()) == []


def sections() -> dict[str, str]:
    """The runbook's sections by anchor, as GitHub makes anchors of headings."""
    parts = re.split(r"^#{2,3} (.+)$", RUNBOOK.read_text(), flags=re.MULTILINE)[1:]
    return {
        heading.strip().lower().replace(" ", "-"): text for heading, text in zip(parts[::2], parts[1::2], strict=True)
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_runbook_says_what_an_alarm_means_and_what_to_do(name: str) -> None:
    section = sections()[name.lower()]
    places = [section.find(part) for part in PARTS]
    assert -1 not in places, f"{name} lacks {[part for part, place in zip(PARTS, places, strict=True) if place < 0]}"
    assert places == sorted(places)


def test_the_runbook_speaks_of_no_alarm_that_there_is_not() -> None:
    mentioned = set(re.findall(r"\bSquall[A-Z]\w+", RUNBOOK.read_text()))
    assert mentioned == set(NAMES)


def blocks(kind: str) -> list[str]:
    """The lines of the runbook's code blocks of one kind."""
    found = re.findall(rf"^```{kind}\n(.+?)^```$", RUNBOOK.read_text(), flags=re.MULTILINE | re.DOTALL)
    return [line for block in found for line in block.splitlines()]


def test_the_runbook_s_queries_ask_for_what_there_is() -> None:
    queries = blocks("promql")
    assert len(queries) > 50
    wrong = {query: found for query in queries if (found := problems(query, known()))}
    assert not wrong


def test_the_runbook_s_queries_are_read_by_prometheus(tmp_path: Path) -> None:
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(blocks("promql"))]
    path = tmp_path / "queries.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    done = run("promtool", "check", "rules", "--lint=none", str(path))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_runbook_s_commands_are_commands_of_squall() -> None:
    text = RUNBOOK.read_text()
    said = {line.split("#")[0].strip() for line in blocks("sh")} | set(re.findall(r"`(squall [^`]+)`", text))
    commands = sorted({command for command in said if command.startswith("squall ")})
    assert len(commands) > 15
    known_names = {entry.name: entry for entry in ENTRIES}
    for command in commands:
        words = command.split()[1:]
        assert words[0] in known_names, command
        found = load(known_names[words[0]])
        rest = words[1:]
        if getattr(found, "commands", None) and rest:
            assert rest[0] in found.commands, command
            found, rest = found.commands[rest[0]], rest[1:]
        options = {name for parameter in found.params for name in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= options, command
