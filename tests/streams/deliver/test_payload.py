import json
import re
from datetime import timedelta

import msgspec
import pytest

from streams.deliver.payload import NOT_ENDED, alertmanager_payload, idempotency_key


def payload_of(*alerts):
    return alertmanager_payload(alerts, receiver="desk", external_url="https://squall.example")


def test_a_firing_alert_has_the_shape_of_alertmanager_v4(make_alert):
    payload = payload_of(make_alert())
    entry = payload.pop("alerts")[0]
    labels = {"alertname": "negative-surge", "entity": "BRMFD", "sector": "Consumer Staples"}
    annotations = payload.pop("commonAnnotations")
    assert payload == {
        "version": "4",
        "groupKey": '{}:{alertname="negative-surge", entity="BRMFD", sector="Consumer Staples"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "desk",
        "groupLabels": labels,
        "commonLabels": labels,
        "externalURL": "https://squall.example",
    }
    assert set(entry) == {
        "status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint", "squall",
    }  # fmt: skip
    assert annotations == entry["annotations"]
    assert entry["status"] == "firing"
    assert entry["startsAt"] == "2026-03-18T10:04:00Z"
    assert entry["endsAt"] == NOT_ENDED
    assert entry["fingerprint"] == make_alert().id
    assert entry["generatorURL"] == payload["externalURL"]  # there is no page per alert to link to
    assert entry["annotations"]["severity"] == "critical"
    assert entry["annotations"]["summary"].startswith("ALERT (critical) Brindlemoor Foods (BRMFD): 62 %")
    assert entry["annotations"]["summary_zh"].startswith("警报（严重） Brindlemoor Foods (BRMFD)：最近 60 分钟内")


def test_a_resolved_alert_says_when_it_ended(make_alert):
    end = make_alert().at + timedelta(hours=3)
    payload = payload_of(make_alert(state="resolved", transition=2, at=end, ends_at=end))
    assert payload["status"] == payload["alerts"][0]["status"] == "resolved"
    assert payload["alerts"][0]["endsAt"] == "2026-03-18T13:04:00Z"


def test_all_the_evidence_lies_beside_it_as_plain_json(make_alert):
    squall = json.loads(msgspec.json.encode(payload_of(make_alert())))["alerts"][0]["squall"]
    assert squall["evidence"] == json.loads(msgspec.json.encode(make_alert().evidence))
    assert (squall["id"], squall["transition"], squall["severity"]) == (make_alert().id, 1, "critical")
    assert squall["versions"] == {"squall": "0.1.0", "model": "minilm-2"}


def test_labels_stay_the_same_while_numbers_and_severity_change(make_alert):
    before, after = (
        payload_of(make_alert(severity=severity, observed={"share": share}))["alerts"][0]["labels"]
        for severity, share in (("warning", 0.5), ("critical", 0.7))
    )
    assert before == after
    assert not any(re.search(r"\d", value) for value in before.values())


def test_a_group_has_the_labels_that_all_share_and_fires_while_one_does(make_alert):
    other = make_alert(id="ff00", state="resolved", labels={"entity": "OSTMB", "sector": "Financials"})
    payload = payload_of(make_alert(), other)
    assert payload["groupLabels"] == {"alertname": "negative-surge"}
    assert payload["status"] == "firing"
    assert [entry["status"] for entry in payload["alerts"]] == ["firing", "resolved"]


def test_a_quotation_mark_in_a_label_keeps_the_group_key_readable(make_alert):
    assert 'entity="A\\"B\\\\C"' in payload_of(make_alert(labels={"entity": 'A"B\\C'}))["groupKey"]


@pytest.mark.parametrize("state", ["pending", "inactive"])
def test_nobody_is_called_for_what_does_not_fire(make_alert, state):
    with pytest.raises(ValueError, match=state):
        payload_of(make_alert(state=state))
    with pytest.raises(ValueError, match="none at all"):
        payload_of()


def test_the_idempotency_key_is_the_alert_and_its_transition(make_alert):
    assert idempotency_key(make_alert(transition=3)) == "a1b2c3d4e5f60718-3"
