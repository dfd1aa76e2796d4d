"""/healthz, /readyz and /metrics, and the watchdog that ends a process in which nothing moves."""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Callable, Mapping

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from streams.app.desk_api import DeskApi
from streams.app.http_server import IDLE_S, MOST_BODY_BYTES, MOST_CONNECTIONS, StrictServer, is_loopback
from streams.app.offsets import Position

_log = logging.getLogger("squall.http")


class Watchdog:
    """Notices that nothing is finished any more although something waits.

    Faust's own check for a consumer that stopped fetching can never fire, so this one looks at Kafka's offsets. Pure:
    the clock is an argument.

    Args:
        limit_s: how long a partition may stand still while records wait on it.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._moved: dict[tuple[str, int], tuple[int, float]] = {}

    def check(self, topic: str, positions: Mapping[int, Position], now_s: float) -> list[str]:
        """Return a sentence for each partition that stands still; no sentence is good news.

        Args:
            topic: the topic.
            positions: of the partitions that this process is to read.
            now_s: a clock that only goes forward, seconds.
        """
        stuck = []
        for key in [key for key in self._moved if key[0] == topic and key[1] not in positions]:
            del self._moved[key]  # another's to read now; if it comes back, its time starts anew
        for number, position in positions.items():
            key = (topic, number)
            committed, since_s = self._moved.get(key, (position.committed, now_s))
            if position.waiting == 0 or position.committed != committed:
                self._moved[key] = (position.committed, now_s)
                continue
            self._moved[key] = (committed, since_s)
            still_s = now_s - since_s
            if still_s >= self._limit_s:
                where = f"{topic}[{number}] stands at offset {committed}"
                stuck.append(f"{where} for {still_s:.0f} s with {position.waiting} records waiting")
        return stuck


class HealthServer:
    """Serves health and metrics, and the desk's address where there is one.

    Args:
        host: interface.
        port: port; 0 takes a free one.
        is_ready: says why the process is not ready, or None if it is.
        beat: when the process was last seen alive, on the monotonic clock.
        desk: takes verdicts.
        tls: speaks HTTPS.
        idle_s: see `StrictServer`; so is `most_connections`.
    """

    STALE_AFTER_S = 30.0

    def __init__(
        self,
        host: str,
        port: int,
        *,
        is_ready: Callable[[], str | None],
        beat: Callable[[], float],
        desk: DeskApi | None = None,
        tls: ssl.SSLContext | None = None,
        idle_s: float = IDLE_S,
        most_connections: int = MOST_CONNECTIONS,
    ) -> None:
        self._is_ready = is_ready
        self._beat = beat
        app = web.Application(client_max_size=MOST_BODY_BYTES)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        if desk is not None:
            desk.add_to(app)
        if not is_loopback(host):
            _warn_of_the_open(host, with_token=desk is not None and desk.is_on, with_tls=tls is not None)
        self._server = StrictServer(app, host, port, tls=tls, idle_s=idle_s, most_connections=most_connections)

    async def start(self) -> str:
        """Start and return the address.

        Raises:
            ConfigError: the port is taken or may not be used.
        """
        return await self._server.start()

    async def stop(self) -> None:
        """Stop."""
        await self._server.stop()

    async def _healthz(self, _: web.Request) -> web.Response:
        age_s = time.monotonic() - self._beat()
        if age_s > self.STALE_AFTER_S:
            return web.Response(status=503, text=f"no sign of life for {age_s:.0f} s\n")
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        reason = self._is_ready()
        return web.Response(text="ready\n") if reason is None else web.Response(status=503, text=f"{reason}\n")

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _warn_of_the_open(host: str, *, with_token: bool, with_tls: bool) -> None:
    _log.warning(
        "worker.host %s is not the loopback interface: whoever reaches it can read /metrics, which has no login; let a "
        "firewall or a NetworkPolicy say who does",
        host,
    )
    if with_token and not with_tls:
        _log.warning("tokens for /verdicts travel in the clear: put TLS in front, or set worker.tls_cert_file")
