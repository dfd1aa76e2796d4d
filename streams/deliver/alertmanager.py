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
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, get_args

import msgspec
from yarl import URL

from streams.deliver import metrics
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
_MOST_BYTES = 512 * 1024
"""Of one request of copies; proxies often refuse more than a megabyte."""
_MOST_WAITING = 32
"""Transitions that wait for one member; beyond it, one that hangs gets what fires with the copies only."""
_CLOSE_WITHIN_S = 5.0
_T = TypeVar("_T")
_Labels = frozenset[tuple[str, str]]
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


class _Member:
    """One of the programs that make up an Alertmanager, and the queue before it.

    Args:
        url: where it takes alerts.
    """

    def __init__(self, url: URL) -> None:
        self.url = url
        # An end must not be overtaken by a copy that was made before it: one request at a time, in order.
        self.turn = asyncio.Lock()
        self.waiting = 0
        """Transitions that wait for their turn or an answer."""
        self.in_round = False
        """Whether it is being sent copies."""

    @property
    def name(self) -> str:
        """Scheme, host and port."""
        return str(self.url.origin())


class AlertmanagerChannel:
    """Tells all members of one Alertmanager, each in its own time: one that hangs holds up no other.

    Args:
        urls: their addresses, with a path if they have one.
        transport: how.
        external_url: address of this Squall.
        receiver: name of the receiver, for metrics.
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
        receiver: str,
        headers: Mapping[str, str] | None = None,
        resend_every_s: float = 60.0,
        severity_label: bool = False,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._members = [_Member(url.joinpath("api", "v2", "alerts")) for url in urls]
        self._transport = transport
        self._external_url = external_url
        self._receiver = receiver
        self._headers = dict(headers or {})
        self.resend_every_s = resend_every_s
        self._severity_label = severity_label
        self._now = now
        self._under_way: set[asyncio.Task[Any]] = set()

    @property
    def address(self) -> str:
        """Schemes, hosts and ports."""
        return ", ".join(member.name for member in self._members)

    async def send(self, alert: Alert) -> str:
        """Tell all members of one transition, once; return when the first has it. The others follow in the background.

        Raises:
            TryAgain: none took it, and one may later.
            Refused: none will.
        """
        problems: list[BaseException] = []
        async for told in self._as_they_end([self._tell(member, alert) for member in self._members]):
            if told.cancelled():
                problems.append(TryAgain("it was closed meanwhile"))
            elif problem := told.exception():
                problems.append(problem)
            else:
                return told.result()
        for problem in problems:
            if not isinstance(problem, TryAgain | Refused):
                raise problem
        later = [problem for problem in problems if isinstance(problem, TryAgain)]
        if later:
            raise TryAgain(later[0].why, min(problem.after_s for problem in later))
        raise problems[0]

    async def resend(self, what: Callable[[], Sequence[Alert]]) -> int:
        """Send copies of what fires; what goes wrong is logged and counted, and keeps no other alert from being sent.

        It returns when the first member has had its copies. One that is still at the last ones gets no new ones.

        Args:
            what: asked whenever it is the turn of copies, so that nothing that has ended since is among them.

        Returns:
            Of how many alerts a member took copies.
        """
        free = [member for member in self._members if not member.in_round]
        for member in self._members:
            if member not in free:
                self._not_sent(member, len(_newest_of_each(what())), "it is still at the last copies")
        problem: BaseException | None = None
        async for ended in self._as_they_end([self._round(member, what) for member in free]):
            if ended.cancelled():
                continue
            problem = ended.exception() or problem
            if not ended.exception() and ended.result():
                return ended.result()
        if problem is not None:
            raise problem
        return 0

    async def aclose(self) -> None:
        """Let what is under way come to its end, for a short time, and close the connections."""
        if self._under_way:
            _, late = await asyncio.wait(self._under_way, timeout=_CLOSE_WITHIN_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._transport.aclose()

    async def _as_they_end(self, works: Iterable[Coroutine[Any, Any, _T]]) -> AsyncIterator[asyncio.Task[_T]]:
        """Start works, and yield each when it ends. Who stops asking leaves the rest to go on; who is ended ends it."""
        tasks = [asyncio.create_task(work) for work in works]
        for task in tasks:
            self._under_way.add(task)
            task.add_done_callback(self._ended)
        pending = set(tasks)
        while pending:
            try:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            except asyncio.CancelledError:
                for task in pending:
                    task.cancel()
                raise
            for task in tasks:
                if task in done:
                    yield task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._under_way.discard(task)
        # Asked for in any case, or asyncio complains of errors of members that nobody waits for any more.
        if not task.cancelled() and (problem := task.exception()) and not isinstance(problem, TryAgain | Refused):
            _log.error("telling %s broke: %s", self.address, type(problem).__name__)

    async def _tell(self, member: _Member, alert: Alert) -> str:
        """Tell one member of one transition when it is its turn. Raises TryAgain or Refused."""
        try:
            if member.waiting >= _MOST_WAITING:
                raise TryAgain(f"{member.waiting} alerts wait for it already")
            member.waiting += 1
            try:
                async with member.turn:
                    return self._named_answer(
                        member, await self._post(member, [self._entries(alert)], {IDEMPOTENCY: idempotency_key(alert)})
                    )
            finally:
                member.waiting -= 1
        except (TryAgain, Refused) as problem:
            if len(self._members) > 1:
                _log.warning("%s did not take alert %s: %s", member.name, idempotency_key(alert), problem)
            raise

    def _named_answer(self, member: _Member, answer: str) -> str:
        return f"{member.name}: {answer}" if len(self._members) > 1 else answer

    async def _round(self, member: _Member, what: Callable[[], Sequence[Alert]]) -> int:
        """Send one member copies of all that fires, and return of how many alerts it took them."""
        member.in_round = True
        seen: set[_Labels] = set()
        sent, halvings = 0, _Halvings()
        try:
            while True:
                async with member.turn:  # between two requests, transitions have their turn
                    todo = {labels: one for labels, one in _newest_of_each(what()).items() if labels not in seen}
                    copies = _first_ones((labels, one, self._entries(one)) for labels, one in todo.items())
                    if not copies:
                        return sent
                    seen.update(labels for labels, _, _ in copies)
                    sent += await self._copy(member, [(one, entries) for _, one, entries in copies], halvings)
        finally:
            member.in_round = False

    async def _copy(self, member: _Member, copies: Sequence[tuple[Alert, bytes]], halvings: _Halvings) -> int:
        """Send copies in one request; if it is refused, in halves, so that one bad alert costs none but itself."""
        try:
            await self._post(member, [entries for _, entries in copies], {})
        except Refused as refusal:
            if len(copies) > 1 and halvings.left:
                halvings.left -= 1
                middle = len(copies) // 2
                first = await self._copy(member, copies[:middle], halvings)
                return first + await self._copy(member, copies[middle:], halvings)
            self._not_sent(member, len(copies), refusal.why, copies[0][0])
        except TryAgain as problem:
            self._not_sent(member, len(copies), problem.why, copies[0][0])
        else:
            return len(copies)
        return 0

    def _not_sent(self, member: _Member, number: int, why: str, first: Alert | None = None) -> None:
        metrics.RESEND_FAILED.labels(self._receiver).inc(number)
        which = f", the first is {first.id}" if first is not None and number > 1 else f": {first.id}" if first else ""
        _log.warning("%d alerts were not sent again to %s%s: %s", number, member.name, which, why)

    def _entries(self, alert: Alert) -> bytes:
        """Return what Alertmanager is told of one alert at this moment: JSON objects, a comma between two."""
        entries = postable(
            alert,
            now=self._now(),
            lasts_s=_MISSED * self.resend_every_s,
            external_url=self._external_url,
            severity_label=self._severity_label,
        )
        return msgspec.json.encode(entries)[1:-1]

    async def _post(self, member: _Member, entries: Iterable[bytes], headers: Mapping[str, str]) -> str:
        return await self._transport.post(member.url, b"[" + b",".join(entries) + b"]", {**self._headers, **headers})


@dataclass(slots=True)
class _Halvings:
    """How often requests may still be halved in one round: if everything is refused, it is no single alert's fault."""

    left: int = 200


def _first_ones(copies: Iterable[tuple[_Labels, Alert, bytes]]) -> list[tuple[_Labels, Alert, bytes]]:
    """Return the first copies that fit into one request; one alone may be larger."""
    chosen: list[tuple[_Labels, Alert, bytes]] = []
    size = 0
    for copy in copies:
        size += len(copy[2]) + 1
        if chosen and (len(chosen) >= _MOST_AT_ONCE or size > _MOST_BYTES):
            break
        chosen.append(copy)
    return chosen


def _newest_of_each(alerts: Iterable[Alert]) -> dict[_Labels, Alert]:
    """Return one alert for a set of labels: for Alertmanager that is one alert, and the newest says how it stands."""
    newest: dict[_Labels, Alert] = {}
    for alert in alerts:
        labels = frozenset(alert.labels.items() | {("rule", alert.rule)})
        if labels not in newest or newest[labels].at <= alert.at:
            newest[labels] = alert
    return newest


def basic_login(username: str, password: str) -> str:
    """Return the value of `Authorization` for a login by name and password. Pure."""
    return "Basic " + b64encode(f"{username}:{password}".encode()).decode()
