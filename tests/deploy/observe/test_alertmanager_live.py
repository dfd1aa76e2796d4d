"""A real Alertmanager with the repository's routes: what follows from something worse calls nobody by itself."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.observe.programs import ALERTMANAGER, program, run
from tests.deploy.observe.promql import rules
from tests.deploy.observe.servers import Alertmanager
from tests.streams.app.harness import until

SEVERITIES = {rule["alert"]: rule["labels"]["severity"] for rule in rules() if "alert" in rule}


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alertmanager]:
    program("prometheus-alertmanager")
    server = Alertmanager(tmp_path_factory.mktemp("alertmanager"))
    try:
        yield server.start()
    finally:
        server.stop()


def post(server: Alertmanager, *alerts: dict[str, str]) -> None:
    body = json.dumps([{"labels": labels} for labels in alerts]).encode()
    request = urllib.request.Request(
        server.url + "/api/v2/alerts", data=body, headers={"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200


def alarm(name: str, job: str, **labels: str) -> dict[str, str]:
    return {"alertname": name, "severity": SEVERITIES[name], "system": "squall", "job": job, **labels}


def states(server: Alertmanager, job: str) -> dict[str, str]:
    """What becomes of the alarms of one installation: `active` calls somebody, `suppressed` does not."""
    found = {
        alert["labels"]["alertname"]: alert["status"]["state"]
        for alert in server.alerts()
        if alert["labels"].get("job") == job
    }
    return found if "unprocessed" not in found.values() else {}


@pytest.mark.parametrize(
    ("cause", "follows", "labels"),
    [
        ("SquallWorkerDown", ("SquallLagGrows", "SquallLagNotDraining", "SquallMentionLatencyFastBurn"), {}),
        ("SquallWorkerStalled", ("SquallLagNotDraining", "SquallMentionLatencySlowBurn"), {}),
        ("SquallLagNotDraining", ("SquallLagGrows",), {"topic": "squall.messages"}),
        ("SquallMentionLatencyFastBurn", ("SquallMentionLatencySlowBurn",), {}),
        ("SquallAlertLatencyFastBurn", ("SquallAlertLatencySlowBurn",), {}),
        ("SquallMostMessagesRefused", ("SquallDeadLetters",), {}),
        ("SquallFeedSilent", ("SquallSourceSilent",), {}),
        ("SquallReceiverSuspended", ("SquallAlertsWaiting", "SquallDeliveryRetries"), {"receiver": "slack"}),
    ],
)
def test_what_follows_from_something_worse_is_not_told_beside_it(
    alertmanager: Alertmanager, cause: str, follows: tuple[str, ...], labels: dict[str, str]
) -> None:
    job = f"squall-{cause.lower()}"
    post(alertmanager, *(alarm(name, job, **labels) for name in (cause, *follows)))
    expected = {cause: "active"} | dict.fromkeys(follows, "suppressed")
    until(lambda: states(alertmanager, job) == expected, f"{cause} does not inhibit {follows}")


def test_another_installation_or_another_receiver_is_told_of(alertmanager: Alertmanager) -> None:
    post(
        alertmanager,
        alarm("SquallWorkerDown", "squall-east"),
        alarm("SquallLagGrows", "squall-west", topic="squall.messages"),
        alarm("SquallReceiverSuspended", "squall-west", receiver="slack"),
        alarm("SquallAlertsWaiting", "squall-west", receiver="pager"),
    )
    expected = dict.fromkeys(("SquallLagGrows", "SquallReceiverSuspended", "SquallAlertsWaiting"), "active")
    until(lambda: states(alertmanager, "squall-west") == expected, "an installation is inhibited by another")


def test_where_no_worker_answers_only_that_and_what_is_lost_is_told(tmp_path: Path) -> None:
    program("prometheus-alertmanager")
    server = Alertmanager(tmp_path)
    told = ("SquallNoWorkers", "SquallAlertUndelivered", "SquallMentionsPassedOver", "SquallWatchdog")
    follows = ("SquallWorkerDown", "SquallRoleMissing", "SquallFeedSilent", "SquallDrift")
    try:
        server.start()
        post(server, *(alarm(name, "squall") for name in (*told, *follows)))
        expected = dict.fromkeys(told, "active") | dict.fromkeys(follows, "suppressed")
        until(lambda: states(server, "squall") == expected, "not the right alarms are inhibited")
    finally:
        server.stop()


def render(tmp_path: Path, template: str, labels: dict[str, str], annotations: dict[str, str]) -> str:
    alert = {"status": "firing", "labels": labels, "annotations": annotations, "startsAt": "2026-03-02T14:00:00Z"}
    data = {"status": "firing", "alerts": [alert], "groupLabels": labels, "commonLabels": labels}
    (tmp_path / "data.json").write_text(json.dumps(data))
    done = run(
        "amtool",
        "template",
        "render",
        f"--template.glob={ALERTMANAGER}/templates/*.tmpl",
        f"--template.data={tmp_path / 'data.json'}",
        f'--template.text={{{{ template "{template}" . }}}}',
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("rule", [rule for rule in rules() if "alert" in rule][:3], ids=lambda rule: rule["alert"])
def test_a_notification_says_what_is_wrong_and_where_its_runbook_is(tmp_path: Path, rule: dict[str, Any]) -> None:
    labels, annotations = {"alertname": rule["alert"], "job": "squall"}, rule["annotations"]
    assert render(tmp_path, "squall.title", labels, annotations) == f"[FIRING: 1] {rule['alert']} (squall)"
    text = render(tmp_path, "squall.text", labels, annotations)
    assert annotations["summary"] in text
    assert f"Runbook: https://documents.example/squall/{annotations['runbook_url']}\n" in text


def test_a_desk_is_told_of_the_company(tmp_path: Path) -> None:
    labels = {"alertname": "NegativeShareSurge", "entity": "MSFT"}
    assert render(tmp_path, "squall.desk.title", labels, {}) == "[FIRING] MSFT: NegativeShareSurge"
    assert "72 % of 30 stories" in render(tmp_path, "squall.desk.text", labels, {"summary": "72 % of 30 stories"})
