"""PagerDuty, Events API v2: an alert is one incident, whatever becomes of it, by its id.

Shape: https://developer.pagerduty.com/docs/events-api-v2-overview.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from yarl import URL

from streams.deliver.chinese import alert_line_chinese
from streams.deliver.payload import idempotency_key, rfc3339
from streams.deliver.templates import Template
from streams.deliver.text import alert_line, topics_named
from streams.deliver.transport import HttpTransport
from streams.deliver.view import view
from streams.deliver.webhook import IDEMPOTENCY
from streams.deliver.words import clean
from streams.records import Alert

Action = Literal["trigger", "acknowledge", "resolve"]

_MOST_SUMMARY = 1_024
_SEVERITIES = {"info": "info", "warning": "warning", "critical": "critical"}


class PagerDutyChannel:
    """Triggers and resolves incidents.

    Args:
        url: the Events API.
        transport: how.
        routing_key: integration key of the service.
        summary: template of the summary.
        external_url: address of this Squall.
    """

    def __init__(
        self, url: URL, transport: HttpTransport, *, routing_key: str, summary: Template, external_url: str
    ) -> None:
        self._url = url
        self._transport = transport
        self._routing_key = routing_key
        self._summary = summary
        self._external_url = external_url

    @property
    def address(self) -> str:
        """Scheme, host and port."""
        return str(self._url.origin())

    async def send(self, alert: Alert) -> str:
        """Trigger or resolve, once. Raises what `HttpTransport.post` does."""
        action: Action = "trigger" if alert.state == "firing" else "resolve"
        summary = self._summary.fill(view(alert, external_url=self._external_url))
        event = self._event(alert.id, action) | {
            "client": "Squall",
            "client_url": self._external_url,
            "payload": {
                "summary": clean(summary, most=_MOST_SUMMARY),
                "source": alert.labels.get("entity") or "squall",
                "severity": _SEVERITIES[alert.severity],
                "timestamp": rfc3339(alert.at),
                "component": alert.labels.get("entity") or "squall",
                "group": alert.labels.get("sector") or "squall",
                "class": alert.rule,
                "custom_details": {
                    "summary": alert_line(alert),
                    "summary_zh": alert_line_chinese(alert),
                    "topics": topics_named(alert),
                    "alert": alert.id,
                    "transition": alert.transition,
                    "replay": alert.replay,
                    **{clean(key): clean(value) for key, value in alert.labels.items()},
                },
            },
        }
        return await self._post(event, idempotency_key(alert))

    async def acknowledge(self, alert_id: str) -> str:
        """Say that somebody looks at it, so that PagerDuty calls nobody else. Raises what `HttpTransport.post` does."""
        return await self._post(self._event(alert_id, "acknowledge"), f"{alert_id}-acknowledge")

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    def _event(self, alert_id: str, action: Action) -> dict[str, Any]:
        return {"routing_key": self._routing_key, "event_action": action, "dedup_key": alert_id}

    async def _post(self, event: dict[str, Any], key: str) -> str:
        return await self._transport.post(self._url, msgspec.json.encode(event), {IDEMPOTENCY: key})
