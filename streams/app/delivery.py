"""The delivery of a worker: one loop for each receiver of the configuration, with its routes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from streams.app.deliverer import DeliveryLoop
from streams.app.sender import Sender
from streams.app.undelivered import keeper
from streams.assembly import company_sectors
from streams.config import Settings
from streams.deliver.routes import Routes
from streams.deliver.sinks import AlertSink
from streams.delivery_sections import TERMINAL


def delivery_loops(
    settings: Settings, receivers: Mapping[str, AlertSink], *, options: dict[str, Any], sender: Sender
) -> list[DeliveryLoop]:
    """Return the loops that take alerts to receivers; none is running yet.

    Args:
        settings: the configuration.
        receivers: as `streams.deliver.sinks` made them.
        options: aiokafka client options.
        sender: takes what is given up to the dead letters.

    Raises:
        InputError: a table of companies cannot be read.
    """
    delivery = settings.delivery
    routes = Routes.of(delivery, sectors=company_sectors(settings) if delivery.routes else None)
    keep = keeper(sender, settings.topics.dead_letters)
    loops = []
    for name, sink in receivers.items():
        routed = name != TERMINAL and (delivery.routes or delivery.default_receivers is not None)
        loops.append(
            DeliveryLoop(
                name,
                sink,
                options=options,
                group=delivery_group(settings, name),
                topic=settings.topics.alerts,
                leads_here=partial(routes.lead_to, name) if routed else None,
                keep=keep if name != TERMINAL else None,
                look_back_s=delivery.look_back_s,
                membership=_membership(settings),
            )
        )
    return loops


def delivery_group(settings: Settings, receiver: str) -> str:
    """Return the consumer group that delivers to a receiver."""
    return f"{settings.topics.prefix}-deliver-{receiver}"


def _membership(settings: Settings) -> dict[str, Any]:
    """Return how a loop belongs to its group: as the worker's other consumers do."""
    timeout_ms = round(settings.worker.session_timeout_s * 1000)
    options: dict[str, Any] = {"session_timeout_ms": timeout_ms, "heartbeat_interval_ms": timeout_ms // 5}
    if settings.worker.instance_id is not None:
        options["group_instance_id"] = settings.worker.instance_id
    return options
