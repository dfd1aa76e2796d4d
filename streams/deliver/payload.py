"""Alerts in the shape of Alertmanager's webhook, version 4, with Squall's evidence beside it. Pure.

Shape: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config. Existing receivers read the fields
they know; `squall` in each alert is what they may read beyond them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from streams.deliver.chinese import alert_line_chinese
from streams.deliver.sinks import DELIVERED_STATES
from streams.deliver.text import alert_line, what_happened
from streams.records import Alert

WEBHOOK_VERSION = "4"
NOT_ENDED = "0001-01-01T00:00:00Z"
"""Go's zero time: what Alertmanager sends as `endsAt` while an alert fires."""


def alertmanager_payload(alerts: Sequence[Alert], *, receiver: str, external_url: str) -> dict[str, Any]:
    """Return one notification for a group of alerts, ready for JSON.

    Labels say what an alert is about and hold no numbers; severity and all that changes while it fires is in the
    annotations and in `squall`, so that a receiver that groups by labels never takes one alert for two.

    Args:
        alerts: firing or resolved ones; they are grouped by what they have in common.
        receiver: name of the receiver, as Alertmanager names its own.
        external_url: where this Squall is reached.

    Raises:
        ValueError: there is no alert, or one is neither firing nor resolved: nobody is called for those.
    """
    unsent = [alert.state for alert in alerts if alert.state not in DELIVERED_STATES]
    if unsent or not alerts:
        msg = f"a webhook is sent for firing and resolved alerts only, got {unsent or 'none at all'}"
        raise ValueError(msg)
    entries = [_entry(alert, external_url) for alert in alerts]
    labels = _common([entry["labels"] for entry in entries])
    return {
        "version": WEBHOOK_VERSION,
        "groupKey": "{}:" + _matchers(labels),
        "truncatedAlerts": 0,
        "status": "firing" if any(alert.state == "firing" for alert in alerts) else "resolved",
        "receiver": receiver,
        "groupLabels": labels,
        "commonLabels": labels,
        "commonAnnotations": _common([entry["annotations"] for entry in entries]),
        "externalURL": external_url,
        "alerts": entries,
    }


def idempotency_key(alert: Alert) -> str:
    """Return what a receiver may de-duplicate by: the same for every attempt and every replay."""
    return f"{alert.id}-{alert.transition}"


def _entry(alert: Alert, external_url: str) -> dict[str, Any]:
    ended = alert.state == "resolved"
    return {
        "status": alert.state,
        "labels": {"alertname": alert.rule, **alert.labels},
        "annotations": {
            "summary": alert_line(alert),
            "summary_zh": alert_line_chinese(alert),
            "description": f"{what_happened(alert)}. {alert.evidence.in_words}".strip(),
            **alert.annotations,
            "severity": alert.severity,
        },
        "startsAt": rfc3339(alert.fired_at or alert.starts_at),
        "endsAt": rfc3339(alert.ends_at or alert.at) if ended else NOT_ENDED,
        "generatorURL": external_url,
        "fingerprint": alert.id,
        "squall": {
            "schema": alert.schema,
            "id": alert.id,
            "transition": alert.transition,
            "state": alert.state,
            "severity": alert.severity,
            "rule": alert.rule,
            "rule_version": alert.rule_version,
            "at": rfc3339(alert.at),
            "starts_at": rfc3339(alert.starts_at),
            "evidence": msgspec.to_builtins(alert.evidence),
            "versions": dict(alert.versions),
            "replay": alert.replay,
        },
    }


def rfc3339(time: datetime) -> str:
    """Return a UTC time as receivers written in Go read it: `2026-03-18T09:12:00Z`."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _common(maps: Sequence[Mapping[str, str]]) -> dict[str, str]:
    first, *others = maps
    return {key: value for key, value in sorted(first.items()) if all(other.get(key) == value for other in others)}


def _matchers(labels: Mapping[str, str]) -> str:
    quoted = (f'{key}="{_escaped(value)}"' for key, value in sorted(labels.items()))
    return "{" + ", ".join(quoted) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
