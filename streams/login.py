"""Whether Kafka lets us in, asked by hand and at once: its clients try for seconds, and then say only that it failed.

TCP, the TLS handshake and SASL, on a connection that is closed afterwards. A wrong password, an authority that is not
trusted and a certificate that is over each get a sentence of their own, with the key to look at. No secret is told.
"""

from __future__ import annotations

import socket
import ssl
import struct
from typing import Any

from kafka.net.sasl import get_sasl_mechanism

from streams.config import KafkaSettings
from streams.errors import BrokerError, ConfigError

_API_VERSIONS, _SASL_HANDSHAKE, _SASL_AUTHENTICATE = 18, 17, 36
_UNSUPPORTED_MECHANISM = 33
_MOST_ANSWER_BYTES = 1024 * 1024


class _RefusedError(Exception):
    """A broker answers and does not let us in: what it says, and what to do."""


def ssl_context(kafka: KafkaSettings) -> ssl.SSLContext | None:
    """Return a TLS context for an SSL protocol, or None.

    Raises:
        ConfigError: a certificate or key cannot be loaded.
    """
    if not kafka.security_protocol.endswith("SSL"):
        return None
    try:
        context = ssl.create_default_context(cafile=None if kafka.ssl_ca_file is None else str(kafka.ssl_ca_file))
        if kafka.ssl_cert_file is not None:
            # Without a password OpenSSL would ask for one on the terminal, and wait.
            password = "" if kafka.ssl_key_password is None else kafka.ssl_key_password.get_secret_value()
            context.load_cert_chain(kafka.ssl_cert_file, kafka.ssl_key_file, password)
    except (OSError, ssl.SSLError) as error:
        msg = f"kafka.ssl_*: cannot load the certificates: {error}"
        raise ConfigError(msg) from error
    return context


def require_login(kafka: KafkaSettings, timeout_s: float) -> None:
    """Return if one of the brokers lets us in.

    Args:
        kafka: addresses, protocol and login.
        timeout_s: longest wait for each answer.

    Raises:
        BrokerError: none can be reached, or one refuses us; it says which, why, and what to do.
        ConfigError: a certificate or key cannot be loaded.
    """
    context = ssl_context(kafka)
    reasons = []
    for server in kafka.bootstrap_servers:
        host, _, port = server.rpartition(":")
        host = host.strip("[]")
        try:
            connection = socket.create_connection((host, int(port)), timeout=timeout_s)
        except OSError as error:
            reasons.append(f"{server}: {error.strerror or error}")
            continue
        try:
            _log_in(connection, host, kafka, context)
        except _RefusedError as refusal:
            msg = f"cannot speak to Kafka at {server} as {kafka.security_protocol}: {refusal}"
            raise BrokerError(msg) from None
        return
    msg = (
        f"cannot reach Kafka ({'; '.join(reasons)}). Start the local broker with `squall broker start`, "
        f"or name your cluster in SQUALL_KAFKA__BOOTSTRAP_SERVERS"
    )
    raise BrokerError(msg)


def _log_in(connection: socket.socket, host: str, kafka: KafkaSettings, context: ssl.SSLContext | None) -> None:
    """Do the handshakes of the protocol; a plain connection is enough without TLS and SASL. Closes the connection."""
    try:
        if context is not None:
            connection = _secured(connection, host, kafka, context)
        if kafka.security_protocol.startswith("SASL"):
            _authenticate(connection, kafka)
    except TimeoutError:
        raise _RefusedError(
            "it accepts the connection and then says nothing. Check kafka.security_protocol, and a proxy in between"
        ) from None
    except (OSError, EOFError, struct.error):
        raise _RefusedError(
            "it ends the connection, or is no Kafka. Check kafka.security_protocol and the port"
        ) from None
    finally:
        connection.close()


