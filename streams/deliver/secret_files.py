"""Secrets that the configuration holds or names a file for: read once at the start, and never quoted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import SecretStr

from streams.errors import ConfigError

_MOST_BYTES = 16_384


def secret(settings: Any, name: str, where: str) -> str | None:
    """Return a secret, from its key or from the file that the key with `_file` names; None without both.

    A line break at the end of a file is not part of it: editors put one there.

    Args:
        settings: of one receiver.
        name: the key, such as `url`.
        where: the receiver's own key, such as `delivery.receivers.desk`.

    Raises:
        ConfigError: the file cannot be read or is empty.
    """
    value: SecretStr | None = getattr(settings, name)
    if value is not None:
        return value.get_secret_value() or None
    path: Path | None = getattr(settings, f"{name}_file", None)
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES)
        text = content.decode("utf-8").rstrip("\r\n")
    except OSError as error:
        msg = f"{where}.{name}_file: cannot read {path}: {error.strerror}"
        raise ConfigError(msg) from None
    except UnicodeDecodeError:
        msg = f"{where}.{name}_file: {path} is no text"
        raise ConfigError(msg) from None
    if not text:
        msg = f"{where}.{name}_file: {path} is empty"
        raise ConfigError(msg)
    return text


def required_secret(settings: Any, name: str, where: str) -> str:
    """Return a secret that the settings are known to name.

    Raises:
        ConfigError: its file cannot be read, or it is empty.
    """
    found = secret(settings, name, where)
    if found is None:
        msg = f"{where}.{name} is empty"
        raise ConfigError(msg)
    return found
