"""Kafka's TLS and SASL settings, in the words of aiokafka and of Faust."""

from __future__ import annotations

import ssl
from typing import Any

import faust
from faust.types.auth import CredentialsT

from streams.config import KafkaSettings
from streams.errors import ConfigError


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


def aiokafka_options(kafka: KafkaSettings) -> dict[str, Any]:
    """Options for aiokafka clients."""
    options: dict[str, Any] = {
        "bootstrap_servers": list(kafka.bootstrap_servers),
        "security_protocol": kafka.security_protocol,
        "ssl_context": ssl_context(kafka),
    }
    if kafka.security_protocol.startswith("SASL") and kafka.sasl_password is not None:
        options |= {
            "sasl_mechanism": kafka.sasl_mechanism,
            "sasl_plain_username": kafka.sasl_username,
            "sasl_plain_password": kafka.sasl_password.get_secret_value(),
        }
    return options


def faust_credentials(kafka: KafkaSettings) -> CredentialsT | None:
    """Return Faust's credentials; it takes the protocol from them. None for PLAINTEXT."""
    context = ssl_context(kafka)
    if kafka.security_protocol.startswith("SASL") and kafka.sasl_password is not None:
        return faust.SASLCredentials(
            username=kafka.sasl_username,
            password=kafka.sasl_password.get_secret_value(),
            mechanism=kafka.sasl_mechanism,
            ssl_context=context,
        )
    return None if context is None else faust.SSLCredentials(context=context)
