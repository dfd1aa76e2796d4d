"""What strangers send to the worker's address: paths, headers, methods, bodies and patience, byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.app.desk_api import DeskApi
from streams.app.health import HealthServer
from streams.app.http_server import tls_context
from streams.errors import ConfigError
from tests.streams.security.certificates import Authority

TOKEN = "planted-token-of-the-desk-0123"  # noqa: S105
GOSSIP = ("Traceback", "aiohttp", "Python", "planted", "site-packages", "root:", "  File ")
WAIT_S = 30.0


@dataclass
class Target:
    """An address that bytes are sent to."""

    port: int
    tls: ssl.SSLContext | None = None

    async def send(self, content: bytes) -> str:
        """Send bytes and stay; everything that comes back until the server closes the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.tls)
        try:
            writer.write(content)
            await writer.drain()
            return (await asyncio.wait_for(reader.read(), WAIT_S)).decode("latin-1")
        except ConnectionError:
            return ""
        finally:
            writer.close()

    async def ask(self, head: bytes, body: bytes = b"") -> tuple[int, str]:
        """Status (0 if the connection was closed without an answer) and the whole answer, which must not gossip."""
        answer = await self.send(head + b"\r\nConnection: close\r\n\r\n" + body)
        for word in GOSSIP:
            assert word not in answer, answer
        if not answer:
            return 0, ""
        assert answer.startswith(("HTTP/1.1 ", "HTTP/1.0 "))
        assert "X-Content-Type-Options: nosniff" in answer
        assert "Server: squall\r\n" in answer
        return int(answer.split(" ", 2)[1]), answer

    async def is_well(self) -> bool:
        return (await self.ask(b"GET /healthz HTTP/1.1\r\nHost: x"))[0] == 200


Begin = Callable[..., Awaitable[Target]]


@pytest.fixture
async def begin() -> AsyncIterator[Begin]:
    """`await begin(**bounds)`: a worker's address, with a desk behind it that has no Kafka."""
    servers: list[HealthServer] = []

    async def start(tls: ssl.SSLContext | None = None, **bounds: float) -> Target:
        desk = DeskApi({"desk": TOKEN}, topic="squall.labels", options={})
        server = HealthServer(
            "127.0.0.1", 0, is_ready=lambda: None, beat=time.monotonic, desk=desk, tls=tls,
            **({"idle_s": 0.5} | bounds),  # type: ignore[arg-type]
        )  # fmt: skip
        servers.append(server)
        return Target(int((await server.start()).rpartition(":")[2]))

    yield start
    for server in servers:
        await server.stop()


@pytest.mark.parametrize(
    "path",
    [
        b"/../../etc/passwd", b"/metrics/../../../etc/passwd", b"/%2e%2e/%2e%2e/etc/passwd", b"/..%2f..%2fetc%2fpasswd",
        b"/%252e%252e/etc/passwd", b"//etc/passwd", b"/metrics/", b"/METRICS", b"/verdicts/1", b"/verdicts%00.json",
        b"/%00", b"/%ff%fe", b"/%zz", b"/%", b"/\xff\xfe", b"/?" + b"a=b&" * 1_500, b"/" + b"a" * 7_000,
        b"http://169.254.169.254/latest", b"*", b"/squall.yaml", b"/.env", b"/;/metrics", b"/a\\..\\b",
    ],
)  # fmt: skip
async def test_no_path_leads_anywhere_else(begin: Begin, path: bytes) -> None:
    target = await begin()
    status, _ = await target.ask(b"GET " + path + b" HTTP/1.1\r\nHost: x")
    assert status in (400, 404)
    assert await target.is_well()


@pytest.mark.parametrize("size", [9_000, 100_000, 5_000_000])
async def test_a_line_without_end_is_refused(begin: Begin, size: int) -> None:
    target = await begin()
    for head in (b"GET /" + b"a" * size + b" HTTP/1.1", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * size):
        assert (await target.ask(head))[0] in (0, 400)
    assert await target.is_well()


@pytest.mark.parametrize(
    "method", ["PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "CONNECT", "PROPFIND", "get", "X" * 99]
)
@pytest.mark.parametrize("path", ["/healthz", "/metrics", "/verdicts"])
async def test_no_other_method_is_known(begin: Begin, method: str, path: str) -> None:
    target = await begin()
    status, answer = await target.ask(f"{method} {path} HTTP/1.1\r\nHost: x\r\nX-Echo: me".encode())
    assert status in (400, 404, 405)
    assert "X-Echo" not in answer  # as TRACE would
    assert await target.is_well()


async def test_verdicts_are_posted_and_not_looked_at(begin: Begin) -> None:
    target = await begin()
    assert (await target.ask(b"GET /verdicts HTTP/1.1\r\nHost: x"))[0] == 405


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: 5\r\nContent-Length: 6",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        b"Content-Length: -1",
        b"Content-Length: 1e3",
        b"Content-Length: +5",
        b"Content-Length: 99999999999999999999999999",
        b"Transfer-Encoding: chunked, chunked",
        b"Transfer-Encoding: identity, chunked, gzip",
        b"Transfer-Encoding : chunked",
        b"X-A: b\rX-C: d",
        b"X-A: b\nX-C: d\n\nGET /metrics HTTP/1.1",
        b"X-A: b\x00c",
        b" X-A: folded",
        b"No-Colon",
        b": empty",
        b"Host: y",
        b"\r\n".join(b"X-%d: a" % number for number in range(500)),
        b"Expect: 200-ok",
        b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x",
        b"Cookie: " + b"a=b; " * 1_500,
    ],
)
async def test_headers_that_are_odd_smuggle_nothing(begin: Begin, headers: bytes) -> None:
    target = await begin()
    status, answer = await target.ask(b"POST /verdicts HTTP/1.1\r\nHost: x\r\n" + headers, b"GET /metrics HTTP/1.1")
    assert status in (0, 400, 401, 417)
    assert "# HELP" not in answer
    assert await target.is_well()


