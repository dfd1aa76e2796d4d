"""Alerts to people: the terminal and one generic webhook, which tries until its receiver is back.

The app calls `sinks(settings.delivery)` once, and hands each transition to each of them.
"""

from __future__ import annotations

from rich.console import Console

from streams.config import DeliverySettings
from streams.deliver.payload import alertmanager_payload
from streams.deliver.sinks import AlertSink, ListSink, TerminalSink
from streams.deliver.text import alert_block, alert_line

__all__ = [
    "AlertSink",
    "ListSink",
    "TerminalSink",
    "alert_block",
    "alert_line",
    "alertmanager_payload",
    "sinks",
]


def sinks(settings: DeliverySettings, *, console: Console | None = None) -> dict[str, AlertSink]:
    """Return the receivers that the configuration names, by the name that logs and metrics call them.

    Args:
        settings: the `delivery` section.
        console: where alerts are printed; standard output without it.

    Raises:
        ConfigError: the webhook's address or token cannot be used.
    """
    named: dict[str, AlertSink] = {}
    if settings.terminal:
        named["terminal"] = TerminalSink(console)
    if settings.webhook_url is not None:
        # Only here: its HTTP client is half of what a command that delivers nothing would load.
        from streams.deliver.webhook import Webhook

        named["webhook"] = Webhook(
            settings.webhook_url.get_secret_value(),
            token=settings.webhook_token,
            timeout_s=settings.webhook_timeout_s,
            external_url=settings.external_url,
        )
    return named
