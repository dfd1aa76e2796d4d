"""The webhook and the patience around it, against a real HTTP server; pauses are recorded, not slept."""

import asyncio
import hashlib
import hmac
import json
import logging
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from streams.deliver.attempts import Refused, TryAgain
from streams.deliver.circuit import CircuitOptions
from streams.deliver.patient import PatientSink
from streams.deliver.retry import Patience
from streams.deliver.transport import Advice, HttpTransport, read_url
from streams.deliver.webhook import signature
from streams.errors import ConfigError, DeliveryError
from tests.streams.deliver.recording import ADVICE, PATH, Clock, patient, recording, webhook_channel

TOKEN = "s3cret-t0ken"  # noqa: S105 - invented
KEY = "signing-s3cret"


def openssl(*arguments: str | Path) -> str:
    done = subprocess.run(["openssl", *(str(one) for one in arguments)], capture_output=True, check=True)
    return done.stdout.decode()


@pytest.fixture
async def webhook(receiver, clock) -> AsyncIterator[PatientSink]:
    sink = patient(webhook_channel(receiver.url, token=TOKEN), clock)
    yield sink
    await sink.aclose()


async def test_an_alert_arrives_with_its_token_and_its_idempotency_key(webhook, receiver, make_alert):
    await webhook.deliver(make_alert())
    (taken,) = receiver.requests
    assert taken.headers["Authorization"] == f"Bearer {TOKEN}"
    assert taken.headers["Idempotency-Key"] == "a1b2c3d4e5f60718-1"
    assert taken.headers["Content-Type"] == "application/json"
    assert taken.json["alerts"][0]["fingerprint"] == "a1b2c3d4e5f60718"


async def test_no_token_no_authorization_and_no_key_no_signature(receiver, make_alert):
    sink = patient(webhook_channel(receiver.url))
    await sink.deliver(make_alert())
    await sink.aclose()
    assert not {"Authorization", "X-Squall-Signature"} & set(receiver.requests[0].headers)


async def test_a_receiver_can_verify_the_signature_with_tools_of_its_own(receiver, make_alert, tmp_path: Path):
    sink = patient(webhook_channel(receiver.url, signing_key=KEY, now_s=lambda: 1_773_828_240.7))
    await sink.deliver(make_alert())
    await sink.aclose()
    (taken,) = receiver.requests
    stamp = taken.headers["X-Squall-Timestamp"]
    assert stamp == "1773828240"
    (tmp_path / "signed").write_bytes(stamp.encode() + b"." + taken.body)
    said = openssl("dgst", "-sha256", "-hmac", KEY, tmp_path / "signed")
    digest = said.rpartition("= ")[2].strip()
    assert taken.headers["X-Squall-Signature"] == f"sha256={digest}"
    other = hmac.new(b"another key", stamp.encode() + b"." + taken.body, hashlib.sha256).hexdigest()
    assert digest != other


def test_the_signature_covers_time_stamp_and_body():
    made = {signature(KEY, "1", b"a"), signature(KEY, "2", b"a"), signature(KEY, "1", b"b"), signature("k", "1", b"a")}
    assert len(made) == 4


async def test_each_attempt_is_signed_for_its_own_time(receiver, clock, make_alert):
    channel = webhook_channel(receiver.url, signing_key=KEY, now_s=lambda: 1000.0 + clock.now_s)
    sink = patient(channel, clock)
    receiver.answers = [web.Response(status=503)]
    await sink.deliver(make_alert())
    await sink.aclose()
    assert [taken.headers["X-Squall-Timestamp"] for taken in receiver.requests] == ["1000", "1001"]
    for taken in receiver.requests:
        assert taken.headers["X-Squall-Signature"] == signature(KEY, taken.headers["X-Squall-Timestamp"], taken.body)
    assert len({taken.headers["Idempotency-Key"] for taken in receiver.requests}) == 1


