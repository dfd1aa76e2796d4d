"""A generic webhook: Alertmanager's shape, with an idempotency key and, if a key is given, a signature.

The signature is the HMAC-SHA256 of the time stamp, a dot and the body, in hexadecimal digits:

    X-Squall-Timestamp: 1773828240
    X-Squall-Signature: sha256=5b0c...

A receiver computes it over the bytes that it was sent, compares in constant time, and refuses time stamps that are
older than a few minutes, so that nobody can send a copy later. Each attempt has a time stamp of its own.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable

import msgspec
from yarl import URL

from streams.deliver.payload import alertmanager_payload, idempotency_key
from streams.deliver.transport import HttpTransport, require_header_text
from streams.records import Alert

IDEMPOTENCY = "Idempotency-Key"
"""Sent to every HTTP receiver: the same for each attempt at a transition, and for each replay of it."""
TIMESTAMP = "X-Squall-Timestamp"
SIGNATURE = "X-Squall-Signature"


def signature(key: str, timestamp: str, body: bytes) -> str:
    """Return the value of `X-Squall-Signature`. Pure."""
    signed = timestamp.encode() + b"." + body
    return "sha256=" + hmac.new(key.encode(), signed, hashlib.sha256).hexdigest()


class WebhookChannel:
    """Posts one alert at a time.

    Args:
        url: where to.
        transport: how.
        receiver: name in the payload.
        external_url: address of this Squall in the payload.
        token: sent as `Authorization: Bearer`.
        signing_key: of the signature; none without it.
        where: the key of the receiver's settings, for messages.
        now_s: reads the clock, Unix time.

    Raises:
        ConfigError: no header may carry the token.
    """

    def __init__(
        self,
        url: URL,
        transport: HttpTransport,
        *,
        receiver: str,
        external_url: str,
        token: str | None = None,
        signing_key: str | None = None,
        where: str = "token",
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._url = url
        self._transport = transport
        self._receiver = receiver
        self._external_url = external_url
        self._token = require_header_text(token, where) if token else None
        self._signing_key = signing_key
        self._now_s = now_s

    @property
    def address(self) -> str:
        """Scheme, host and port."""
        return str(self._url.origin())

    async def send(self, alert: Alert) -> str:
        """Post once. Raises what `HttpTransport.post` does."""
        payload = alertmanager_payload([alert], receiver=self._receiver, external_url=self._external_url)
        body = msgspec.json.encode(payload)
        timestamp = str(int(self._now_s()))
        headers = {IDEMPOTENCY: idempotency_key(alert), TIMESTAMP: timestamp}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        if self._signing_key is not None:
            headers[SIGNATURE] = signature(self._signing_key, timestamp, body)
        return await self._transport.post(self._url, body, headers)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()
