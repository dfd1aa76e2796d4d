"""The dashboard of alerts: which rules fire, and whether what fires reaches people."""

from __future__ import annotations

from deploy.grafana.dashboards.board import Board, Row
from deploy.grafana.dashboards.panels import (
    GREEN,
    RED,
    YELLOW,
    ZERO_IS_GOOD,
    Column,
    Panel,
    Query,
    figure,
    lines,
    or_word,
    or_zero,
    quantile,
    rows,
    states,
)

_JOB = 'job=~"$job"'
_RATE = "[$__rate_interval]"
_ON_SYSTEM = 'alertstate="firing", system="squall", alertname!="SquallWatchdog"'
_NO_RECEIVER = ("receiver", "none had an alert yet")


def alerts() -> Board:
    """Return the dashboard."""
    return Board(
        uid="squall-alerts",
        title="Squall: Alerts",
        description="Alerts on companies by rule, their way to people, and the alarms on Squall itself.",
        rows=[
            Row("Now", _now()),
            Row("Rules", _rules()),
            Row("Delivery", _delivery()),
            Row("Squall itself", _itself()),
        ],
    )


def _now() -> list[Panel]:
    return [
        figure(
            "Firing",
            "Alerts on companies that are firing or calming down, watched or not: what receivers show.",
            Query(or_zero(f'sum(squall_alerts_open{{{_JOB}, state=~"firing|recovering"}})')),
            steps=((None, GREEN), (1, YELLOW)),
        ),
        figure(
            "Pending",
            "Alerts that wait for more evidence. Nobody is called for these.",
            Query(or_zero(f'sum(squall_alerts_open{{{_JOB}, state="pending"}})')),
        ),
        figure(
            "Waiting for delivery",
            "Transitions that a receiver has not taken yet. Above 0 for ten minutes: SquallAlertsWaiting.",
            Query(or_zero(f"sum(squall_alerts_waiting{{{_JOB}}})")),
            steps=ZERO_IS_GOOD,
        ),
        figure(
            "Suspended receivers",
            "Receivers that failed so often that they are tried only now and then: SquallReceiverSuspended.",
            Query(or_zero(f"sum(max by (receiver) (squall_receiver_suspended{{{_JOB}}}))")),
            steps=ZERO_IS_GOOD,
        ),
        figure(
            "Given up in a day",
            "Transitions that a receiver refused for good. They are kept; nobody was told this way.",
            Query(or_zero(f"sum(increase(squall_alerts_undelivered_total{{{_JOB}}}[1d]))")),
            steps=ZERO_IS_GOOD,
            decimals=0,
        ),
        figure(
            "Alarms on Squall",
            "Alarms on the system that are firing, the dead man's switch left out. The runbook has a section for each.",
            Query(or_zero(f"count(ALERTS{{{_ON_SYSTEM}}})")),
            steps=ZERO_IS_GOOD,
        ),
    ]


def _rules() -> list[Panel]:
    return [
        lines(
            "Open alerts by rule and state",
            "Alerts on all companies. Many at once with one rule: the market, or the model; see the desk's sectors "
            "and the model's drift.",
            Query(
                or_word(f"sum by (rule, state) (squall_alerts_open{{{_JOB}}})", "rule", "none"), "{{rule}} {{state}}"
            ),
        ),
        lines(
            "Transitions in an hour",
            "What the monitors wrote to squall.alerts.",
            Query(
                or_word(
                    f"sum by (rule, state, severity) (increase(squall_alerts_total{{{_JOB}}}[1h]))", "rule", "none"
                ),
                "{{rule}} {{state}} {{severity}}",
            ),
            stacked=True,
        ),
        lines(
            "Kept back, in an hour",
            "Alerts that called nobody: within a cooldown, silenced, or told by another alert of the company. Each is "
            "on squall.alerts with its evidence.",
            Query(
                or_word(f"sum by (by) (increase(squall_alerts_suppressed_total{{{_JOB}}}[1h]))", "by", "none"),
                "{{by}}",
            ),
            width=8,
        ),
        lines(
            "Silences",
            "In force now, by `squall silences add`: what they match calls nobody. Refused are records on the control "
            "topic that cannot be applied, and silence nothing: another program wrote them; a worker's log names them.",
            Query(or_zero(f"max(squall_silences_active{{{_JOB}}})"), "in force"),
            Query(or_zero(f"max(increase(squall_silences_refused_total{{{_JOB}}}[1d]))"), "refused in a day"),
            width=8,
        ),
        rows(
            "Watched companies with an alert",
            "As of now. The alert itself, with its evidence, is on squall.alerts and with the receivers.",
            [
                Query(
                    or_word(f"max by (entity, rule, severity) (squall_company_alert{{{_JOB}}} == 1)", "entity", "none")
                )
            ],
            [Column("entity", "Symbol"), Column("rule", "Rule"), Column("severity", "Severity")],
            key="entity",
            width=8,
            height=8,
        ),
    ]


