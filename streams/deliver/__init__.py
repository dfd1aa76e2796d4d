"""Alerts to people: the terminal, and receivers that are tried until they have what they are sent.

    routes     who is called for which alert        book       what a receiver was told of, and what still fires
    build      receivers of the configuration       patient    attempts, pauses and the circuit breaker, for all of them
    webhook, alertmanager, chat, pagerduty, mail    one attempt each, in the shape of the receiver
    transport, addresses                            HTTP, and which addresses may be called
    templates, view, text, words                    what a person reads

The app calls `sinks(settings.delivery)` once, and hands each transition to those that the routes lead to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.deliver.payload import alertmanager_payload
from streams.deliver.sinks import AlertSink, ListSink, TerminalSink
from streams.deliver.text import alert_block, alert_line
from streams.delivery_sections import TERMINAL, DeliverySettings

if TYPE_CHECKING:
    from rich.console import Console

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
        ConfigError: an address, a secret or a template of a receiver cannot be used.
    """
    named: dict[str, AlertSink] = {}
    if settings.terminal:
        named[TERMINAL] = TerminalSink(console)
    if settings.all_receivers:
        # Only here: its HTTP client is half of what a command that delivers nothing would load.
        from streams.deliver.build import LANES, make_channel
        from streams.deliver.patient import PatientSink
        from streams.deliver.retry import Patience

        for name, receiver in settings.all_receivers.items():
            channel = make_channel(settings, name)
            patience = Patience(retry_for_s=settings.retry_for_s)
            named[name] = PatientSink(name, channel, lanes=LANES[receiver.type], patience=patience)
    return named
