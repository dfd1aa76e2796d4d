"""Dashboards and rules on a real Prometheus that scrapes a real worker under load: no panel is empty, no rule fails."""

from __future__ import annotations

import json
import math
import re
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.grafana.dashboards import boards
from deploy.kafka import LocalBroker
from streams.config import Settings
from streams.topics import create_topics
from tests.conftest import MakeSettings
from tests.deploy.observe.feed import INCIDENT, WATCHED, Feed, Live
from tests.deploy.observe.grafana import Asked, chosen, interpolated, label_values, queries
from tests.deploy.observe.programs import program
from tests.deploy.observe.promql import rules
from tests.deploy.observe.servers import Alertmanager, Prometheus, Series
from tests.models.tiny_model import write_tiny_model
from tests.streams.app.harness import Receiver, WorkerProcess, until

pytestmark = [pytest.mark.broker, pytest.mark.timeout(600)]

BOARDS = {board.uid: json.loads(board.as_json()) for board in boards()}
MAY_BE_EMPTY = {"squall-pipeline: Memory of GPUs (A)", "squall-alerts: Alarms on Squall (A)"}
"""What stands in for an empty answer is all that a healthy machine without a GPU has for these."""
RULES = """
rules:
  - alert: MostlyNegative
    type: threshold
    window: 60m
    fire: {gte: 0.5}
    resolve: {lt: 0.2}
    effect_min: 0.1
    min_support: {stories: 4, sources: 2}
    severity: {critical: {}}
"""


@dataclass
class Stack:
    """What runs."""

    worker: WorkerProcess
    prometheus: Prometheus
    alertmanager: Alertmanager
    feed: Feed
    began_s: float


@pytest.fixture(scope="module")
def settings(
    kafka: LocalBroker, make_settings: MakeSettings, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Settings, Path]:
    """A worker with everything that has figures of its own: watch list, first tier, challenger, verdicts, receiver."""
    for name in ("prometheus", "prometheus-alertmanager"):
        program(name)
    folder = tmp_path_factory.mktemp("observe")
    (folder / "challenger").mkdir()
    write_tiny_model(folder / "challenger", name="challenger")
    (folder / "rules.yaml").write_text(RULES)
    (folder / "desk.txt").write_text("\n".join(WATCHED))
    made = make_settings(
        kafka.bootstrap,
        "test-observe",
        classifier={"first_tier": True, "first_tier_audit_share": 0.5, "degrade_after_s": 3_600},
        monitor={"rules": str(folder / "rules.yaml"), "allowed_lateness_s": 5},
        entities={"watchlists": [str(folder / "desk.txt")]},
        worker={"idle_after_s": 1.0},
        watch={
            "window_texts": 200,
            "min_texts": 100,
            "window_labels": 50,
            "min_labels": 20,
            "challenger": str(folder / "challenger"),
            "share": 1.0,
        },
    )
    create_topics(made)
    return made, folder


@pytest.fixture(scope="module")
def stack(settings: tuple[Settings, Path]) -> Iterator[Stack]:
    made, folder = settings
    began_s = time.time()
    with Receiver() as receiver:
        secrets = {
            "SQUALL_DELIVERY__WEBHOOK_URL": receiver.url,
            "SQUALL_DELIVERY__WEBHOOK_TOKEN": "desk-token",
        }
        with WorkerProcess(made, folder, secrets=secrets) as worker:
            for name in ("am", "prom"):
                (folder / name).mkdir()
            alertmanager = Alertmanager(folder / "am")
            prometheus = Prometheus(folder / "prom", workers=[f"127.0.0.1:{worker.port}"], alertmanager=alertmanager)
            feed = Feed(made)
            try:
                alertmanager.start()
                prometheus.start()
                worker.wait_ready()
                feed.history(minutes=6)
                yield Stack(worker, prometheus, alertmanager, feed, began_s)
            finally:
                feed.close()
                prometheus.stop()
                alertmanager.stop()


def is_data(series: Series) -> bool:
    return any(math.isfinite(value) for _, values in series for value in values)


def answer(stack: Stack, asked: Asked, expr: str) -> Series:
    if asked.instant:
        return stack.prometheus.now(expr)
    return stack.prometheus.over(expr, since_s=stack.began_s, until_s=time.time())


def lacking(stack: Stack, asked: Sequence[Asked]) -> list[str]:
    """What is empty, or has series without a label that their legend names."""
    found = []
    for one in asked:
        series = answer(stack, one, one.expr)
        if not is_data(series):
            found.append(f"{one.panel} is empty")
        elif one.panel in MAY_BE_EMPTY:
            continue
        elif not is_data(answer(stack, one, one.own)):
            found.append(f"{one.panel} shows only what stands in for data")
        else:
            labels = set(re.findall(r"\{\{(\w+)\}\}", one.legend))
            if not any(labels <= metric.keys() for metric, _ in series):
                found.append(f"{one.panel} has no series with {sorted(labels)}")
    return found