@pytest.mark.parametrize("state", ["pending", "inactive"])
async def test_pending_and_inactive_are_not_sent(webhook, receiver, make_alert, state):
    await webhook.deliver(make_alert(state=state))
    assert receiver.requests == []


async def test_a_server_error_is_tried_again_with_growing_pauses_and_the_same_key(webhook, receiver, clock, make_alert):
    receiver.answers = [web.Response(status=500), web.Response(status=503)]
    await webhook.deliver(make_alert())
    assert clock.pauses == [1.0, 2.0]
    assert len(receiver.requests) == 3
    assert len({taken.headers["Idempotency-Key"] for taken in receiver.requests}) == 1
    assert receiver.requests[0].json == receiver.requests[2].json


async def test_pauses_are_drawn_up_to_their_bound(receiver, clock, make_alert):
    lucks = iter([0.5, 0.0, 0.25])
    sink = patient(webhook_channel(receiver.url), clock, luck=lambda: next(lucks))
    receiver.answers = [web.Response(status=500) for _ in range(3)]
    await sink.deliver(make_alert())
    await sink.aclose()
    assert clock.pauses == [0.5, 0.0, 1.0]


async def test_after_the_last_attempt_it_says_what_the_last_answer_was(receiver, clock, make_alert):
    sink = patient(webhook_channel(receiver.url), clock, patience=Patience(retry_for_s=3.0, most_wait_s=1.5))
    receiver.answers = [web.Response(status=502, text="bad gateway") for _ in range(3)]
    with pytest.raises(DeliveryError, match=r"in 3 attempts and 3 s; the last: it answered 502 \(bad gateway\)"):
        await sink.deliver(make_alert())
    await sink.aclose()
    assert clock.pauses == [1.0, 1.5]


async def test_what_has_waited_too_long_already_is_tried_once(receiver, clock, make_alert):
    sink = patient(webhook_channel(receiver.url), clock, patience=Patience(retry_for_s=60.0))
    receiver.answers = [web.Response(status=500)]
    with pytest.raises(DeliveryError, match=r"in 1 attempt "):
        await sink.deliver(make_alert(), age_s=61.0)
    await sink.deliver(make_alert(), age_s=1000.0)
    await sink.aclose()
    assert len(receiver.requests) == 2


async def test_a_receiver_that_is_down_for_hours_gets_the_alert_when_it_is_back(webhook, receiver, clock, make_alert):
    receiver.answers = [web.Response(status=503) for _ in range(300)]
    await webhook.deliver(make_alert())
    assert clock.pauses[:7] == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0]
    assert set(clock.pauses[7:]) == {60.0}
    assert 4.5 * 3600 < sum(clock.pauses) < 6 * 3600
    assert len(receiver.requests) == 301


async def test_two_minutes_of_outage_are_called_by_one_probe_at_a_time(receiver, clock, make_alert):
    options = CircuitOptions(open_after=3, open_for_s=10.0, most_open_for_s=40.0)
    sink = patient(webhook_channel(receiver.url), clock, circuit=options, luck=lambda: 0.0)

    async def down_until_two_minutes(request: web.Request) -> web.StreamResponse:
        if clock.now_s < 120:
            receiver.answers.append(down_until_two_minutes)
        return web.Response(status=503 if clock.now_s < 120 else 200)

    receiver.answers = [down_until_two_minutes]
    await sink.deliver(make_alert())
    await sink.aclose()
    # three attempts open it; then one after 10, 20, 40 and 40 s, and one more when it is up again
    assert [pause for pause in clock.pauses if pause] == [10.0, 20.0, 40.0, 40.0, 40.0]
    assert len(receiver.requests) == 8


