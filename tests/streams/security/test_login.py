"""Every kind of login at a real, secured broker; and what is said where it does not let us in."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from streams.config import KafkaSettings
from streams.errors import BrokerError
from streams.login import require_login
from streams.topics import admin_client
from tests.streams.security.secure_broker import ADMIN, LISTENERS, SecureBroker

pytestmark = [pytest.mark.broker, pytest.mark.timeout(300)]

WRONG = "wrong-planted-password"


def settings(broker: SecureBroker, protocol: str, user: str = "scorer", **more: Any) -> KafkaSettings:
    return KafkaSettings.model_validate(broker.settings(protocol, user, **more))


def refusal(kafka: KafkaSettings) -> str:
    with pytest.raises(BrokerError) as error:
        require_login(kafka, timeout_s=5)
    text = str(error.value)
    assert text.startswith(f"cannot speak to Kafka at {kafka.bootstrap_servers[0]} as {kafka.security_protocol}: ")
    assert "planted" not in text
    return text


@pytest.mark.parametrize("protocol", LISTENERS)
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_user_logs_in_by_every_protocol(secure_kafka: SecureBroker, protocol: str, mechanism: str) -> None:
    kafka = settings(secure_kafka, protocol, ADMIN, sasl_mechanism=mechanism)
    require_login(kafka, timeout_s=5)
    with admin_client(kafka) as admin:
        assert admin.describe_cluster()["brokers"]


@pytest.mark.parametrize("protocol", ["SASL_SSL", "SASL_PLAINTEXT"])
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_wrong_password_is_told_with_the_user_and_the_key(
    secure_kafka: SecureBroker, protocol: str, mechanism: str
) -> None:
    told = refusal(settings(secure_kafka, protocol, sasl_password=WRONG, sasl_mechanism=mechanism))
    assert "it does not let user 'scorer' in" in told
    assert "SQUALL_KAFKA__SASL_PASSWORD" in told


def test_an_unknown_user_is_told_as_a_wrong_password_is(secure_kafka: SecureBroker) -> None:
    assert "it does not let user 'nobody' in" in refusal(settings(secure_kafka, "SASL_SSL", sasl_username="nobody"))


def test_a_mechanism_that_is_not_offered_is_told_with_those_that_are(secure_kafka: SecureBroker) -> None:
    told = refusal(settings(secure_kafka, "SASL_SSL", sasl_mechanism="PLAIN"))
    assert "it does not take PLAIN, but SCRAM-SHA-" in told
    assert "kafka.sasl_mechanism" in told


@pytest.mark.parametrize("protocol", ["SASL_SSL", "SSL"])
def test_a_broker_of_an_authority_that_is_not_trusted_is_refused(secure_kafka: SecureBroker, protocol: str) -> None:
    stranger = secure_kafka.stranger.cert
    told = refusal(settings(secure_kafka, protocol, ssl_ca_file=str(stranger)))
    assert "not signed by an authority that is trusted here" in told
    assert f"kafka.ssl_ca_file must hold the authority; it is {stranger}" in told


def test_the_name_of_the_broker_must_be_that_of_its_certificate(secure_kafka: SecureBroker) -> None:
    server = f"localhost:{secure_kafka.ports['SSL']}"  # it has one for 127.0.0.1
    assert "its certificate is another one's" in refusal(settings(secure_kafka, "SSL", bootstrap_servers=server))


def test_a_certificate_that_is_over_is_told_with_the_command_that_shows_it(secure_kafka: SecureBroker) -> None:
    pair = secure_kafka.authority.issue("monitor", expired=True)
    told = refusal(settings(secure_kafka, "SSL", ssl_cert_file=str(pair.cert), ssl_key_file=str(pair.key)))
    assert f"it refuses the client's certificate {pair.cert}" in told
    assert f"openssl x509 -noout -dates -issuer -in {pair.cert}" in told


def test_a_certificate_of_another_authority_is_refused(secure_kafka: SecureBroker) -> None:
    pair = secure_kafka.stranger.issue("admin")
    told = refusal(settings(secure_kafka, "SSL", ssl_cert_file=str(pair.cert), ssl_key_file=str(pair.key)))
    assert "it refuses the client's certificate" in told


def test_a_broker_that_asks_for_a_certificate_is_told(secure_kafka: SecureBroker) -> None:
    told = refusal(settings(secure_kafka, "SSL", ssl_cert_file=None, ssl_key_file=None))
    assert "kafka.ssl_cert_file" in told


@pytest.mark.parametrize(
    ("spoken", "listener"),
    [("SSL", "SASL_PLAINTEXT"), ("SASL_SSL", "SASL_PLAINTEXT"), ("SASL_PLAINTEXT", "SASL_SSL"), ("SASL_SSL", "SSL")],
)
def test_another_protocol_than_the_listeners_is_told_at_once(
    secure_kafka: SecureBroker, spoken: str, listener: str
) -> None:
    server = f"127.0.0.1:{secure_kafka.ports[listener]}"
    assert "Check kafka.security_protocol" in refusal(
        settings(secure_kafka, spoken, bootstrap_servers=server)
    ) or "kafka.ssl_cert_file" in refusal(settings(secure_kafka, spoken, bootstrap_servers=server))


def test_a_broker_whose_own_certificate_is_over_is_told(secure_kafka: SecureBroker) -> None:
    # A server of our own: Kafka does not even start with such a certificate, but one may run out while it runs.
    over = secure_kafka.authority.issue("broker", expired=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(over.cert, over.key)

    def serve() -> None:
        connection, _ = server.accept()
        with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True):
            pass
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        told = refusal(settings(secure_kafka, "SASL_SSL", bootstrap_servers=address))
        thread.join()
    assert "its certificate is over (certificate has expired)" in told
    assert "Renew the broker's certificate" in told


@pytest.fixture
def oddity() -> Iterator[Any]:
    """`oddity(answer)`: address of a server that answers everything with these bytes, or with silence."""
    servers: list[socket.socket] = []

    def begin(answer: bytes | None) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def serve() -> None:
            kept = []
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    break
                kept.append(connection)
                if answer is not None:
                    with suppress(OSError):  # whoever asked has hung up
                        connection.sendall(answer)
                        connection.shutdown(socket.SHUT_WR)
            for connection in kept:
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        threads.append(thread)
        return f"127.0.0.1:{server.getsockname()[1]}"

    threads: list[threading.Thread] = []
    yield begin
    for server in servers:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x7f\xff\xff\xff", b"\x00\x00\x00\x04\x00\x00\x00\x01"]
)
@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
def test_what_is_no_kafka_is_refused_whatever_it_says(oddity: Any, answer: bytes, protocol: str) -> None:
    kafka = KafkaSettings.model_validate(
        {
            "bootstrap_servers": oddity(answer),
            "security_protocol": protocol,
            "sasl_username": "scorer",
            "sasl_password": WRONG,
        }
    )
    assert "Check kafka.security_protocol" in refusal(kafka)


def test_a_server_that_says_nothing_is_not_waited_for_for_ever(oddity: Any) -> None:
    kafka = KafkaSettings.model_validate(
        {
            "bootstrap_servers": oddity(None),
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_username": "scorer",
            "sasl_password": WRONG,
        }
    )
    with pytest.raises(BrokerError, match="accepts the connection and then says nothing"):
        require_login(kafka, timeout_s=0.2)
