"""HTTP to a receiver: one POST, judged, with nothing secret in what is said about it. All HTTP receivers share it."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import aiohttp
from yarl import URL

from streams.deliver.addresses import AddressRefused, checked_socket, why_refused
from streams.deliver.attempts import Refused, TryAgain
from streams.deliver.words import clean
from streams.errors import ConfigError
from streams.receiver_sections import AllowPrivate

_MAY_BE_MENDED = frozenset({401, 403, 404, 408, 425, 429})
_MOST_REPLY_BYTES = 2_048
_MOST_REPLY_CHARS = 200
_ODD_ADDRESS = re.compile(r"(.*\.)?(\d+|0[xX][0-9a-fA-F]*)\.?")
"""No name ends in a number: 2130706433, 127.1 and 0x7f000001 are old ways to write 127.0.0.1."""


@dataclass(frozen=True, slots=True)
class Advice:
    """Which settings to check, by what a receiver answered."""

    address: str
    """Key of the address."""
    login: str
    """Key of the token, password or key."""
    shape: str
    """What it has to be able to read."""


class HttpTransport:
    """POSTs to one receiver.

    Connection errors, timeouts, 408, 425, 429 and 5xx may pass, and so may 401, 403 and 404: a desk that mends its
    token or its receiver is to get what waited. Every other answer but 2xx is final. Redirects are not followed,
    proxies of the environment are not used, no cookies are kept, and answers are not unpacked.

    Only scheme, host and port of an address are ever shown: with many receivers the path is the secret.

    Args:
        timeout_s: longest wait for an answer.
        allow_private: which addresses that are not public may be called.
        advice: settings to name in what is said.
        secrets: what must not be repeated from an answer, beside the address.
        ca_file: authorities to trust instead of the system's.
        now: reads the clock, for a `Retry-After` that names a date.

    Raises:
        ConfigError: the file of authorities cannot be loaded.
    """

    def __init__(
        self,
        *,
        timeout_s: float,
        allow_private: AllowPrivate,
        advice: Advice,
        secrets: Iterable[str] = (),
        ca_file: Path | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._timeout_s = timeout_s
        self._allow_private = allow_private
        self._advice = advice
        self._secrets = tuple(secret for secret in secrets if secret)
        self._ssl = trusted(ca_file)
        self._now = now
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: URL, body: bytes, headers: Mapping[str, str]) -> str:
        """Post once, and return what the receiver answered.

        Raises:
            TryAgain: it may work later.
            Refused: it will not.
        """
        session = self._opened_session()
        sent = {"Content-Type": "application/json", "Accept-Encoding": "identity", **headers}
        # The errors of aiohttp can hold the whole address: none of them is chained or quoted as it is.
        try:
            async with session.post(url, data=body, headers=sent, allow_redirects=False) as response:
                return await self._judge(url, response)
        except aiohttp.ClientConnectorCertificateError:
            why = "its TLS certificate is not trusted; renew it, name its CA in ca_file, or check the address"
            raise TryAgain(why) from None
        except TimeoutError:
            raise TryAgain(f"no answer within {self._timeout_s:g} s") from None
        except aiohttp.ClientConnectorError as error:
            raise TryAgain(_why_not_connected(error.os_error)) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise TryAgain(f"the connection broke ({type(error).__name__})") from None

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _judge(self, url: URL, response: aiohttp.ClientResponse) -> str:
        status = response.status
        answer = f"it answered {status}{await self._reply(url, response)}"
        if 200 <= status < 300:
            return answer
        if status in (401, 403):
            answer += f"; check {self._advice.login}"
        elif status == 404:
            answer += f"; check {self._advice.address}"
        if status in _MAY_BE_MENDED or status >= 500:
            raise TryAgain(answer, self._retry_after_s(response.headers.get("Retry-After")))
        if 300 <= status < 400:
            advice = f"redirects are not followed: set {self._advice.address} to the final address"
        else:
            advice = f"check {self._advice.address}, and whether the receiver reads {self._advice.shape}"
        raise Refused(f"{answer}; {advice}")

    async def _reply(self, url: URL, response: aiohttp.ClientResponse) -> str:
        """Return the beginning of the answer's text, without what it may repeat of our secrets."""
        try:
            data = await response.content.read(_MOST_REPLY_BYTES)
        except (aiohttp.ClientError, TimeoutError, OSError):
            return ""
        secrets = (str(url), url.raw_path_qs, url.path_qs, url.raw_path, url.path, url.password or "", *self._secrets)
        text = clean(hide(data.decode("utf-8", errors="replace"), secrets), most=_MOST_REPLY_CHARS)
        return f" ({text})" if text else ""

    def _retry_after_s(self, header: str | None) -> float:
        """Read seconds or a date (RFC 9110, section 10.2.3); what is neither counts as not said."""
        if header is None:
            return 0.0
        text = header.strip()
        if text.isascii() and text.isdigit():
            return float(text[:9])
        try:
            until = parsedate_to_datetime(text)
        except (ValueError, OverflowError, TypeError):  # an odd zone or number makes the reader raise more than it says
            return 0.0
        if until.tzinfo is None:
            until = until.replace(tzinfo=UTC)
        return max((until - self._now()).total_seconds(), 0.0)

    def _opened_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                ssl=self._ssl or True,
                socket_factory=checked_socket(self._allow_private),
                use_dns_cache=False,  # a name that was mended is to work at the next attempt
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session