def _delivery() -> list[Panel]:
    return [
        lines(
            "Written to taken",
            "From an alert's writing to Kafka to its taking by the receiver, 95 of 100. Above 30 s: "
            "SquallDeliverySlow.",
            Query(
                or_word(
                    f"{quantile(0.95, 'squall_delivery_seconds', by='receiver', selector=_JOB)} >= 0", *_NO_RECEIVER
                ),
                "{{receiver}}",
            ),
            unit="s",
            width=8,
            limits=((None, "transparent"), (30, RED)),
        ),
        lines(
            "Attempts by outcome, in an hour",
            "Retry: the receiver was away or busy, and is asked again. Refused: it says no for good, such as for a "
            "wrong token.",
            Query(
                or_word(
                    f"sum by (receiver, outcome) (increase(squall_delivery_attempts_total{{{_JOB}}}[1h]))",
                    *_NO_RECEIVER,
                ),
                "{{receiver}} {{outcome}}",
            ),
            width=8,
            stacked=True,
        ),
        lines(
            "Waiting by receiver",
            "Transitions that are not taken yet. A line that stays: look at this receiver, the others are not held up "
            "by it.",
            Query(
                or_word(f"sum by (receiver) (squall_alerts_waiting{{{_JOB}}})", *_NO_RECEIVER),
                "{{receiver}}",
            ),
            width=8,
        ),
        states(
            "Suspended",
            "When a receiver was left in peace after many failures.",
            Query(or_word(f"max by (receiver) (squall_receiver_suspended{{{_JOB}}})", *_NO_RECEIVER), "{{receiver}}"),
            {"0": "tried", "1": "suspended"},
            width=6,
        ),
        lines(
            "What became of transitions, in an hour",
            "Delivered; duplicate (delivered before a crash: not sent again); stale (overtaken by a later one); "
            "failed.",
            Query(
                or_word(
                    f"sum by (receiver, outcome) (increase(squall_alerts_delivered_total{{{_JOB}}}[1h]))", *_NO_RECEIVER
                ),
                "{{receiver}} {{outcome}}",
            ),
            width=6,
            stacked=True,
        ),
        lines(
            "Given up, in a day",
            "Transitions that are kept, but that nobody was told of this way: SquallAlertUndelivered. And single "
            "recipients that a mail server does not take, while others have the mail.",
            Query(
                or_word(
                    f"sum by (receiver) (increase(squall_alerts_undelivered_total{{{_JOB}}}[1d]))", "receiver", "none"
                ),
                "{{receiver}}",
            ),
            Query(
                or_word(
                    f"sum by (receiver) (increase(squall_mail_recipients_refused_total{{{_JOB}}}[1d]))",
                    "receiver",
                    "none",
                ),
                "{{receiver}}: recipients",
            ),
            width=6,
        ),
        lines(
            "Copies of firing alerts, in an hour",
            "An Alertmanager is sent what fires again and again, as Prometheus does; others are told once. 0 with "
            "alerts that fire: it does not get them. Not taken for minutes: there, what fires is over by itself.",
            Query(
                or_word(f"sum by (receiver) (increase(squall_alerts_resent_total{{{_JOB}}}[1h]))", *_NO_RECEIVER),
                "{{receiver}}",
            ),
            Query(
                or_word(
                    f"sum by (receiver) (increase(squall_alerts_resend_failed_total{{{_JOB}}}[1h]))", *_NO_RECEIVER
                ),
                "{{receiver}} not taken",
            ),
            Query(
                or_word(f"sum by (receiver) (increase(squall_alert_resend_errors_total{{{_JOB}}}[1h]))", *_NO_RECEIVER),
                "{{receiver}} defect",
            ),
            width=6,
        ),
    ]


def _itself() -> list[Panel]:
    return [
        lines(
            "Alarms on Squall, by severity",
            "The dead man's switch (none) is always there: if it is not, the alarms are not evaluated.",
            Query('count by (severity) (ALERTS{alertstate="firing", system="squall"})', "{{severity}}"),
            width=8,
        ),
        rows(
            "Alarms on Squall",
            "Firing and pending now. What to do: deploy/docs/RUNBOOK.md, under the alarm's name.",
            [Query('max by (alertname, alertstate, severity, job) (ALERTS{system="squall"})')],
            [
                Column("alertname", "Alarm"),
                Column("alertstate", "State"),
                Column("severity", "Severity"),
                Column("job", "Installation"),
            ],
            key="alertname",
            width=16,
        ),
    ]