def everything(stack: Stack, **values: str) -> list[Asked]:
    chosen_values = {"job": "squall", "instance": ".*", "entity": ".*", "__rate_interval": "1m", **values}
    return [one for board in BOARDS.values() for one in queries(board, chosen_values)]


def waits_for(stack: Stack, look: Callable[[], list[str]], what: str) -> None:
    """Send on, and look again and again until nothing is lacking."""
    last: list[str] = []

    def done() -> bool:
        last[:] = look()
        stack.worker.must_live()
        return not last

    try:
        with Live(stack.feed):
            until(done, what, deadline_s=240)
    except AssertionError as error:
        raise AssertionError(f"{error}\n" + "\n".join(last)) from None


def test_no_panel_is_empty_while_a_real_worker_works(stack: Stack) -> None:
    asked = everything(stack)
    assert len(asked) > 90

    def look() -> list[str]:
        found = lacking(stack, asked)
        if any("squall-model" in problem for problem in found):
            stack.feed.judge(60)
        return found

    waits_for(stack, look, "some panels are empty")


def test_panels_are_not_empty_for_one_worker_and_one_company(stack: Stack) -> None:
    asked = everything(stack, instance=chosen(f"127.0.0.1:{stack.worker.port}"), entity=INCIDENT)
    waits_for(stack, lambda: lacking(stack, asked), "some panels are empty for one worker and one company")


def test_variables_have_values(stack: Stack) -> None:
    expected = {"job": ["squall"], "instance": [f"127.0.0.1:{stack.worker.port}"], "entity": sorted(WATCHED)}
    seen = set()
    for board in BOARDS.values():
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                metric, label = label_values(variable["query"]["query"], {"job": "squall"})
                assert stack.prometheus.values(metric, label) == expected[variable["name"]]
                seen.add(variable["name"])
    assert seen == set(expected)


def test_the_incident_is_marked_on_the_desk_s_graphs(stack: Stack) -> None:
    annotations = [one for board in BOARDS.values() for one in board["annotations"]["list"]]
    assert annotations
    for one in annotations:
        expr = interpolated(one["expr"], {"job": "squall", "entity": ".*"})
        found = stack.prometheus.over(expr, since_s=stack.began_s, until_s=time.time())
        assert {metric["entity"] for metric, _ in found} == {INCIDENT}
        for metric, _ in found:
            assert {f"{{{{{label}}}}}" for label in ("entity", "rule")} <= set(
                re.findall(r"\{\{\w+\}\}", one["titleFormat"])
            )
            assert set(one["tagKeys"].split(",")) <= metric.keys()


def test_every_rule_is_evaluated_without_an_error(stack: Stack) -> None:
    expected = {rule.get("alert", rule.get("record")) for rule in rules()}

    def evaluated() -> list[dict[str, Any]]:
        found = stack.prometheus.rules()
        return found if all(rule["health"] != "unknown" for rule in found) else []

    found = until(evaluated, "some rules were never evaluated")
    assert {rule["name"] for rule in found} == expected
    assert not {rule["name"]: rule["lastError"] for rule in found if rule["health"] != "ok"}


def test_a_healthy_system_raises_no_alarm_that_calls_somebody(stack: Stack) -> None:
    firing = {
        rule["name"]
        for rule in stack.prometheus.rules()
        if rule["type"] == "alerting" and rule["state"] == "firing" and rule["labels"]["severity"] == "critical"
    }
    assert not firing


def test_the_dead_man_s_switch_reaches_alertmanager(stack: Stack) -> None:
    def arrived() -> list[dict[str, Any]]:
        return [alert for alert in stack.alertmanager.alerts() if alert["labels"]["alertname"] == "SquallWatchdog"]

    (alert,) = until(arrived, "the dead man's switch does not arrive")
    assert [receiver["name"] for receiver in alert["receivers"]] == ["watchdog"]


def test_a_worker_that_is_killed_is_noticed(stack: Stack) -> None:
    """The last test of this module: the worker does not come back."""
    stack.worker.send(signal.SIGKILL)

    def noticed() -> set[str]:
        wanted = {"SquallWorkerDown", "SquallNoWorkers"}
        states = {rule["name"]: rule["state"] for rule in stack.prometheus.rules() if rule["name"] in wanted}
        return set(states.values()) <= {"pending", "firing"} and set(states) == wanted

    until(noticed, "the killed worker is not noticed")
    (down,) = [rule for rule in stack.prometheus.rules() if rule["name"] == "SquallWorkerDown"]
    (alert,) = down["alerts"]
    assert alert["labels"]["instance"] == f"127.0.0.1:{stack.worker.port}"
    assert alert["annotations"]["summary"] == f"Squall worker 127.0.0.1:{stack.worker.port} does not answer"