@pytest.mark.parametrize(("status", "advice"), [(401, "webhook_token"), (403, "webhook_token"), (404, "webhook_url")])
async def test_what_a_desk_can_mend_is_tried_again_and_says_what_to_check(
    webhook, receiver, clock, make_alert, caplog, status, advice
):
    receiver.answers = [web.Response(status=status, text="no such integration")]
    await webhook.deliver(make_alert())
    assert len(receiver.requests) == 2
    assert clock.pauses == [1.0]
    assert f"it answered {status} (no such integration); check delivery.{advice}" in caplog.text


@pytest.mark.parametrize("status", [400, 405, 410, 413, 422])
async def test_any_other_refusal_is_final_and_says_what_to_check(webhook, receiver, clock, make_alert, status):
    receiver.answers = [web.Response(status=status, text="what is this")]
    with pytest.raises(DeliveryError, match="webhook version 4") as caught:
        await webhook.deliver(make_alert())
    assert "what is this" in str(caught.value)
    assert len(receiver.requests) == 1
    assert clock.pauses == []


async def test_too_many_requests_waits_as_long_as_it_is_told(webhook, receiver, clock, make_alert):
    receiver.answers = [web.Response(status=429, headers={"Retry-After": "17"})]
    await webhook.deliver(make_alert())
    assert clock.pauses == [17.0]
    assert len(receiver.requests) == 2


async def test_a_receiver_that_asks_for_patience_is_left_alone_by_all_lanes(webhook, receiver, clock, make_alert):
    receiver.answers = [web.Response(status=429, headers={"Retry-After": "17"})]
    with pytest.raises(TryAgain):
        await webhook._try(make_alert())
    await webhook.deliver(make_alert(id="another"))
    assert clock.pauses == [17.0]


@pytest.mark.parametrize(
    ("header", "pause"),
    [
        ("Wed, 18 Mar 2026 10:04:30 GMT", 30.0),
        ("Wed, 18 Mar 2026 10:04:30", 30.0),
        ("Wed, 18 Mar 2026 09:00:00 GMT", 1.0),  # in the past: the own schedule holds
        ("soon", 1.0),
        ("-5", 1.0),
        ("0", 1.0),
        ("999999999999", 900.0),
        ("Mon, 01 Jan 2024 00:00:00 +99999999999999", 1.0),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 900.0),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 1.0),
        ("", 1.0),
    ],
)
async def test_retry_after_may_be_a_date_and_is_bounded(webhook, receiver, clock, make_alert, header, pause):
    receiver.answers = [web.Response(status=503, headers={"Retry-After": header})]
    await webhook.deliver(make_alert())
    assert clock.pauses == [pause]


async def test_a_receiver_that_hangs_is_tried_again(receiver, clock, make_alert):
    async def hang(request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    sink = patient(webhook_channel(receiver.url, timeout_s=0.2), clock)
    receiver.answers = [hang]
    await sink.deliver(make_alert())
    await sink.aclose()
    assert clock.pauses == [1.0]
    assert len(receiver.requests) == 2


async def test_a_refused_connection_is_tried_again_and_then_named(clock, make_alert):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}{PATH}"
    sink = patient(webhook_channel(url), clock, patience=Patience(retry_for_s=1.5))
    with pytest.raises(DeliveryError, match=rf"http://127\.0\.0\.1:{port} did not take .* cannot connect"):
        await sink.deliver(make_alert())
    await sink.aclose()
    assert clock.pauses == [1.0]


