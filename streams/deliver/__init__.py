"""Alerts to people: the terminal and one generic webhook; retries, and nothing sent twice.

The app calls `deliverer(settings.delivery)` once, `submit(alert)` for each transition and `aclose()` at the end.
"""

from __future__ import annotations

from rich.console import Console

from streams.config import DeliverySettings
from streams.deliver.outbox import Deliverer, Outbox
from streams.deliver.payload import alertmanager_payload
from streams.deliver.sinks import AlertSink, ListSink, TerminalSink
from streams.deliver.text import alert_block, alert_line
from streams.deliver.webhook import Webhook

__all__ = [
    "AlertSink",
    "Deliverer",
    "ListSink",
    "Outbox",
    "TerminalSink",
    "Webhook",
    "alert_block",
    "alert_line",
    "alertmanager_payload",
    "deliverer",
]

_WEBHOOK_LANES = 4
"""Alerts under way at once: enough that one slow answer delays few others, too few to press a receiver."""


def deliverer(settings: DeliverySettings, *, console: Console | None = None) -> Deliverer:
    """Return the receivers that the configuration names.

    Args:
        settings: the `delivery` section.
        console: where alerts are printed; standard output without it.

    Raises:
        ConfigError: the webhook's address or token cannot be used.
    """
    outboxes = []
    if settings.terminal:
        outboxes.append(Outbox("terminal", TerminalSink(console)))
    if settings.webhook_url is not None:
        webhook = Webhook(
            settings.webhook_url.get_secret_value(),
            token=settings.webhook_token,
            timeout_s=settings.webhook_timeout_s,
            external_url=settings.external_url,
        )
        outboxes.append(Outbox("webhook", webhook, lanes=_WEBHOOK_LANES))
    return Deliverer(*outboxes)
