"""What delivery counts, for Prometheus."""

from __future__ import annotations

from typing import Literal

from prometheus_client import Counter, Gauge

Outcome = Literal["delivered", "failed", "duplicate", "stale"]
"""`failed`: the receiver refused it for good, or every attempt failed. `duplicate`: this transition had been
delivered before."""

DELIVERED = Counter(
    "squall_alerts_delivered_total",
    "Alert transitions handed to a receiver, by what became of them.",
    ["receiver", "outcome"],
)
WAITING = Gauge(
    "squall_alerts_waiting",
    "Alert transitions that wait for a receiver.",
    ["receiver"],
)


def count(receiver: str, outcome: Outcome) -> None:
    """Count one transition."""
    DELIVERED.labels(receiver=receiver, outcome=outcome).inc()
