"""Kafka's TLS and SASL settings, in the words of aiokafka and of Faust."""

from __future__ import annotations

from typing import Any

import faust
from faust.types.auth import CredentialsT

from streams.config import KafkaSettings
from streams.login import ssl_context

__all__ = ["aiokafka_options", "faust_credentials", "ssl_context"]


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
