"""What delivery counts, for Prometheus."""

from __future__ import annotations

from typing import Literal, get_args

from prometheus_client import Counter, Gauge, Histogram

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
ATTEMPTS = Counter(
    "squall_delivery_attempts_total",
    "Attempts to hand an alert to a receiver, by what came of them: taken, retry, refused.",
    ["receiver", "outcome"],
)
SECONDS = Histogram(
    "squall_delivery_seconds",
    "From the moment at which Kafka had an alert to the moment at which a receiver took it.",
    ["receiver"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2, 5, 15, 60, 300, 1800, 7200, 21600),
)
SUSPENDED = Gauge(
    "squall_receiver_suspended",
    "1 while a receiver has failed so often that it is called by one alert at a time: its circuit is open.",
    ["receiver"],
)
UNDELIVERED = Counter(
    "squall_alerts_undelivered_total",
    "Alert transitions that were given up for a receiver and kept among the dead letters.",
    ["receiver"],
)
RESENT = Counter(
    "squall_alerts_resent_total",
    "Copies of alerts that a receiver is sent for as long as they fire.",
    ["receiver"],
)
RESEND_ERRORS = Counter(
    "squall_alert_resend_errors_total",
    "Times at which what fires could not be sent again because of a defect in the receiver's code.",
    ["receiver"],
)
RESEND_FAILED = Counter(
    "squall_alerts_resend_failed_total",
    "Copies of firing alerts that a member of a receiver did not take.",
    ["receiver"],
)
MAIL_REFUSED = Counter(
    "squall_mail_recipients_refused_total",
    "Recipients of a mail that the mail server refused for good, while others may have it.",
    ["receiver"],
)


def begin(receiver: str) -> None:
    """Show a receiver from the start, with zeros: of a series that is born with its first event, no rate shows it."""
    for outcome in get_args(Outcome):
        DELIVERED.labels(receiver=receiver, outcome=outcome)
    for outcome in ("taken", "retry", "refused"):
        ATTEMPTS.labels(receiver, outcome)
    for metric in (WAITING, SECONDS, SUSPENDED, UNDELIVERED, RESENT, RESEND_ERRORS, RESEND_FAILED, MAIL_REFUSED):
        metric.labels(receiver)


def count(receiver: str, outcome: Outcome) -> None:
    """Count one transition."""
    DELIVERED.labels(receiver=receiver, outcome=outcome).inc()
