"""One generic webhook: POST, retries until the receiver is back, and nothing secret in errors or logs."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp
import msgspec
from pydantic import SecretStr
from yarl import URL

from streams.deliver.payload import alertmanager_payload, idempotency_key
from streams.deliver.sinks import DELIVERED_STATES
from streams.deliver.words import clean
from streams.errors import ConfigError, DeliveryError
from streams.records import Alert

_log = logging.getLogger(__name__)

RETRY_FOR_S = 6 * 3600.0
"""A night's outage of a receiver ends within it; after that the news is old, and the alerts behind it matter more."""
_MAY_BE_MENDED = frozenset({401, 403, 404, 408, 429})
_MOST_BACKOFF = 16
_MOST_REPLY_BYTES = 2_048
_MOST_REPLY_CHARS = 200


def utc_now() -> datetime:
    """Read the machine's clock."""
    return datetime.now(UTC)


class _TryAgain(Exception):  # noqa: N818 - a step of the loop below, never seen outside
    """An attempt failed in a way that may pass.

    Args:
        why: for a person.
        after_s: how long the receiver asked to wait; 0 if it did not say.
    """

    def __init__(self, why: str, after_s: float = 0.0) -> None:
        super().__init__(why)
        self.why = why
        self.after_s = after_s


class Webhook:
    """Posts firing and resolved alerts, one by one, in Alertmanager's webhook shape.

    Connection errors, timeouts, 408, 429 and 5xx are tried again, and so are 401, 403 and 404: a desk that mends its
    token or its receiver is to get what waited. The pauses are `first_wait_s`, twice that, four times that, ... up to
    `most_wait_s`, or what `Retry-After` asks for, up to `most_retry_after_s`; after `retry_for_s` it gives up. Every
    other answer but 2xx is final at once. Each attempt carries the same `Idempotency-Key`.

    Only scheme, host and port of the address are ever shown: with many receivers the path is the secret.

    Args:
        url: where to post.
        token: sent as `Authorization: Bearer`.
        timeout_s: longest wait for one answer.
        receiver: name in the payload and in the metrics.
        external_url: address of this Squall in the payload.
        retry_for_s: how long one transition is tried in all.
        first_wait_s: pause after the first failed attempt.
        most_wait_s: longest pause of Squall's own choice.
        most_retry_after_s: longest pause that a receiver can ask for.
        sleep: how to pause.
        now: reads the clock, for a `Retry-After` that names a date.
        monotonic_s: reads the clock that `retry_for_s` is measured by.

    Raises:
        ConfigError: address or token cannot be used.
    """

    lanes = 8
    """Transitions under way at once: one that the receiver chokes on delays few companies, and none press it."""

    def __init__(
        self,
        url: str,
        *,
        token: SecretStr | None = None,
        timeout_s: float = 10.0,
        receiver: str = "webhook",
        external_url: str = "http://127.0.0.1:6066",
        retry_for_s: float = RETRY_FOR_S,
        first_wait_s: float = 1.0,
        most_wait_s: float = 60.0,
        most_retry_after_s: float = 900.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], datetime] = utc_now,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = _checked_url(url)
        self._token = _checked_token(token)
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._timeout_s = timeout_s
        self._receiver = receiver
        self._external_url = external_url
        self._retry_for_s = retry_for_s
        self._first_wait_s = first_wait_s
        self._most_wait_s = most_wait_s
        self._most_retry_after_s = most_retry_after_s
        self._sleep = sleep
        self._now = now
        self._monotonic_s = monotonic_s
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"Webhook({self.address})"

    @property
    def address(self) -> str:
        """Scheme, host and port: the part of the address that may be shown."""
        return str(self._url.origin())

    async def deliver(self, alert: Alert) -> None:
        """Post one transition until the receiver has it; pending and inactive ones are passed over.

        Raises:
            DeliveryError: the receiver refused it, or every attempt failed.
        """
        if alert.state not in DELIVERED_STATES:
            return
        payload = alertmanager_payload([alert], receiver=self._receiver, external_url=self._external_url)
        body, key = msgspec.json.encode(payload), idempotency_key(alert)
        give_up_s = self._monotonic_s() + self._retry_for_s
        for attempt in itertools.count(1):
            try:
                await self._post(body, key)
            except _TryAgain as problem:
                doubled = self._first_wait_s * 2 ** min(attempt - 1, _MOST_BACKOFF)
                wait_s = max(min(doubled, self._most_wait_s), problem.after_s)
                if self._monotonic_s() + wait_s > give_up_s:
                    tried = f"in {attempt} attempts over {self._retry_for_s:g} s"
                    msg = f"{self.address} did not take alert {key} {tried}; the last: {problem.why}"
                    raise DeliveryError(msg) from None
                _log.warning(
                    "alert %s to %s: %s; attempt %d follows in %g s",
                    key,
                    self.address,
                    problem.why,
                    attempt + 1,
                    wait_s,
                )
                await self._sleep(wait_s)
            else:
                return

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _post(self, body: bytes, key: str) -> None:
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity", "Idempotency-Key": key}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token.get_secret_value()}"
        session = self._opened_session()
        # The errors of aiohttp can hold the whole address: none of them is chained or quoted as it is.
        try:
            async with session.post(self._url, data=body, headers=headers, allow_redirects=False) as response:
                await self._judge(response)
        except aiohttp.ClientConnectorCertificateError:
            why = "its TLS certificate is not trusted; renew it, add its CA to the system's, or check the address"
            raise _TryAgain(why) from None
        except TimeoutError:
            raise _TryAgain(f"no answer within {self._timeout_s:g} s") from None
        except aiohttp.ClientConnectorError as error:
            raise _TryAgain(f"cannot connect ({error.os_error.strerror or type(error.os_error).__name__})") from None
        except (aiohttp.ClientError, OSError) as error:
            raise _TryAgain(f"the connection broke ({type(error).__name__})") from None

    async def _judge(self, response: aiohttp.ClientResponse) -> None:
        status = response.status
        if 200 <= status < 300:
            return
        answer = f"it answered {status}{await self._reply(response)}"
        if status in (401, 403):
            answer += "; check delivery.webhook_token"
        elif status == 404:
            answer += "; check delivery.webhook_url"
        if status in _MAY_BE_MENDED or status >= 500:
            raise _TryAgain(answer, self._retry_after_s(response.headers.get("Retry-After")))
        if 300 <= status < 400:
            advice = "redirects are not followed: set delivery.webhook_url to the final address"
        else:
            advice = "check delivery.webhook_url, and whether the receiver reads Alertmanager's webhook version 4"
        raise DeliveryError(f"{self.address} refused the alert: {answer}; {advice}")

    async def _reply(self, response: aiohttp.ClientResponse) -> str:
        """Return the beginning of the answer's text, without what it may repeat of our secrets."""
        try:
            data = await response.content.read(_MOST_REPLY_BYTES)
        except (aiohttp.ClientError, TimeoutError, OSError):
            return ""
        text = data.decode("utf-8", errors="replace")
        secrets = [str(self._url), self._url.raw_path_qs, self._url.path_qs, self._url.password or ""]
        if self._token is not None:
            secrets.append(self._token.get_secret_value())
        for secret in sorted(secrets, key=len, reverse=True):
            if len(secret) > 1:  # a path of "/" is none
                text = text.replace(secret, "[hidden]").replace(secret.replace("/", "\\/"), "[hidden]")
        text = clean(text, most=_MOST_REPLY_CHARS)
        return f" ({text})" if text else ""

    def _retry_after_s(self, header: str | None) -> float:
        """Read seconds or a date (RFC 9110, section 10.2.3); what is neither counts as not said."""
        if header is None:
            return 0.0
        text = header.strip()
        if text.isascii() and text.isdigit():
            seconds = float(text[:9])
        else:
            try:
                until = parsedate_to_datetime(text)
            except ValueError:
                return 0.0
            if until.tzinfo is None:
                until = until.replace(tzinfo=UTC)
            seconds = (until - self._now()).total_seconds()
        return min(max(seconds, 0.0), self._most_retry_after_s)

    def _opened_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=self._timeout, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
            )
        return self._session


def _checked_url(text: str) -> URL:
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        msg = "delivery.webhook_url is no http or https address with a host"  # not quoted: it may hold a secret
        raise ConfigError(msg)
    return url


def _checked_token(token: SecretStr | None) -> SecretStr | None:
    if token is None or not token.get_secret_value():
        return None
    if not token.get_secret_value().isascii() or not token.get_secret_value().isprintable():
        msg = "delivery.webhook_token holds characters that no HTTP header may carry; is there a line break at its end?"
        raise ConfigError(msg)
    return token
