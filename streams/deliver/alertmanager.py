"""Prometheus Alertmanager, API v2: what fires is sent again and again, as Prometheus does.

An alert ends in Alertmanager when it is told so, or when nothing has been heard of it for four times the usual pause:
if Squall is gone for good, nothing stays red for ever. The members of a cluster do not tell each other of alerts, so
each is sent everything; an alert is taken when one of them has it, and the others get it with the next copy. One that
missed an end hears of no more copies, and ends the alert by itself.

What identifies an alert are its labels, which hold no numbers. The severity is an annotation, or it would be another
alert when it rises; `severity_label` makes it a label all the same, and ends the one before.
"""

from __future__ import annotations

import asyncio
import logging
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import msgspec
from yarl import URL

from streams.deliver.attempts import Refused, TryAgain
from streams.deliver.chinese import alert_line_chinese
from streams.deliver.payload import idempotency_key, rfc3339
from streams.deliver.text import alert_line, message_words, provenance, topics_named, what_happened
from streams.deliver.transport import HttpTransport
from streams.deliver.webhook import IDEMPOTENCY
from streams.records import Alert, Severity

_log = logging.getLogger(__name__)

_MISSED = 4
"""So many copies may be missing before an alert counts as over; Prometheus says the same."""
_MOST_STORIES = 3
_MOST_AT_ONCE = 500
_ORDER: tuple[Severity, ...] = get_args(Severity)


def postable(
    alert: Alert, *, now: datetime, lasts_s: float, external_url: str, severity_label: bool = False
) -> list[dict[str, Any]]:
    """Return what Alertmanager is told of one alert: one entry, or more if its severity is a label. Pure.

    Args:
        alert: firing or resolved.
        now: the present time, UTC; an end in the future would be none.
        lasts_s: how long a firing one stays without another copy.
        external_url: where this Squall is reached.
        severity_label: send the severity as a label.
    """
    firing = alert.state == "firing"
    end = now + timedelta(seconds=lasts_s) if firing else min(alert.ends_at or alert.at, now)
    labels: dict[str, str] = _named({"alertname": alert.rule, **alert.labels})
    entry: dict[str, Any] = {
        "labels": labels,
        "annotations": _named(_annotations(alert)),
        # Alertmanager refuses what begins after its end.
        "startsAt": rfc3339(min(alert.fired_at or alert.starts_at, end, now)),
        "endsAt": rfc3339(end),
        "generatorURL": external_url,
    }
    if not severity_label:
        return [entry]
    lower = _ORDER[: _ORDER.index(alert.severity)]
    ended = rfc3339(min(end, now))
    return [
        *(entry | {"labels": {**labels, "severity": one}, "endsAt": ended} for one in lower),
        entry | {"labels": {**labels, "severity": alert.severity}},
    ]


def _named(values: Mapping[str, str]) -> dict[str, str]:
    """Write names as Alertmanager takes them: letters, digits and underscores; it refuses the whole request else."""
    return {re.sub(r"^(?=\d)|[^a-zA-Z0-9_]", "_", name): value for name, value in values.items()}


def _annotations(alert: Alert) -> dict[str, str]:
    shown = alert.evidence.messages[:_MOST_STORIES]
    stories = "\n".join(f"{message_words(one)} ({provenance(one, alert)})" for one in shown)
    return {
        **alert.annotations,
        "summary": alert_line(alert),
        "summary_zh": alert_line_chinese(alert),
        "description": f"{what_happened(alert)}. {alert.evidence.in_words}".strip(),
        "topics": topics_named(alert),
        "stories": stories,
        "severity": alert.severity,
        "alert_id": alert.id,
        "replay": alert.replay,
    }


class AlertmanagerChannel:
    """Tells all members of one Alertmanager.

    Args:
        urls: their addresses, with a path if they have one.
        transport: how.
        external_url: address of this Squall.
        headers: for a login.
        resend_every_s: time between two copies of a firing alert.
        severity_label: send the severity as a label.
        now: reads the clock.
    """

    def __init__(
        self,
        urls: Sequence[URL],
        transport: HttpTransport,
        *,
        external_url: str,
        headers: Mapping[str, str] | None = None,
        resend_every_s: float = 60.0,
        severity_label: bool = False,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._urls = [url.joinpath("api", "v2", "alerts") for url in urls]
        self._transport = transport
        self._external_url = external_url
        self._headers = dict(headers or {})
        self.resend_every_s = resend_every_s
        self._severity_label = severity_label
        self._now = now
        # An end must not be overtaken by a copy that was made before it: one request at a time.
        self._one_at_a_time = asyncio.Lock()

    @property
    def address(self) -> str:
        """Schemes, hosts and ports."""
        return ", ".join(str(url.origin()) for url in self._urls)

    async def send(self, alert: Alert) -> str:
        """Tell all members of one transition, once.

        Raises:
            TryAgain: none took it, and one may later.
            Refused: none will.
        """
        async with self._one_at_a_time:
            return await self._tell([alert], {IDEMPOTENCY: idempotency_key(alert)})

    async def resend(self, what: Callable[[], Sequence[Alert]]) -> int:
        """Send copies of what fires, and return of how many alerts; what goes wrong is only logged.

        Args:
            what: asked when it is the turn of the copies, so that nothing that has ended since is among them.
        """
        async with self._one_at_a_time:
            alerts = _newest_of_each(what())
            for first in range(0, len(alerts), _MOST_AT_ONCE):
                try:
                    await self._tell(alerts[first : first + _MOST_AT_ONCE], {})
                except (TryAgain, Refused) as problem:
                    _log.warning("%d alerts were not sent again to %s: %s", len(alerts), self.address, problem)
                    return first
            return len(alerts)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    async def _tell(self, alerts: Sequence[Alert], headers: Mapping[str, str]) -> str:
        lasts_s = _MISSED * self.resend_every_s
        now = self._now()
        entries = [
            entry
            for alert in alerts
            for entry in postable(
                alert, now=now, lasts_s=lasts_s, external_url=self._external_url, severity_label=self._severity_label
            )
        ]
        body = msgspec.json.encode(entries)
        posts = (self._transport.post(url, body, {**self._headers, **headers}) for url in self._urls)
        results = await asyncio.gather(*posts, return_exceptions=True)
        taken: list[str] = []
        problems: list[BaseException] = []
        for url, result in zip(self._urls, results, strict=True):
            if isinstance(result, BaseException):
                problems.append(result)
                if len(self._urls) > 1:
                    _log.warning("%s did not take %d alerts: %s", url.origin(), len(alerts), result)
            else:
                taken.append(f"{url.origin()}: {result}" if len(self._urls) > 1 else result)
        if taken:
            return "; ".join(taken)
        for problem in problems:
            if not isinstance(problem, TryAgain | Refused):
                raise problem
        later = [problem for problem in problems if isinstance(problem, TryAgain)]
        if later:
            raise TryAgain(later[0].why, min(problem.after_s for problem in later))
        raise problems[0]


def _newest_of_each(alerts: Iterable[Alert]) -> list[Alert]:
    """Return one alert for a set of labels: for Alertmanager that is one alert, and the newest says how it stands."""
    newest: dict[frozenset[tuple[str, str]], Alert] = {}
    for alert in alerts:
        labels = frozenset(alert.labels.items() | {("rule", alert.rule)})
        if labels not in newest or newest[labels].at <= alert.at:
            newest[labels] = alert
    return list(newest.values())


def basic_login(username: str, password: str) -> str:
    """Return the value of `Authorization` for a login by name and password. Pure."""
    return "Basic " + b64encode(f"{username}:{password}".encode()).decode()
