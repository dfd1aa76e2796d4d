"""An HTTP server that expects the worst: bounds on lines, headers, bodies, connections and patience; no gossip.

aiohttp's own parser refuses what smuggles (two lengths, a length beside chunks, line breaks in headers). What is added
here: its errors quote the client and its answers name its version, and neither leaves this house; a connection that
says nothing is closed soon; bodies are never unpacked, as a few kilobytes of gzip can be gigabytes.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import ssl
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from streams.errors import ConfigError

_log = logging.getLogger("squall.http")

IDLE_S = 15.0
MOST_CONNECTIONS = 256
MOST_BODY_BYTES = 262_144
_MOST_LINE_BYTES = 8_190
_MOST_HEADERS = 64
_HEADERS = {
    "Server": "squall",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


class StrictServer:
    """Runs an aiohttp application under these bounds.

    Args:
        app: what is served.
        host: interface.
        port: port; 0 takes a free one.
        tls: speaks HTTPS.
        idle_s: how long a connection may take to send its request's head, or be silent between two requests.
        most_connections: further ones are closed at once.
    """

    def __init__(
        self,
        app: web.Application,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        idle_s: float = IDLE_S,
        most_connections: int = MOST_CONNECTIONS,
    ) -> None:
        self._host = host
        self._port = port
        self._tls = tls
        self._idle_s = idle_s
        self._runner = _Runner(
            app,
            most_connections=most_connections,
            access_log=None,
            keepalive_timeout=idle_s,
            lingering_time=min(2.0, idle_s),
            auto_decompress=False,
            max_line_size=_MOST_LINE_BYTES,
            max_field_size=_MOST_LINE_BYTES,
            max_headers=_MOST_HEADERS,
            shutdown_timeout=2.0,
        )
        self._server: asyncio.Server | None = None

    async def start(self) -> str:
        """Start and return the address.

        Raises:
            ConfigError: the port is taken or may not be used.
        """
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        factory = cast(web.Server, self._runner.server)
        patience_s = None if self._tls is None else self._idle_s
        try:
            self._server = await loop.create_server(
                factory, self._host, self._port, ssl=self._tls, ssl_handshake_timeout=patience_s
            )
        except OSError as error:
            await self._runner.cleanup()
            msg = f"cannot listen on {self._host}:{self._port} (worker.host, worker.port): {error.strerror}"
            raise ConfigError(msg) from error
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"http{'' if self._tls is None else 's'}://{host}:{port}"

    async def stop(self) -> None:
        """Stop: what is under way has two seconds."""
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()


class _Handler(RequestHandler):
    """aiohttp's, saying less."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer with the kind of error alone: neither the client's own bytes nor where in the code it happened."""
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            _log.error("a defect in the answer to %s: %r", request.path[:200], exc, exc_info=exc)
        else:
            _log.debug("refused what %s sent: %s", request.remote, type(exc).__name__)
        answer = web.Response(status=status, text=f"{HTTPStatus(status).phrase}\n")
        answer.force_close()
        return answer

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer with the headers that all of ours have."""
        if not resp.prepared:
            for name, value in _HEADERS.items():
                resp.headers.setdefault(name, value)
        return await super().finish_response(request, resp, start_time)


class _Server(web.Server):
    """aiohttp's, with its handler exchanged and its connections counted."""

    def __init__(self, plain: web.Server, most_connections: int) -> None:
        kwargs = plain._kwargs
        super().__init__(plain.request_handler, request_factory=plain.request_factory, loop=plain._loop, **kwargs)
        self._most_connections = most_connections

    def __call__(self) -> RequestHandler:
        return _Handler(self, loop=self._loop, **self._kwargs)

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """Take a connection, or close it where there are too many."""
        super().connection_made(handler, transport)
        if len(self._connections) > self._most_connections:
            _log.debug("more than %d connections: one is closed", self._most_connections)
            transport.abort()


class _Runner(web.AppRunner):
    """aiohttp's, with our server."""

    __slots__ = ("_most_connections",)

    def __init__(self, app: web.Application, *, most_connections: int, **kwargs: Any) -> None:
        super().__init__(app, **kwargs)
        self._most_connections = most_connections

    async def _make_server(self) -> web.Server:
        return _Server(await super()._make_server(), self._most_connections)


def tls_context(cert: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """Return the context of a server's certificate, TLS 1.2 or newer; None without one.

    Raises:
        ConfigError: the files cannot be loaded.
    """
    if cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # Without a password OpenSSL would ask for one on the terminal, and wait.
        context.load_cert_chain(cert, key, password="")
    except (OSError, ssl.SSLError) as error:
        msg = f"worker.tls_cert_file, worker.tls_key_file: cannot load {cert} and {key}: {error}"
        raise ConfigError(msg) from error
    return context


def is_loopback(host: str) -> bool:
    """Whether nobody outside this machine reaches an interface."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
