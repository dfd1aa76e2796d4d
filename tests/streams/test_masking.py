"""The last line of defence: what is known to be secret is masked, however it is written."""

from __future__ import annotations

import base64
import io
import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.config import Settings
from streams.masking import MASK, Mask, MaskingFormatter, mask, secrets_of

SECRET = 'pl\'anted "pass\\word" ü/?&'  # noqa: S105  # with everything that is written otherwise somewhere


def known(*secrets: str) -> Mask:
    found = Mask()
    found.learn(secrets)
    return found


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        repr(SECRET)[1:-1],
        repr([SECRET]),
        json.dumps({"password": SECRET}),
        quote(SECRET, safe=""),
        base64.b64encode(SECRET.encode()).decode(),
    ],
)
def test_a_secret_is_masked_however_it_is_written(written: str) -> None:
    shown = known(SECRET)(f"it said {written}, and more")
    assert "anted" not in shown
    assert MASK in shown
    assert shown.endswith(", and more")


def test_of_a_secret_address_the_path_is_masked_too_and_the_host_is_not() -> None:
    masking = known("https://hooks.chat.example/services/T000/B000/plantedplantedplanted?sig=anotherplanted")
    shown = masking("cannot post to /services/T000/B000/plantedplantedplanted?sig=anotherplanted of hooks.chat.example")
    assert "planted" not in shown
    assert "hooks.chat.example" in shown
    assert "planted" not in masking("refused: plantedplantedplanted")


def test_without_secrets_and_with_tiny_ones_nothing_changes() -> None:
    assert Mask()("as it is") == "as it is"
    assert known("a", "", "abc")("abracadabra") == "abracadabra"


@given(st.text(min_size=6, max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_no_known_secret_is_left(secret: str, before: str, after: str) -> None:
    if secret not in MASK:
        assert secret not in known(secret)(before + secret + after).replace(MASK, "")


def settings(**sections: Any) -> Settings:
    return Settings.model_validate(sections)


def test_all_secrets_of_a_configuration_are_known_those_in_files_and_receivers_included(tmp_path: Path) -> None:
    token, tokens, key = tmp_path / "token", tmp_path / "tokens.yaml", tmp_path / "signing"
    token.write_text("planted-in-a-file\n")
    tokens.write_text("anna: planted-token-of-anna-01\nbo: planted-token-of-bo-0123\n")
    key.write_text("planted-signing-key")
    found = set(
        secrets_of(
            settings(
                kafka={
                    "security_protocol": "SASL_SSL",
                    "sasl_username": "desk",
                    "sasl_password": "planted-kafka",
                    "ssl_key_password": "planted-key-password",
                },
                worker={"api_token": "planted-api-token-0123", "api_tokens_file": str(tokens)},
                delivery={
                    "webhook_url": "http://127.0.0.1:1/planted",
                    "webhook_token": "planted-webhook",
                    "receivers": {
                        "chat": {"type": "slack", "url": "https://chat.example/planted-chat"},
                        "hook": {
                            "type": "webhook",
                            "url": "https://x.example/",
                            "token_file": str(token),
                            "signing_key_file": str(key),
                        },
                        "call": {"type": "pagerduty", "routing_key": "planted-routing-key"},
                        "gone": {"type": "pagerduty", "routing_key_file": str(tmp_path / "missing")},
                    },
                },
            )
        )
    )
    assert found >= {
        "planted-kafka", "planted-key-password", "planted-api-token-0123", "planted-token-of-anna-01",
        "planted-token-of-bo-0123", "http://127.0.0.1:1/planted", "planted-webhook", "https://chat.example/planted-chat",
        "planted-in-a-file", "planted-signing-key", "planted-routing-key",
    }  # fmt: skip


def test_a_log_line_and_its_traceback_are_masked() -> None:
    mask.learn(["planted-in-a-traceback"])
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(MaskingFormatter("%(message)s"))
    logger = logging.Logger("masked")
    logger.addHandler(handler)
    try:
        raise RuntimeError("login with planted-in-a-traceback failed")
    except RuntimeError as error:
        logger.exception("failed: %r with %s", error, {"password": "planted-in-a-traceback"})
    assert "Traceback" in stream.getvalue()
    assert "planted" not in stream.getvalue()


def test_an_exception_that_nobody_catches_is_masked() -> None:
    program = """
from streams.masking import mask, mask_tracebacks
mask.learn(["planted-and-uncaught"])
mask_tracebacks()
raise RuntimeError("planted" + "-and-uncaught")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert f"RuntimeError: {MASK}" in done.stderr
    assert "planted-and-uncaught" not in done.stderr.replace('learn(["planted-and-uncaught"])', "")
