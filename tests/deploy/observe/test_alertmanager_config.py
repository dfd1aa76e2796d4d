"""Alertmanager's configuration: accepted, every alarm and alert gets to the right people, secrets are in files."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.deploy.observe.programs import ALERTMANAGER, run
from tests.deploy.observe.promql import rules

REAL = ALERTMANAGER / "alertmanager.yml"
LOCAL = ALERTMANAGER / "alertmanager.local.yml"


def configuration(path: Any) -> dict[str, Any]:
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize("path", [REAL, LOCAL], ids=lambda path: path.name)
def test_amtool_accepts_it(path: Any) -> None:
    done = run("amtool", "check-config", str(path))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_one_for_a_look_routes_and_inhibits_like_the_real_one() -> None:
    real, local = configuration(REAL), configuration(LOCAL)
    for part in ("global", "route", "inhibit_rules"):
        assert real[part] == local[part]
    assert [one["name"] for one in real["receivers"]] == [one["name"] for one in local["receivers"]]
    assert all(one.keys() == {"name"} for one in local["receivers"])


def route_of(*labels: str) -> str:
    done = run("amtool", "config", "routes", "test", f"--config.file={REAL}", *labels)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (("alertname=SquallWatchdog", "severity=none", "system=squall"), "watchdog"),
        (("alertname=SquallWorkerDown", "severity=critical", "system=squall", "job=squall"), "on-call"),
        (("alertname=SquallDrift", "severity=warning", "system=squall", "job=squall"), "operations"),
        (("alertname=NegativeShareSurge", "entity=MSFT"), "desk"),
        (("alertname=NegativeShareSurge", "entity=MSFT", "severity=critical"), "desk"),
        (("alertname=NodeDown", "instance=h1"), "operations"),
    ],
)
def test_each_kind_of_alert_goes_to_its_people(labels: tuple[str, ...], receiver: str) -> None:
    assert route_of(*labels) == receiver


def test_secrets_are_read_from_files() -> None:
    text = re.sub(r"^\s*#.*$", "", REAL.read_text(), flags=re.MULTILINE)
    given = re.findall(
        r"(api_url|routing_key|service_key|auth_password|credentials|bearer_token|password)(_file)?:", text
    )
    assert given
    assert all(suffix == "_file" for _, suffix in given)
    paths = re.findall(r"_file: (\S+)", text)
    assert all(path.startswith("secrets/") for path in paths)
    assert all(path in REAL.read_text().split("global:")[0] for path in paths)  # each is explained at the top


def test_inhibitions_speak_of_alarms_that_there_are() -> None:
    names = {rule["alert"] for rule in rules() if "alert" in rule}
    for rule in configuration(REAL)["inhibit_rules"]:
        for matcher in rule["source_matchers"] + rule["target_matchers"]:
            label, value = re.fullmatch(r'(\w+)[=!~]+"(.*)"', matcher).groups()  # type: ignore[union-attr]
            if label == "alertname":
                for name in value.split("|"):
                    assert [found for found in names if re.fullmatch(name, found)], name


def test_alarms_that_inhibit_have_the_labels_that_must_be_equal() -> None:
    """An inhibition on a label that neither side has would be one on nothing: it would hit every installation."""
    by_name = {rule["alert"]: rule["expr"] for rule in rules() if "alert" in rule}
    for rule in configuration(REAL)["inhibit_rules"]:
        source = re.search(r'alertname="(\w+)"', rule["source_matchers"][0]).group(1)  # type: ignore[union-attr]
        for label in rule.get("equal", []):
            assert re.search(rf"\b{label}\b|\bup\{{", by_name[source]), (source, label)


def test_nothing_inhibits_the_dead_man_s_switch() -> None:
    for rule in configuration(REAL)["inhibit_rules"]:
        target = " ".join(rule["target_matchers"])
        named = re.search(r'alertname=~?"([^"]+)"', target)
        excluded = re.search(r'alertname!~"([^"]+)"', target)
        if named:
            assert not re.fullmatch(named.group(1), "SquallWatchdog")
        else:
            assert excluded is not None
            assert re.fullmatch(excluded.group(1), "SquallWatchdog")
