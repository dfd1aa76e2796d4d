"""The webhook against a real HTTP server; pauses are recorded, not slept."""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime

import pytest
from aiohttp import web
from pydantic import SecretStr

from streams.deliver.webhook import Webhook
from streams.errors import ConfigError, DeliveryError

TOKEN = "s3cret-t0ken"  # noqa: S105 - invented
PATH = "/services/T000/hidden-path"

Answer = web.Response | Callable[[web.Request], Awaitable[web.StreamResponse]]


class Receiver:
    """An HTTP server that answers what it is told to, in order, and keeps what it is sent."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.requests: list[tuple[dict[str, str], dict]] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((dict(request.headers), await request.json()))
        answer = self.answers.pop(0) if self.answers else web.Response()
        return answer if isinstance(answer, web.Response) else await answer(request)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    double = Receiver()
    app = web.Application()
    app.router.add_post("/{tail:.*}", double.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    double.url = f"http://{host}:{port}{PATH}"
    yield double
    await runner.cleanup()


@pytest.fixture
async def pauses() -> list[float]:
    return []


@pytest.fixture
async def webhook(receiver, pauses) -> AsyncIterator[Webhook]:
    hook = make_webhook(receiver.url, pauses)
    yield hook
    await hook.aclose()


def make_webhook(url: str, pauses: list[float], **options) -> Webhook:
    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    options = {"token": SecretStr(TOKEN), "sleep": sleep, "timeout_s": 5.0, **options}
    return Webhook(
        url, now=lambda: datetime(2026, 3, 18, 10, 4, tzinfo=UTC), monotonic_s=lambda: sum(pauses), **options
    )


async def test_an_alert_arrives_with_its_token_and_its_idempotency_key(webhook, receiver, make_alert):
    await webhook.deliver(make_alert())
    ((headers, payload),) = receiver.requests
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert headers["Idempotency-Key"] == "a1b2c3d4e5f60718-1"
    assert headers["Content-Type"] == "application/json"
    assert payload["alerts"][0]["fingerprint"] == "a1b2c3d4e5f60718"


async def test_no_token_no_authorization(receiver, pauses, make_alert):
    hook = make_webhook(receiver.url, pauses, token=None)
    await hook.deliver(make_alert())
    await hook.aclose()
    assert "Authorization" not in receiver.requests[0][0]


@pytest.mark.parametrize("state", ["pending", "inactive"])
async def test_pending_and_inactive_are_not_sent(webhook, receiver, make_alert, state):
    await webhook.deliver(make_alert(state=state))
    assert receiver.requests == []


async def test_a_server_error_is_tried_again_with_growing_pauses_and_the_same_key(
    webhook, receiver, pauses, make_alert
):
    receiver.answers = [web.Response(status=500), web.Response(status=503)]
    await webhook.deliver(make_alert())
    assert pauses == [1.0, 2.0]
    assert len(receiver.requests) == 3
    assert len({headers["Idempotency-Key"] for headers, _ in receiver.requests}) == 1
    assert receiver.requests[0][1] == receiver.requests[2][1]


async def test_after_the_last_attempt_it_says_what_the_last_answer_was(receiver, pauses, make_alert):
    hook = make_webhook(receiver.url, pauses, retry_for_s=3.0, most_wait_s=1.5)
    receiver.answers = [web.Response(status=502, text="bad gateway") for _ in range(3)]
    with pytest.raises(DeliveryError, match=r"in 3 attempts over 3 s; the last: it answered 502 \(bad gateway\)"):
        await hook.deliver(make_alert())
    await hook.aclose()
    assert pauses == [1.0, 1.5]


async def test_a_receiver_that_is_down_for_hours_gets_the_alert_when_it_is_back(webhook, receiver, pauses, make_alert):
    receiver.answers = [web.Response(status=503) for _ in range(300)]
    await webhook.deliver(make_alert())
    assert pauses[:7] == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0]
    assert set(pauses[7:]) == {60.0}
    assert 4.5 * 3600 < sum(pauses) < 6 * 3600
    assert len(receiver.requests) == 301


@pytest.mark.parametrize(("status", "advice"), [(401, "webhook_token"), (403, "webhook_token"), (404, "webhook_url")])
async def test_what_a_desk_can_mend_is_tried_again_and_says_what_to_check(
    webhook, receiver, pauses, make_alert, caplog, status, advice
):
    receiver.answers = [web.Response(status=status, text="no such integration")]
    await webhook.deliver(make_alert())
    assert len(receiver.requests) == 2
    assert pauses == [1.0]
    assert f"it answered {status} (no such integration); check delivery.{advice}" in caplog.text


@pytest.mark.parametrize("status", [400, 405, 410, 413, 422])
async def test_any_other_refusal_is_final_and_says_what_to_check(webhook, receiver, pauses, make_alert, status):
    receiver.answers = [web.Response(status=status, text="what is this")]
    with pytest.raises(DeliveryError, match="webhook version 4") as caught:
        await webhook.deliver(make_alert())
    assert "what is this" in str(caught.value)
    assert len(receiver.requests) == 1
    assert pauses == []


async def test_too_many_requests_waits_as_long_as_it_is_told(webhook, receiver, pauses, make_alert):
    receiver.answers = [web.Response(status=429, headers={"Retry-After": "17"})]
    await webhook.deliver(make_alert())
    assert pauses == [17.0]
    assert len(receiver.requests) == 2


@pytest.mark.parametrize(
    ("header", "pause"),
    [
        ("Wed, 18 Mar 2026 10:04:30 GMT", 30.0),
        ("Wed, 18 Mar 2026 09:00:00 GMT", 1.0),  # in the past: the own schedule holds
        ("soon", 1.0),
        ("-5", 1.0),
        ("0", 1.0),
        ("999999999999", 900.0),
    ],
)
async def test_retry_after_may_be_a_date_and_is_bounded(webhook, receiver, pauses, make_alert, header, pause):
    receiver.answers = [web.Response(status=503, headers={"Retry-After": header})]
    await webhook.deliver(make_alert())
    assert pauses == [pause]


async def test_a_receiver_that_hangs_is_tried_again(receiver, pauses, make_alert):
    async def hang(request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    hook = make_webhook(receiver.url, pauses, timeout_s=0.2)
    receiver.answers = [hang]
    await hook.deliver(make_alert())
    await hook.aclose()
    assert pauses == [1.0]
    assert len(receiver.requests) == 2


async def test_a_refused_connection_is_tried_again_and_then_named(pauses, make_alert):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    hook = make_webhook(f"http://127.0.0.1:{port}{PATH}", pauses, retry_for_s=1.5)
    with pytest.raises(DeliveryError, match=rf"http://127\.0\.0\.1:{port} did not take .* cannot connect"):
        await hook.deliver(make_alert())
    await hook.aclose()
    assert pauses == [1.0]


async def test_a_broken_answer_is_tried_again(webhook, receiver, pauses, make_alert):
    async def cut(request: web.Request) -> web.StreamResponse:
        request.transport.close()
        return web.Response()

    receiver.answers = [cut]
    await webhook.deliver(make_alert())
    assert pauses == [1.0]


async def test_a_redirect_is_not_followed(webhook, receiver, make_alert):
    receiver.answers = [web.Response(status=307, headers={"Location": receiver.url + "/elsewhere"})]
    with pytest.raises(DeliveryError, match="redirects are not followed"):
        await webhook.deliver(make_alert())
    assert len(receiver.requests) == 1


async def test_an_endless_answer_is_read_only_in_part(webhook, receiver, make_alert):
    async def flood(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=400)
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65_536)

    receiver.answers = [flood]
    with pytest.raises(DeliveryError) as caught:
        await webhook.deliver(make_alert())
    assert len(str(caught.value)) < 600


async def test_no_secret_is_in_logs_errors_or_repr(webhook, receiver, make_alert, caplog):
    async def echo(request: web.Request) -> web.StreamResponse:
        body = json.dumps({"path": request.path, **dict(request.headers)})
        return web.Response(status=500 if len(receiver.requests) == 1 else 400, text=body)

    caplog.set_level(logging.DEBUG)
    receiver.answers = [echo, echo]
    with pytest.raises(DeliveryError) as caught:
        await webhook.deliver(make_alert())
    shown = caplog.text + str(caught.value) + repr(caught.value) + repr(webhook) + repr(caught.value.__cause__)
    assert "it answered 500" in caplog.text
    assert TOKEN not in shown
    assert "hidden-path" not in shown
    assert "127.0.0.1" in repr(webhook)


@pytest.mark.parametrize("url", ["http://", "https://[broken/hook?k=s3cret", "ftp://host/s3cret", "host/s3cret"])
def test_an_unusable_address_is_refused_without_quoting_it(url):
    with pytest.raises(ConfigError) as caught:
        Webhook(url)
    assert "s3cret" not in str(caught.value)


def test_a_token_with_a_line_break_is_refused_without_quoting_it():
    with pytest.raises(ConfigError, match="line break") as caught:
        Webhook("https://desk.example/hook", token=SecretStr(TOKEN + "\n"))
    assert TOKEN not in str(caught.value)