@pytest.mark.parametrize(
    "end", [b"\r\nSet-Cookie: planted=1", b"%0d%0aSet-Cookie: planted=1", b"\nSet-Cookie: planted=1"]
)
async def test_nothing_that_is_sent_comes_back_as_a_header(begin: Begin, end: bytes) -> None:
    target = await begin()
    for head in (b"GET /a" + end + b" HTTP/1.1\r\nHost: x", b"GET /healthz HTTP/1.1\r\nHost: x" + end):
        answer = await target.send(head + b"\r\n\r\n")
        assert "set-cookie" not in answer.lower()


async def test_a_right_token_in_a_wrong_place_is_none(begin: Begin) -> None:
    target = await begin()
    for head in (
        b"POST /verdicts?token=" + TOKEN.encode() + b" HTTP/1.1\r\nHost: x",
        b"POST /verdicts HTTP/1.1\r\nHost: x\r\nCookie: token=" + TOKEN.encode(),
        b"POST /verdicts HTTP/1.1\r\nHost: x\r\nX-Authorization: Bearer " + TOKEN.encode(),
        b"POST /verdicts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a\r\nAuthorization: Bearer " + TOKEN.encode(),
    ):
        assert (await target.ask(head))[0] in (400, 401)


async def test_one_who_says_nothing_is_hung_up_on(begin: Begin) -> None:
    target = await begin(idle_s=0.1)
    for content in (b"", b"G", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: "):
        assert await target.send(content) == ""  # the server closes: `read` has come to an end
    assert await target.is_well()


async def test_who_drips_headers_is_hung_up_on(begin: Begin) -> None:
    target = await begin(idle_s=0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")

    async def drip() -> None:
        while True:
            writer.write(b"X-A: b\r\n")
            await asyncio.sleep(0.01)

    dripping = asyncio.create_task(drip())
    try:
        assert await asyncio.wait_for(reader.read(), WAIT_S) == b""
    except ConnectionError:
        pass
    finally:
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)
        writer.close()
    assert await target.is_well()


async def test_who_stays_after_an_answer_is_hung_up_on(begin: Begin) -> None:
    target = await begin(idle_s=0.1)
    assert (await target.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")).endswith("ok\n")


async def test_too_many_connections_are_closed_and_the_others_served(begin: Begin) -> None:
    target = await begin(most_connections=5, idle_s=60.0)
    held = [await asyncio.open_connection("127.0.0.1", target.port) for _ in range(5)]
    reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
    with contextlib.suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), WAIT_S) == b""
    writer.close()
    for _, other in held:
        other.close()
        await other.wait_closed()
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        try:
            if await target.is_well():
                return
        except AssertionError:
            pass  # the server has not seen yet that they left
    pytest.fail("it serves nobody any more")


STARTS = [b"", b"GET / HTTP/1.1\r\n", b"POST /verdicts HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"]


@settings(max_examples=40, deadline=None)
@given(noise=st.lists(st.binary(max_size=60), max_size=8), start=st.sampled_from(STARTS))
def test_noise_is_refused_and_the_server_goes_on(noise: list[bytes], start: bytes) -> None:
    async def run() -> None:
        server = HealthServer("127.0.0.1", 0, is_ready=lambda: None, beat=time.monotonic, idle_s=0.2)
        target = Target(int((await server.start()).rpartition(":")[2]))
        try:
            answer = await target.send(start + b"\r\n".join(noise))
            assert not any(word in answer for word in GOSSIP)
            assert " 500 " not in answer.partition("\r\n")[0]
            assert await target.is_well()
        finally:
            await server.stop()

    asyncio.run(run())


async def test_it_speaks_https_and_nothing_older_than_tls_1_2(begin: Begin, tmp_path: Path) -> None:
    authority = Authority(tmp_path, "authority")
    pair = authority.issue("worker")
    target = await begin(tls=tls_context(pair.cert, pair.key))
    client = ssl.create_default_context(cafile=str(authority.cert))
    target.tls = client
    assert await target.is_well()
    plain = await Target(target.port).send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert "ok" not in plain


@pytest.mark.parametrize("kind", ["missing", "locked"])
def test_a_certificate_that_cannot_be_loaded_is_told_with_its_keys(tmp_path: Path, kind: str) -> None:
    pair = Authority(tmp_path, "authority").issue("worker", password="planted-key-password")  # noqa: S106
    cert = tmp_path / "none.pem" if kind == "missing" else pair.cert
    with pytest.raises(ConfigError, match=r"worker\.tls_cert_file, worker\.tls_key_file: cannot load") as error:
        tls_context(cert, pair.key)
    assert "planted" not in str(error.value)


EVERYWHERE = "0.0.0.0"  # noqa: S104  # named here, not bound


@pytest.mark.parametrize(
    ("host", "warned"), [("127.0.0.1", False), ("::1", False), ("localhost", False), (EVERYWHERE, True)]
)
def test_an_interface_that_others_reach_is_warned_of(caplog: pytest.LogCaptureFixture, host: str, warned: bool) -> None:
    desk = DeskApi({"desk": TOKEN}, topic="squall.labels", options={})
    with caplog.at_level(logging.WARNING, "squall.http"):
        HealthServer(host, 0, is_ready=lambda: None, beat=time.monotonic, desk=desk)
    assert [("worker.host" in line, "tokens for /verdicts" in line) for line in caplog.messages] == (
        [(True, False), (False, True)] if warned else []
    )