def _secured(connection: socket.socket, host: str, kafka: KafkaSettings, context: ssl.SSLContext) -> socket.socket:
    try:
        secured = context.wrap_socket(connection, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        raise _RefusedError(_not_trusted(error.verify_message, kafka)) from None
    except ssl.SSLError as error:
        raise _RefusedError(_no_handshake(error, kafka)) from None
    try:
        if not kafka.security_protocol.startswith("SASL"):
            # With TLS 1.3 a broker refuses a client's certificate only after the handshake, at the first answer.
            _ask(secured, _API_VERSIONS, 0, b"")
    except ssl.SSLError as error:
        secured.close()
        raise _RefusedError(_no_handshake(error, kafka)) from None
    except BaseException:
        secured.close()
        raise
    return secured


def _not_trusted(why: str, kafka: KafkaSettings) -> str:
    if "expired" in why:
        return f"its certificate is over ({why}). Renew the broker's certificate, and look at this machine's clock"
    if "mismatch" in why or "not valid for" in why:
        return f"its certificate is another one's ({why}). Name the broker as its certificate does"
    named = "the system's authorities" if kafka.ssl_ca_file is None else str(kafka.ssl_ca_file)
    return (
        f"its certificate is not signed by an authority that is trusted here ({why}). "
        f"kafka.ssl_ca_file must hold the authority; it is {named}"
    )


def _no_handshake(error: ssl.SSLError, kafka: KafkaSettings) -> str:
    reason = (error.reason or str(error)).replace("_", " ").lower()
    if "alert" not in reason:
        return f"it does not speak TLS there ({reason}). Check kafka.security_protocol and the port"
    if kafka.ssl_cert_file is None:
        return (
            f"it refuses the handshake ({reason}), as one that asks for a client's certificate does. "
            f"Name one in kafka.ssl_cert_file and kafka.ssl_key_file"
        )
    return (
        f"it refuses the client's certificate {kafka.ssl_cert_file} ({reason}). Is it over, or of an authority that "
        f"the broker does not trust? See: openssl x509 -noout -dates -issuer -in {kafka.ssl_cert_file}"
    )


def _authenticate(connection: socket.socket, kafka: KafkaSettings) -> None:
    name = kafka.sasl_mechanism
    code, offered = _handshake(_ask(connection, _SASL_HANDSHAKE, 1, _text(name)))
    if code == _UNSUPPORTED_MECHANISM:
        raise _RefusedError(f"it does not take {name}, but {', '.join(offered)}. Set kafka.sasl_mechanism")
    if code:
        raise _RefusedError(f"it asks for no login there (error {code}). Check kafka.security_protocol and the port")
    options = kafka.client_options()
    mechanism: Any = get_sasl_mechanism(name)(**options)
    while not mechanism.is_done():
        answer = _ask(connection, _SASL_AUTHENTICATE, 0, _bytes(mechanism.auth_bytes()))
        (code,) = struct.unpack_from(">h", answer)
        if code:
            raise _RefusedError(
                f"it does not let user {kafka.sasl_username!r} in: the name, the password or the mechanism ({name}) "
                f"is wrong. Check kafka.sasl_username and kafka.sasl_password (SQUALL_KAFKA__SASL_PASSWORD)"
            )
        (length,) = struct.unpack_from(">h", answer, 2)
        at = 4 + max(0, length)
        (size,) = struct.unpack_from(">i", answer, at)
        try:
            mechanism.receive(answer[at + 4 : at + 4 + max(0, size)])
        except (ValueError, KeyError):
            raise _RefusedError(
                f"it does not know the password of {kafka.sasl_username!r} itself: is it the right cluster?"
            ) from None


def _handshake(answer: bytes) -> tuple[int, list[str]]:
    """Error code and the mechanisms that are offered."""
    code, count = struct.unpack_from(">hi", answer)
    names, at = [], 6
    for _ in range(max(0, count)):
        (length,) = struct.unpack_from(">h", answer, at)
        names.append(answer[at + 2 : at + 2 + length].decode(errors="replace"))
        at += 2 + length
    return code, names


def _ask(connection: socket.socket, api: int, version: int, body: bytes) -> bytes:
    """Send one request of Kafka's protocol (header version 1) and return the answer after its header."""
    request = struct.pack(">hhi", api, version, 1) + _text("squall-login") + body
    connection.sendall(_sized(request))
    (size,) = struct.unpack(">i", _exactly(connection, 4))
    if not 4 <= size <= _MOST_ANSWER_BYTES:
        raise EOFError
    return _exactly(connection, size)[4:]


def _exactly(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        piece = connection.recv(size - len(found))
        if not piece:
            raise EOFError
        found += piece
    return found


def _text(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()


def _bytes(content: bytes) -> bytes:
    return struct.pack(">i", len(content)) + content


_sized = _bytes
