"""Tokens: who they belong to, what is refused as one, and how guesses are counted."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from streams.api_section import ApiSettings
from streams.app.tokens import FailedLogins, Tokens, read_tokens
from streams.errors import ConfigError

ANNA = "anna-planted-token-0123456789"
BO = "bo-planted-token-0123456789ab"


@pytest.mark.parametrize(
    ("header", "whose"),
    [
        (f"Bearer {ANNA}", "anna"),
        (f"bearer  {BO} ", "bo"),
        (f"Basic {ANNA}", None),
        (ANNA, None),
        (f"Bearer {ANNA}x", None),
        (f"Bearer {ANNA[:-1]}", None),
        ("Bearer", None),
        ("Bearer ", None),
        ("", None),
        (None, None),
        ("Bearer \udcff\udcfe", None),
    ],
)
def test_a_token_is_its_owners_and_nothing_else_is_anybodys(header: str | None, whose: str | None) -> None:
    assert Tokens({"anna": ANNA, "bo": BO}).name(header) == whose


def test_without_tokens_there_is_nobody() -> None:
    assert not Tokens({})
    assert Tokens({}).name("Bearer ") is None


@pytest.mark.parametrize("token", ["short", "with a blank in the middle", "höflich-und-lang-genug-hier", "x" * 19])
def test_a_weak_token_is_refused_and_not_quoted(token: str) -> None:
    with pytest.raises(ValidationError) as error:
        ApiSettings.model_validate({"api_token": token})
    assert token not in str(error.value)


def test_the_one_token_is_the_desks_and_those_of_a_file_have_names(tmp_path: Path) -> None:
    file = tmp_path / "tokens.yaml"
    file.write_text(f"anna: {ANNA}\nbo: {BO}\n")
    settings = ApiSettings(api_token=SecretStr("desk-planted-token-012345"), api_tokens_file=file)
    assert read_tokens(settings) == {"desk": "desk-planted-token-012345", "anna": ANNA, "bo": BO}
    assert read_tokens(ApiSettings()) == {}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (f"anna: {ANNA}\nbo: {ANNA}\n", "bo: it is the token of anna too"),
        ("anna: planted\n", "anna: a token needs 20 characters at least"),
        (f"anna@desk.example: {ANNA}\n", "no e-mail address"),
        (f"- {ANNA}\n", "lines of NAME: TOKEN"),
        (f"{{anna: {ANNA}\n", "lines of NAME: TOKEN"),
        ("", "lines of NAME: TOKEN"),
        (None, "cannot read"),
    ],
)
def test_a_file_of_tokens_that_is_wrong_is_told_without_its_tokens(
    tmp_path: Path, content: str | None, told: str
) -> None:
    file = tmp_path / "tokens.yaml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=told) as error:
        read_tokens(ApiSettings(api_tokens_file=file))
    assert "planted" not in str(error.value)
    assert "worker.api_tokens_file" in str(error.value)


def test_a_certificate_comes_with_its_key() -> None:
    with pytest.raises(ValidationError, match="tls_cert_file and tls_key_file come together"):
        ApiSettings(tls_cert_file=Path("cert.pem"))


def test_guesses_of_one_address_are_too_many_for_a_minute() -> None:
    logins = FailedLogins(most=3, within_s=60)
    assert [logins.failed("10.0.0.1", now) for now in (0, 1, 2, 3, 4)] == [False, False, False, True, True]
    assert not logins.failed("10.0.0.2", 4)
    assert logins.failed("10.0.0.1", 59)
    assert not logins.failed("10.0.0.1", 200)


def test_no_flood_of_addresses_fills_the_memory() -> None:
    logins = FailedLogins(most=1, remembered=10)
    for number in range(1_000):
        logins.failed(f"10.0.{number // 256}.{number % 256}", 0.0)
    assert len(logins._failures) == 10
