"""E-mail: one message for each transition, in plain text and HTML; all messages of an alert are one thread.

The Message-ID is made of alert, transition and receiver: a copy that was sent twice, because an answer was lost, has
the same one, and mail programs show it once. All messages of an alert refer to one and the same root, by which they are
shown together.

A server answers for each recipient. Those that it asks to try later are tried again, without those that have the mail.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Literal

import aiosmtplib

from streams.deliver import metrics
from streams.deliver.addresses import AddressRefused, require_allowed
from streams.deliver.attempts import Refused, TryAgain
from streams.deliver.payload import idempotency_key
from streams.deliver.templates import Template
from streams.deliver.transport import hide, trusted
from streams.deliver.view import view
from streams.deliver.words import clean
from streams.receiver_sections import AllowPrivate
from streams.records import Alert

_log = logging.getLogger(__name__)

Security = Literal["starttls", "tls", "none"]

_PORTS: dict[Security, int] = {"starttls": 587, "tls": 465, "none": 25}
_MOST_REPLY_CHARS = 200
_MOST_SUBJECT = 200
_MOST_UNFINISHED = 1_000
"""Mails of which it is remembered who has them, while others are tried again."""
_POLICY = SMTP.clone(max_line_length=400, cte_type="7bit")
"""Subjects are not folded: some readers show the fold. RFC 5322 allows lines of 998."""
_FINAL = range(500, 600)
_MAY_BE_MENDED = frozenset({530, 534, 535, 538})
"""Logins that were refused: a desk that mends its password is to get what waited."""


def mail(
    alert: Alert,
    *,
    receiver: str,
    sender: str,
    to: Sequence[str],
    subject: str,
    text: str,
    html: str,
    now: datetime,
) -> EmailMessage:
    """Return the message for one transition. Pure.

    Args:
        alert: firing or resolved.
        receiver: name of the receiver, which is part of the Message-ID.
        sender: address it comes from.
        to: addresses it goes to.
        subject: one line.
        text: the plain part.
        html: the other part.
        now: the present time, UTC.
    """
    domain = sender.rpartition("@")[2]
    root = f"<{alert.id}.{receiver}@{domain}>"
    message = EmailMessage(_POLICY)
    message["From"] = sender
    message["To"] = ", ".join(to)
    message["Subject"] = clean(subject, most=_MOST_SUBJECT)
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{idempotency_key(alert)}.{receiver}@{domain}>"
    message["In-Reply-To"] = root
    message["References"] = root
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office notes in return
    message["X-Squall-Idempotency-Key"] = idempotency_key(alert)
    if alert.state == "firing" and alert.severity == "critical":
        message["Importance"] = "high"
    message.set_content(text)
    message.add_alternative(html, subtype="html")
    return message


@dataclass(slots=True)
class _Settled:
    """Recipients of one mail that are not asked for again."""

    taken: set[str] = field(default_factory=set)
    refused: dict[str, aiosmtplib.SMTPResponse] = field(default_factory=dict)


class MailChannel:
    """Hands messages to a mail server, over a connection for each.

    Args:
        host: the mail server.
        port: its port; the usual one of the security without it.
        security: how the connection is encrypted.
        receiver: name of the receiver.
        sender: address that alerts come from.
        to: addresses that alerts go to.
        subject: template.
        text: template.
        html: template.
        external_url: address of this Squall.
        username: for a login.
        password: its password.
        timeout_s: longest wait for an answer.
        allow_private: which addresses that are not public may be called.
        ca_file: authorities to trust instead of the system's.
        where: the key of the receiver's settings, for messages.
        now: reads the clock.

    Raises:
        ConfigError: the file of authorities cannot be loaded.
    """

    def __init__(
        self,
        host: str,
        port: int | None,
        security: Security,
        *,
        receiver: str,
        sender: str,
        to: Sequence[str],
        subject: Template,
        text: Template,
        html: Template,
        external_url: str,
        username: str | None = None,
        password: str | None = None,
        timeout_s: float = 10.0,
        allow_private: AllowPrivate = False,
        ca_file: Path | None = None,
        where: str = "",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._host = host
        self._port = port or _PORTS[security]
        self._security = security
        self._receiver = receiver
        self._sender = sender
        self._to = list(to)
        self._subject, self._text, self._html = subject, text, html
        self._external_url = external_url
        self._username = username
        self._password = password
        self._timeout_s = timeout_s
        self._allow_private = allow_private
        self._tls = None if security == "none" else trusted(ca_file) or ssl.create_default_context()
        self._where = where
        self._now = now
        self._unfinished: OrderedDict[str, _Settled] = OrderedDict()

    @property
    def address(self) -> str:
        """Host and port of the mail server."""
        return f"{self._host}:{self._port}"

    async def send(self, alert: Alert) -> str:
        """Send one message, once, to all who do not have it yet.

        It is delivered when nobody is left to try again and somebody has it; those that were refused for good are told
        loudly and counted.

        Raises:
            TryAgain: it may work later, for one recipient at least.
            Refused: it will not, for any of them.
        """
        key = idempotency_key(alert)
        settled = self._unfinished.pop(key, None) or _Settled()
        to = [one for one in self._to if one not in settled.taken and one not in settled.refused]
        values = view(alert, external_url=self._external_url)
        message = mail(
            alert,
            receiver=self._receiver,
            sender=self._sender,
            to=self._to,
            subject=" ".join(self._subject.fill(values).split()),
            text=self._text.fill(values),
            html=self._html.fill(values),
            now=self._now(),
        )
        try:
            async with asyncio.timeout(self._timeout_s * 3):  # a conversation of several answers
                problems, answer = await self._converse(message, to)
                settled.taken.update(one for one in to if one not in problems)
                return self._judged_all(settled, problems, answer)
        except (TimeoutError, aiosmtplib.SMTPTimeoutError):
            raise TryAgain(f"no answer within {self._timeout_s:g} s") from None
        except aiosmtplib.SMTPRecipientsRefused as error:
            answers = {one.recipient: aiosmtplib.SMTPResponse(one.code, one.message) for one in error.recipients}
            return self._judged_all(settled, answers, "")
        except aiosmtplib.SMTPResponseException as error:
            raise self._judged(error.code, error.message) from None
        except AddressRefused as error:
            raise TryAgain(str(error.strerror)) from None
        except ssl.SSLCertVerificationError:
            raise TryAgain("its TLS certificate is not trusted; renew it, or name its CA in ca_file") from None
        except OSError as error:
            raise TryAgain(_why_not_connected(error)) from None
        except (aiosmtplib.SMTPException, ValueError) as error:  # such as STARTTLS that is not offered
            raise TryAgain(f"the conversation broke: {self._shown(str(error))}") from None
        finally:
            # What is finished was said: it is forgotten, so that a copy that somebody asks for goes to all.
            if len(settled.taken) + len(settled.refused) < len(set(self._to)):
                self._unfinished[key] = settled
                while len(self._unfinished) > _MOST_UNFINISHED:
                    self._unfinished.popitem(last=False)

    async def aclose(self) -> None:
        """Nothing is held."""

    async def _converse(
        self, message: EmailMessage, to: Sequence[str]
    ) -> tuple[Mapping[str, aiosmtplib.SMTPResponse], str]:
        """Hand over one message, and return whom the server did not take it for, and what it said at last."""
        connection = await self._connected()
        client = aiosmtplib.SMTP(
            hostname=self._host,  # the name that the certificate has to bear
            sock=connection,
            local_hostname=self._sender.rpartition("@")[2],
            username=self._username,
            password=self._password,
            timeout=self._timeout_s,
            use_tls=self._security == "tls",
            start_tls=self._security == "starttls",
            tls_context=self._tls,
        )
        try:
            await client.connect()
            problems, answer = await client.sendmail(self._sender, to, message.as_bytes())
        finally:
            client.close()  # and with it the socket
        return problems, answer

    async def _connected(self) -> socket.socket:
        """Return a socket to the first address of the server that may be called and answers."""
        loop = asyncio.get_running_loop()
        problem: OSError = OSError("its name leads to no address")
        for family, kind, protocol, _, address in await loop.getaddrinfo(
            self._host, self._port, type=socket.SOCK_STREAM
        ):
            try:
                require_allowed(str(address[0]), self._allow_private)
            except AddressRefused as error:
                problem = error
                continue
            connection = socket.socket(family, kind, protocol)
            connection.setblocking(False)
            try:
                async with asyncio.timeout(self._timeout_s):
                    await loop.sock_connect(connection, address)
            except BaseException as error:
                connection.close()
                if not isinstance(error, OSError):
                    raise
                problem = error
            else:
                return connection
        raise problem

    def _judged_all(self, settled: _Settled, problems: Mapping[str, aiosmtplib.SMTPResponse], answer: str) -> str:
        """Return what came of a mail whose recipients the server took one by one.

        Args:
            settled: who has it, and who is refused for good; those of `problems` are added.
            problems: what the server said of those that it did not take now.
            answer: what it said of the others.

        Raises:
            TryAgain: for one of them it may work later.
            Refused: for none it will, and nobody has it.
        """
        later: list[TryAgain] = []
        refusals: list[Refused] = []
        for recipient, problem in problems.items():
            verdict = self._judged(problem.code, problem.message)
            if isinstance(verdict, TryAgain):
                later.append(verdict)
                continue
            refusals.append(verdict)
            settled.refused[recipient] = problem
            _log.error("%s does not take mail for %s: %s", self.address, recipient, verdict.why)
            metrics.MAIL_REFUSED.labels(self._receiver).inc()
        if later:
            raise TryAgain(f"for {len(later)} of {len(self._to)} recipients {later[0].why}")
        if settled.taken:
            return f"it answered {self._shown(answer)}" if answer else "the others have it"
        raise refusals[0]

    def _judged(self, code: int, message: str) -> TryAgain | Refused:
        answer = f"it answered {code} {self._shown(message)}"
        if code in _MAY_BE_MENDED:
            return TryAgain(f"{answer}; check {self._where}.username and .password")
        if code in _FINAL:
            return Refused(f"{answer}; check {self._where}.sender and .to")
        return TryAgain(answer)

    def _shown(self, text: str) -> str:
        return clean(hide(text, [self._password or ""]), most=_MOST_REPLY_CHARS)


def _why_not_connected(error: OSError) -> str:
    return f"cannot connect ({error.strerror or type(error).__name__})"
