"""A receiver that answers what it is told to and keeps what it is sent, and sinks whose pauses take no time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web
from yarl import URL

from streams.deliver.attempts import Channel
from streams.deliver.circuit import CircuitOptions
from streams.deliver.patient import PatientSink
from streams.deliver.retry import Patience
from streams.deliver.transport import Advice, HttpTransport
from streams.deliver.webhook import WebhookChannel

PATH = "/services/T000/hidden-path"
ADVICE = Advice("delivery.webhook_url", "delivery.webhook_token", "Alertmanager's webhook version 4")
NEVER_OPEN = CircuitOptions(open_after=1_000_000)

Answer = web.StreamResponse | Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Taken:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


@dataclass
class Recording:
    """An HTTP server that answers in order what `answers` holds, then 200."""

    answers: list[Answer] = field(default_factory=list)
    requests: list[Taken] = field(default_factory=list)
    origin: str = ""

    @property
    def url(self) -> str:
        return self.origin + PATH

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(Taken(request.path_qs, dict(request.headers), await request.read()))
        answer = self.answers.pop(0) if self.answers else web.Response()
        return answer if isinstance(answer, web.StreamResponse) else await answer(request)


@asynccontextmanager
async def recording(*, ssl_context: Any = None) -> AsyncIterator[Recording]:
    """Run a server on a free port of the loopback interface."""
    double = Recording()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", double.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=ssl_context).start()
    double.origin = f"{'https' if ssl_context else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield double
    finally:
        await runner.cleanup()


@dataclass
class Clock:
    """Time that passes when somebody sleeps."""

    now_s: float = 0.0
    pauses: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now_s += seconds

    def read(self) -> float:
        return self.now_s


def webhook_channel(url: str, *, token: str | None = None, timeout_s: float = 5.0, **options: Any) -> WebhookChannel:
    transport = HttpTransport(
        timeout_s=timeout_s,
        allow_private=True,
        advice=ADVICE,
        secrets=[token] if token else [],
        now=lambda: datetime(2026, 3, 18, 10, 4, tzinfo=UTC),
    )
    options = {"receiver": "webhook", "external_url": "http://squall.example", "where": ADVICE.login, **options}
    return WebhookChannel(URL(url), transport, token=token, **options)


def patient(channel: Channel, clock: Clock | None = None, **options: Any) -> PatientSink:
    """A sink with the longest pauses that jitter can draw, over a clock that sleeping moves."""
    if clock is not None:
        options = {"sleep": clock.sleep, "monotonic_s": clock.read, **options}
    return PatientSink(
        options.pop("receiver", "webhook"),
        channel,
        patience=options.pop("patience", Patience()),
        circuit=options.pop("circuit", NEVER_OPEN),
        luck=options.pop("luck", lambda: 1.0),
        **options,
    )
