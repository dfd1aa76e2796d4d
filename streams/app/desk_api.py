"""POST /verdicts: what a desk says of alerts and messages, with its token; 202 once `squall.labels` has it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web
from aiokafka.errors import KafkaError

from streams.app.http_server import MOST_BODY_BYTES
from streams.app.sender import Outgoing, Sender
from streams.app.tokens import FailedLogins, Tokens
from streams.errors import DeliveryError, InputError
from streams.records import encode
from streams.verdicts import key_of, parse, record_of

_log = logging.getLogger("squall.desk")

_BODY_WITHIN_S = 10.0
_KAFKA_WITHIN_S = 10.0


class DeskApi:
    """Takes verdicts.

    Args:
        tokens: token by name; `by` of a verdict is the name of the token that came with it.
        topic: the labels topic.
        options: aiokafka client options.
        body_within_s: how long a body may take to come.
        kafka_within_s: how long Kafka may take to acknowledge.
    """

    def __init__(
        self,
        tokens: Mapping[str, str],
        *,
        topic: str,
        options: dict[str, Any],
        body_within_s: float = _BODY_WITHIN_S,
        kafka_within_s: float = _KAFKA_WITHIN_S,
    ) -> None:
        self._tokens = Tokens(tokens)
        self._topic = topic
        self._body_within_s = body_within_s
        self._kafka_within_s = kafka_within_s
        self._sender = Sender(options, give_up_after_s=kafka_within_s)
        self._started = False
        self._failed = FailedLogins()

    @property
    def is_on(self) -> bool:
        """Somebody has a token."""
        return bool(self._tokens)

    def add_to(self, app: web.Application) -> None:
        """Serve the address, if somebody has a token; without one it is as if it were not there."""
        if self.is_on:
            app.router.add_post("/verdicts", self._post)

    async def start(self) -> None:
        """Connect. Raises KafkaError if no broker answers."""
        if self.is_on:
            await self._sender.start()
            self._started = True

    async def stop(self) -> None:
        """Disconnect, after what is under way."""
        self._started = False
        await self._sender.stop()

    async def _post(self, request: web.Request) -> web.Response:
        by = self._tokens.name(request.headers.get("Authorization"))
        if by is None:
            return self._no_entry(request.remote or "")
        try:
            given = parse(await self._body(request))
        except InputError as error:
            return _told(400, str(error))
        except TimeoutError:
            return _closed(_told(408, f"the body did not come within {self._body_within_s:g} s"))
        except _RefusedError as refusal:
            return _closed(_told(refusal.status, refusal.why))
        at = datetime.now(UTC)
        verdicts = [record_of(one, by=by, at=at) for one in given]
        records = [Outgoing(self._topic, encode(one), key=key_of(one)) for one in verdicts]
        try:
            if not self._started:
                return _unavailable("the worker is starting or stopping")
            async with asyncio.timeout(self._kafka_within_s):
                await self._sender.send(records)
        except (DeliveryError, KafkaError, OSError, TimeoutError) as error:
            _log.error("%d verdicts by %s were not taken by %s: %r", len(records), by, self._topic, error)
            return _unavailable("Kafka has not acknowledged them")
        _log.info("%d verdicts by %s are on %s", len(records), by, self._topic)
        return web.json_response({"accepted": len(records), "by": by}, status=202, dumps=_dumps)

    async def _body(self, request: web.Request) -> bytes:
        """Read a body within its bounds. Raises _RefusedError, InputError or TimeoutError."""
        if request.content_type != "application/json":
            raise _RefusedError(415, "send Content-Type: application/json")
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise _RefusedError(415, "send the JSON as it is, without Content-Encoding")
        too_large = f"the body is larger than {MOST_BODY_BYTES:,} bytes: send fewer verdicts at once"
        if (request.content_length or 0) > MOST_BODY_BYTES:
            raise _RefusedError(413, too_large)
        try:
            async with asyncio.timeout(self._body_within_s):
                return await request.read()
        except web.HTTPRequestEntityTooLarge:
            raise _RefusedError(413, too_large) from None
        except (web.RequestPayloadError, ConnectionError):
            raise InputError("the body broke off, or is not as its headers say") from None

    def _no_entry(self, address: str) -> web.Response:
        if self._failed.failed(address, time.monotonic()):
            answer = _told(429, "too many wrong tokens from this address: wait a minute")
            answer.headers["Retry-After"] = "60"
        else:
            _log.warning("a verdict without a right token came from %s", address)
            answer = _told(401, "this needs a token: Authorization: Bearer ...; see worker.api_token")
            answer.headers["WWW-Authenticate"] = 'Bearer realm="squall"'
        return _closed(answer)  # the body is not waited for


class _RefusedError(Exception):
    """A request that is not read any further."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


def _unavailable(why: str) -> web.Response:
    answer = _told(503, f"{why}: send the same verdicts again, which is safe, as the latest word of a person counts")
    answer.headers["Retry-After"] = "5"
    return answer


def _told(status: int, why: str) -> web.Response:
    return web.json_response({"error": why}, status=status, dumps=_dumps)


def _closed(answer: web.Response) -> web.Response:
    answer.force_close()
    return answer


def _dumps(value: Any) -> str:
    return msgspec.json.encode(value).decode()
