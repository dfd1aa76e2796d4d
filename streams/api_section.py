"""The keys of `worker` that say who may post to it, and under which certificate."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr, field_validator, model_validator

from streams.section import Section

LEAST_TOKEN_CHARS = 20
"""What keeps guesses out is the length: 20 random letters and digits are more than 100 bits."""


class ApiSettings(Section):
    """Who may post verdicts, and TLS."""

    api_token: SecretStr | None = None
    """Who sends it as `Authorization: Bearer` may post verdicts (POST /verdicts); they are by `desk`. 20 characters at
    least: `openssl rand -hex 24` makes one. Unset, and api_tokens_file too: there is no such address."""
    api_tokens_file: Path | None = None
    """YAML file of several tokens, `NAME: TOKEN`, such as a mounted secret: a verdict is by the name of its token."""
    tls_cert_file: Path | None = None
    """PEM certificate (with its chain) under which the worker's address speaks HTTPS. Unset: HTTP."""
    tls_key_file: Path | None = None
    """PEM key of tls_cert_file, without a password."""

    @field_validator("api_token")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and (why := weakness(value.get_secret_value())):
            raise ValueError(why)
        return value

    @model_validator(mode="after")
    def _certificate_and_key(self) -> ApiSettings:
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            msg = "tls_cert_file and tls_key_file come together"
            raise ValueError(msg)
        return self


def weakness(token: str) -> str | None:
    """Say what is wrong with a token, without a word of it; None if it will do."""
    if len(token) < LEAST_TOKEN_CHARS:
        return f"a token needs {LEAST_TOKEN_CHARS} characters at least: openssl rand -hex 24"
    if not token.isascii() or not token.isprintable() or " " in token:
        return "a token is of visible ASCII characters: openssl rand -hex 24"
    return None