def hide(text: str, secrets: Iterable[str]) -> str:
    """Replace secrets in a text, also where JSON has escaped their slashes. Pure."""
    for secret in sorted({secret for secret in secrets if len(secret) > 1}, key=len, reverse=True):
        text = text.replace(secret, "[hidden]").replace(secret.replace("/", "\\/"), "[hidden]")
    return text


def trusted(ca_file: Path | None) -> ssl.SSLContext | None:
    """Return a TLS context for a file of authorities; None, the usual one, without.

    Raises:
        ConfigError: it cannot be loaded.
    """
    if ca_file is None:
        return None
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except (OSError, ssl.SSLError) as error:
        msg = f"ca_file {ca_file} cannot be loaded: {error}"
        raise ConfigError(msg) from None


def read_url(text: str, where: str, allowed: AllowPrivate) -> URL:
    """Read a receiver's address.

    Args:
        text: the address; it is not quoted, as it may hold a secret.
        where: the key that it stands under.
        allowed: which addresses that are not public may be called.

    Raises:
        ConfigError: it is no http or https address with a host, it holds a login, or its host is an address that may
            not be called.
    """
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        msg = f"{where} is no http or https address with a host"
        raise ConfigError(msg)
    if url.user is not None or url.password is not None:
        msg = f"{where} holds a user or password before the host: take them out, and set the receiver's token, or its"
        msg += " username and password, where its type has them"
        raise ConfigError(msg)
    try:
        kind = why_refused(url.host, allowed)
    except ValueError:  # a name: it is checked when it is called
        kind = "an odd spelling of an address" if _ODD_ADDRESS.fullmatch(url.host) else None
    if kind is not None:
        msg = f"{where} leads to {url.host}, which is {kind}: if it is meant, set allow_private beside it"
        raise ConfigError(msg)
    return url


def require_header_text(value: str, where: str) -> str:
    """Refuse a secret that no HTTP header may carry, without quoting it.

    Raises:
        ConfigError: it may not.
    """
    if not value.isascii() or not value.isprintable():
        msg = f"{where} holds characters that no HTTP header may carry; is there a line break at its end?"
        raise ConfigError(msg)
    return value


def _why_not_connected(error: OSError) -> str:
    if isinstance(error, AddressRefused):
        return str(error.strerror)
    return f"cannot connect ({error.strerror or type(error).__name__})"
