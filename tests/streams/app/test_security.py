"""TLS and SASL in the words of aiokafka and Faust, with certificates made on the spot."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

import faust
import pytest
from aiokafka import AIOKafkaProducer

from streams.app.security import aiokafka_options, faust_credentials, ssl_context
from streams.config import KafkaSettings
from streams.errors import ConfigError

PASSWORD = "only-for-this-test"  # noqa: S105
SASL = {"sasl_username": "desk", "sasl_password": PASSWORD}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A self-signed certificate and its key, once plain and once under PASSWORD."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("certificates are made with the openssl command, which is not installed")
    folder = tmp_path_factory.mktemp("tls")
    paths = {name: folder / f"{name}.pem" for name in ("cert", "key", "locked")}
    subject: list[str | Path] = ["-subj", "/CN=broker.invented", "-days", "2"]
    new = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run([*new, *subject, "-keyout", paths["key"], "-out", paths["cert"]], check=True, capture_output=True)
    lock: list[str | Path] = [
        openssl,
        "ec",
        "-in",
        paths["key"],
        "-aes256",
        "-passout",
        f"pass:{PASSWORD}",
        "-out",
        paths["locked"],
    ]
    subprocess.run(lock, check=True, capture_output=True)
    return paths


def kafka(**fields: Any) -> KafkaSettings:
    return KafkaSettings.model_validate({"bootstrap_servers": "broker.invented:9093", **fields})


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SASL_PLAINTEXT"])
def test_without_tls_there_is_no_context(protocol: str) -> None:
    assert ssl_context(kafka(security_protocol=protocol, **SASL)) is None


@pytest.mark.parametrize("protocol", ["SSL", "SASL_SSL"])
def test_with_tls_the_brokers_certificate_and_name_are_checked(protocol: str) -> None:
    context = ssl_context(kafka(security_protocol=protocol, **SASL))
    assert context is not None
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


def test_only_the_authorities_that_are_named_are_trusted(certificate: dict[str, Path]) -> None:
    context = ssl_context(kafka(security_protocol="SSL", ssl_ca_file=certificate["cert"]))
    assert context is not None
    (trusted,) = context.get_ca_certs()
    assert dict(pair[0] for pair in trusted["subject"])["commonName"] == "broker.invented"  # type: ignore[misc]


@pytest.mark.parametrize(("key", "password"), [("key", None), ("locked", PASSWORD)])
def test_a_client_certificate_is_loaded_with_its_key(
    certificate: dict[str, Path], key: str, password: str | None
) -> None:
    settings = kafka(
        security_protocol="SSL",
        ssl_cert_file=certificate["cert"],
        ssl_key_file=certificate[key],
        ssl_key_password=password,
    )
    assert ssl_context(settings) is not None


@pytest.mark.parametrize(
    "files",
    [
        {"ssl_ca_file": "missing.pem"},
        {"ssl_cert_file": "missing.pem"},
        {"ssl_cert_file": "cert", "ssl_key_file": "missing.pem"},
        {"ssl_cert_file": "cert", "ssl_key_file": "cert"},
        {"ssl_ca_file": "key"},
        {"ssl_cert_file": "cert", "ssl_key_file": "locked", "ssl_key_password": "wrong-password"},
    ],
)
def test_what_cannot_be_loaded_is_refused_without_a_word_of_the_password(
    certificate: dict[str, Path], files: dict[str, Any]
) -> None:
    given = {name: certificate.get(value, value) for name, value in files.items()}
    with pytest.raises(ConfigError, match=r"kafka\.ssl_\*: cannot load the certificates: ") as error:
        ssl_context(kafka(security_protocol="SSL", **given))
    assert "wrong-password" not in str(error.value)


async def test_aiokafka_takes_the_options_of_every_protocol(certificate: dict[str, Path]) -> None:
    for protocol in ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"):
        options = aiokafka_options(kafka(security_protocol=protocol, ssl_ca_file=certificate["cert"], **SASL))
        assert options["bootstrap_servers"] == ["broker.invented:9093"]
        assert (options["ssl_context"] is not None) == protocol.endswith("SSL")
        assert (options.get("sasl_plain_password") == PASSWORD) == protocol.startswith("SASL")
        await AIOKafkaProducer(**options).stop()  # it refuses what does not fit together


def test_faust_is_given_credentials_of_the_same_protocol(certificate: dict[str, Path]) -> None:
    assert faust_credentials(kafka()) is None
    tls = faust_credentials(kafka(security_protocol="SSL", ssl_ca_file=certificate["cert"]))
    assert isinstance(tls, faust.SSLCredentials)
    assert tls.protocol.value == "SSL"
    for protocol in ("SASL_PLAINTEXT", "SASL_SSL"):
        sasl = faust_credentials(kafka(security_protocol=protocol, sasl_mechanism="SCRAM-SHA-256", **SASL))
        assert isinstance(sasl, faust.SASLCredentials)
        assert sasl.protocol.value == protocol
        assert (sasl.username, sasl.password) == ("desk", PASSWORD)
        assert sasl.mechanism.value == "SCRAM-SHA-256"