@pytest.mark.parametrize(
    "garbage", [b"", b"\x00\xff garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"]
)
async def test_garbage_instead_of_an_answer_is_tried_again(clock, make_alert, garbage):
    calls = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        calls += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(garbage if calls == 1 else b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    sink = patient(webhook_channel(f"http://127.0.0.1:{port}/"), clock)
    await sink.deliver(make_alert())
    await sink.aclose()
    server.close()
    assert clock.pauses == [1.0]
    assert calls == 2


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
    with pytest.raises(ConfigError, match=r"delivery\.webhook_url is no http or https address") as caught:
        read_url(url, "delivery.webhook_url", True)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("login", ["desk:s3cret", "s3cret", ":s3cret", "desk:"])
def test_an_address_with_a_login_in_it_is_refused_without_quoting_it(login):
    with pytest.raises(ConfigError, match=r"delivery\.webhook_url holds a user or password .* token") as caught:
        read_url(f"https://{login}@desk.example/hook", "delivery.webhook_url", True)
    assert "s3cret" not in str(caught.value)


async def test_an_alert_that_waits_for_its_next_attempt_takes_up_no_slot(receiver, make_alert):
    resting, let_go, under_way, most = asyncio.Event(), asyncio.Event(), 0, 0

    async def sleep(seconds: float) -> None:
        resting.set()
        await let_go.wait()

    async def slow(request: web.Request) -> web.StreamResponse:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1
        return web.Response()

    sink = patient(webhook_channel(receiver.url), lanes=1, sleep=sleep)
    receiver.answers = [web.Response(status=500), *[slow] * 7]
    chokes = asyncio.create_task(sink.deliver(make_alert()))
    await resting.wait()
    await asyncio.gather(*(sink.deliver(make_alert(id=f"{number}")) for number in range(6)))
    assert not chokes.done()
    let_go.set()
    await chokes
    await sink.aclose()
    assert most == 1
    assert len(receiver.requests) == 8


def test_a_token_with_a_line_break_is_refused_without_quoting_it():
    with pytest.raises(ConfigError, match="line break") as caught:
        webhook_channel("https://desk.example/hook", token=TOKEN + "\n")
    assert TOKEN not in str(caught.value)


async def test_an_attempt_that_is_broken_off_leaves_the_probe_to_another(receiver, make_alert):
    clock = Clock()
    sink = patient(webhook_channel(receiver.url), clock, circuit=CircuitOptions(open_after=1, open_for_s=5.0))
    started = asyncio.Event()

    async def hang(request: web.Request) -> web.StreamResponse:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError

    receiver.answers = [web.Response(status=500), hang]
    probe = asyncio.create_task(sink.deliver(make_alert()))
    await started.wait()
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    await sink.deliver(make_alert())
    await sink.aclose()
    assert len(receiver.requests) == 3


async def test_a_certificate_of_an_unknown_authority_is_named_and_ca_file_mends_it(tmp_path, make_alert):
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    names = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2", *names)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    async with recording(ssl_context=context) as double:
        url = read_url(double.url, "x", True)
        wary = HttpTransport(timeout_s=5, allow_private=True, advice=ADVICE)
        with pytest.raises(TryAgain, match="not trusted; renew it, name its CA in ca_file"):
            await wary.post(url, b"{}", {})
        trusting = HttpTransport(timeout_s=5, allow_private=True, advice=ADVICE, ca_file=cert)
        assert await trusting.post(url, b"{}", {}) == "it answered 200"
        await wary.aclose()
        await trusting.aclose()


def test_a_file_of_authorities_that_is_none_is_refused_at_the_start(tmp_path):
    (tmp_path / "ca.pem").write_text("no certificate")
    advice = Advice("a", "b", "c")
    for path in (tmp_path / "ca.pem", tmp_path / "missing.pem"):
        with pytest.raises(ConfigError, match="cannot be loaded"):
            HttpTransport(timeout_s=5, allow_private=True, advice=advice, ca_file=path)


async def test_the_environments_proxy_is_not_used(receiver, make_alert, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    channel = webhook_channel(receiver.url)
    assert await channel.send(make_alert()) == "it answered 200"
    await channel.aclose()


async def test_a_refusal_keeps_the_circuit_closed(receiver, clock, make_alert):
    sink = patient(webhook_channel(receiver.url), clock, circuit=CircuitOptions(open_after=1))
    receiver.answers = [web.Response(status=422)]
    with pytest.raises(Refused):
        await sink._try(make_alert())
    await sink.deliver(make_alert())
    await sink.aclose()
    assert clock.pauses == []
