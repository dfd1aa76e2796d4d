"""E-mail through a real mail server, with and without TLS and a login."""

from __future__ import annotations

import email
import email.policy
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from streams.config import DeliverySettings
from streams.deliver import metrics
from streams.deliver.attempts import Refused, TryAgain
from streams.deliver.build import make_channel
from streams.deliver.mail import MailChannel
from tests.streams.deliver.test_shapes import HOSTILE, hostile
from tests.streams.invented_alert import sample_alert

SECRET = "hunter2-correct-horse"  # noqa: S105 - nobody's


class Postbox:
    """What a mail server took; it answers what it is told to."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.envelopes: list[tuple[str, list[str]]] = []
        self.answers: list[str] = []
        self.refused: set[str] = set()
        self.later: set[str] = set()
        self.port = 0

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if address in self.refused:
            return f"550 no such user {address}"
        if address in self.later:
            return f"450 greylisted {address}"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        answer = self.answers.pop(0) if self.answers else "250 taken as 17"
        if answer.startswith("250"):
            message = email.message_from_bytes(envelope.content, policy=email.policy.default)
            assert isinstance(message, EmailMessage)
            self.messages.append(message)
            self.envelopes.append((envelope.mail_from, envelope.rcpt_tos))
        return answer


class OnPort(Controller):
    """A controller that says which port the system gave it."""

    def __init__(self, box: Postbox, **options: Any) -> None:
        super().__init__(box, hostname="127.0.0.1", port=0, **options)
        self._box = box

    def _trigger_server(self) -> None:
        """Nothing is sent to port 0: the server is asked for its real one."""
        assert self.server is not None
        self._box.port = self.server.sockets[0].getsockname()[1]
        self.port = self._box.port
        super()._trigger_server()


@contextmanager
def postbox(**options: Any) -> Iterator[Postbox]:
    box = Postbox()
    controller = OnPort(box, **options)
    controller.start()
    try:
        yield box
    finally:
        controller.stop()


@pytest.fixture
def box() -> Iterator[Postbox]:
    with postbox() as box:
        yield box


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(cert)]
    subprocess.run([*command, "-days", "2", *names], check=True, capture_output=True)
    return key, cert


def channel(box: Postbox, **keys: Any) -> MailChannel:
    named = {
        "type": "email",
        "host": "127.0.0.1",
        "port": box.port,
        "security": "none",
        "sender": "squall@bank.example",
        "to": ["desk@bank.example", "night@bank.example"],
        "allow_private": True,
        "timeout_s": 5,
        **keys,
    }
    made = make_channel(DeliverySettings.model_validate({"receivers": {"mail": named}}), "mail")
    assert isinstance(made, MailChannel)
    return made


async def test_a_mail_has_a_plain_and_an_html_part_and_reads_well(box: Postbox) -> None:
    assert await channel(box).send(sample_alert()) == "it answered taken as 17"
    (message,) = box.messages
    assert box.envelopes == [("squall@bank.example", ["desk@bank.example", "night@bank.example"])]
    assert message["Subject"] == "ALERT (critical) Brindlemoor Foods (BRMFD): 62 % negative, usually 24 %"
    assert message["To"] == "desk@bank.example, night@bank.example"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Importance"] == "high"
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert "62 % of 41 stories in the last 60 minutes are negative" in plain.get_content()
    assert "squall replay --entity BRMFD" in plain.get_content()
    assert "警报" in plain.get_content()
    assert "<h2" in html.get_content()


async def test_all_mails_of_an_alert_are_one_thread_and_a_copy_has_the_same_id(box: Postbox) -> None:
    way = channel(box)
    for alert in (sample_alert(), sample_alert(), sample_alert(state="resolved", transition=2)):
        await way.send(alert)
    first, copy, over = box.messages
    assert first["Message-ID"] == copy["Message-ID"] == "<a1b2c3d4e5f60718-1.mail@bank.example>"
    assert over["Message-ID"] == "<a1b2c3d4e5f60718-2.mail@bank.example>"
    root = "<a1b2c3d4e5f60718.mail@bank.example>"
    assert all(one["References"] == one["In-Reply-To"] == root for one in box.messages)
    assert over["Subject"].startswith("OVER Brindlemoor Foods")
    assert over["Importance"] is None


async def test_nothing_from_outside_makes_a_header_a_tag_or_a_link(box: Postbox) -> None:
    alert = hostile(rule="x\r\nBcc: thief@evil.example")
    await channel(box).send(alert)
    (message,) = box.messages
    assert message["Bcc"] is None
    html = message.get_body(("html",))
    plain = message.get_body(("plain",))
    assert html is not None
    assert plain is not None
    for forged in ("<script", "<b>", "<at>", "https://evil", "evil.example", "<!channel"):
        assert forged not in html.get_content()
    assert "https://evil" not in plain.get_content()
    assert "&lt;script&gt;" in html.get_content()
    assert HOSTILE not in plain.get_content()


async def test_starttls_and_a_login(box: Postbox, certificate: tuple[Path, Path]) -> None:
    key, cert = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    logins: list[tuple[bytes, bytes]] = []

    def check(server: SMTP, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        logins.append((data.login, data.password))
        return AuthResult(success=data.password == SECRET.encode(), handled=False)

    options: dict[str, Any] = {"auth_required": True, "auth_require_tls": True, "authenticator": check}
    with postbox(tls_context=context, require_starttls=True, **options) as safe:
        login = {"security": "starttls", "username": "squall", "ca_file": cert}
        await channel(safe, **login, password=SECRET).send(sample_alert())
        assert logins == [(b"squall", SECRET.encode())]
        assert len(safe.messages) == 1
        with pytest.raises(TryAgain, match=r"check delivery\.receivers\.mail\.username and \.password") as caught:
            await channel(safe, **login, password="wrong-" + SECRET).send(sample_alert())
        assert SECRET not in str(caught.value)
        with pytest.raises(TryAgain, match=r"name its CA in ca_file"):
            await channel(safe, security="starttls").send(sample_alert())
    assert len(safe.messages) == 1


async def test_tls_from_the_start(certificate: tuple[Path, Path]) -> None:
    key, cert = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with postbox(ssl_context=context) as safe:
        # aiosmtpd's own trial connection speaks no TLS on port 0; ours does
        await channel(safe, security="tls", ca_file=cert).send(sample_alert())
        assert len(safe.messages) == 1


async def test_no_password_is_sent_where_starttls_is_not_offered(box: Postbox) -> None:
    way = channel(box, security="starttls", username="squall", password=SECRET)
    with pytest.raises(TryAgain, match="STARTTLS"):
        await way.send(sample_alert())
    assert box.messages == []


@pytest.mark.parametrize(
    ("answer", "kind"),
    [("451 try later", TryAgain), ("421 closing", TryAgain), ("554 no", Refused), ("552 too large", Refused)],
)
async def test_what_the_server_answers_decides(box: Postbox, answer: str, kind: type[Exception]) -> None:
    box.answers = [answer]
    with pytest.raises(kind, match=answer.split()[0]):
        await channel(box).send(sample_alert())
    await channel(box).send(sample_alert())
    assert len(box.messages) == 1


async def test_a_recipient_that_is_refused_keeps_nobody_else_from_the_mail(
    box: Postbox, caplog: pytest.LogCaptureFixture
) -> None:
    box.refused = {"night@bank.example"}
    await channel(box).send(sample_alert())
    assert box.envelopes == [("squall@bank.example", ["desk@bank.example"])]
    assert "does not take mail for night@bank.example" in caplog.text
    box.refused.add("desk@bank.example")
    with pytest.raises(Refused, match="550"):
        await channel(box).send(sample_alert())


async def test_a_recipient_that_is_to_come_later_gets_the_mail_later_and_nobody_gets_it_twice(box: Postbox) -> None:
    box.later = {"night@bank.example"}
    way = channel(box)
    for _ in range(2):
        with pytest.raises(TryAgain, match="for 1 of 2 recipients it answered 450 greylisted"):
            await way.send(sample_alert())
    box.later.clear()
    assert await way.send(sample_alert()) == "it answered taken as 17"
    assert [to for _, to in box.envelopes] == [["desk@bank.example"], ["night@bank.example"]]
    assert len({one["Message-ID"] for one in box.messages}) == 1
    assert {one["To"] for one in box.messages} == {"desk@bank.example, night@bank.example"}


async def test_one_refused_for_good_and_one_that_is_to_come_later(
    box: Postbox, caplog: pytest.LogCaptureFixture
) -> None:
    box.refused, box.later = {"desk@bank.example"}, {"night@bank.example"}
    counted = metrics.MAIL_REFUSED.labels("mail")
    before = counted._value.get()
    way = channel(box)
    with pytest.raises(TryAgain, match="450"):
        await way.send(sample_alert())
    box.later.clear()
    await way.send(sample_alert())
    assert [to for _, to in box.envelopes] == [["night@bank.example"]]
    assert counted._value.get() == before + 1, "it is asked for once"
    assert "does not take mail for desk@bank.example" in caplog.text


async def test_the_last_one_is_refused_for_good_after_another_has_the_mail(box: Postbox) -> None:
    box.later = {"night@bank.example"}
    way = channel(box)
    with pytest.raises(TryAgain):
        await way.send(sample_alert())
    box.later, box.refused = set(), {"night@bank.example"}
    assert await way.send(sample_alert()) == "the others have it"
    assert len(box.messages) == 1


async def test_one_after_the_other_refused_for_good_is_a_refusal(box: Postbox) -> None:
    box.refused, box.later = {"desk@bank.example"}, {"night@bank.example"}
    way = channel(box)
    with pytest.raises(TryAgain):
        await way.send(sample_alert())
    box.refused = {"desk@bank.example", "night@bank.example"}
    with pytest.raises(Refused, match="550"):
        await way.send(sample_alert())
    assert box.messages == []


async def test_a_server_that_is_away_or_may_not_be_called_is_tried_again(
    box: Postbox, unused: Callable[[], int]
) -> None:
    with pytest.raises(TryAgain, match="cannot connect"):
        await channel(box, port=unused()).send(sample_alert())
    with pytest.raises(TryAgain, match=r"its address 127\.0\.0\.1 is loopback, and may not be called"):
        await channel(box, allow_private=False).send(sample_alert())
    assert box.messages == []


@pytest.fixture
def unused() -> Callable[[], int]:
    from deploy.kafka import free_port

    return free_port
