"""The last line of defence: secrets that are known are masked in every line that leaves the process for a person.

Nothing here is a reason to log a secret. It is for the line that nobody thought of: an exception of a library that
quotes its arguments, a traceback, a client at its most talkative.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

if TYPE_CHECKING:
    from pydantic import BaseModel

MASK = "**********"
_LEAST_CHARS = 6
"""Shorter ones would mask parts of words; whoever has such a password has other worries."""
_LEAST_PIECE_CHARS = 12
_MOST_FILE_BYTES = 262_144


class Mask:
    """Replaces known secrets in texts."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def learn(self, secrets: Iterable[str]) -> None:
        """Know further secrets, in all the ways in which they may be written."""
        found = {form for secret in secrets for form in _forms(secret)}
        if found <= self._secrets:
            return
        self._secrets |= found
        longest_first = sorted(self._secrets, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def __call__(self, text: str) -> str:
        """Return a text without them."""
        return text if self._pattern is None else self._pattern.sub(MASK, text)


mask = Mask()
"""The process's own: there is one standard error."""


class MaskingFormatter(logging.Formatter):
    """Formats a record, its traceback included, and masks what must not be seen."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return mask(super().format(record))


def learn(settings: BaseModel) -> None:
    """Know the secrets of a configuration, those that stand in files included."""
    mask.learn(secrets_of(settings))


def mask_tracebacks() -> None:
    """Let an exception that nobody catches be printed without secrets."""

    def show(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
        sys.stderr.write(mask("".join(traceback.format_exception(kind, error, where))))

    sys.excepthook = show


def secrets_of(value: Any) -> Iterator[str]:
    """Yield the secrets of a configuration: those that are typed as such, and the content of files that hold one.

    A key that ends in `_file` names such a file if the key without it is a secret, or if it speaks of tokens. What
    cannot be read is left to whoever needs it to complain of.
    """
    from pydantic import BaseModel, SecretStr  # only where there is a configuration: `squall --help` waits for neither

    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        fields = type(value).model_fields
        for name in fields:
            content = getattr(value, name)
            yield from secrets_of(content)
            stem = name.removesuffix("_file")
            if isinstance(content, Path) and stem != name:
                if stem in fields and "SecretStr" in str(fields[stem].annotation):
                    yield from _content(content)
                elif "token" in stem:
                    yield from _values(content)
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from secrets_of(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from secrets_of(one)


def _content(path: Path) -> Iterator[str]:
    try:
        with path.open("rb") as file:
            yield file.read(_MOST_FILE_BYTES).decode().strip()
    except (OSError, UnicodeDecodeError):
        return


def _values(path: Path) -> Iterator[str]:
    """The values of a YAML file of names and tokens."""
    import yaml

    for text in _content(path):
        try:
            content = yaml.safe_load(text)
        except yaml.YAMLError:
            return
        if isinstance(content, dict):
            yield from (str(token) for token in content.values())


def _forms(secret: str) -> Iterator[str]:
    """The secret as it is, as Python, JSON and addresses write it, and as base64; of an address also what is in it."""
    parts = [secret]
    if secret.startswith(("http://", "https://")):
        address = urlsplit(secret)
        beyond = secret.partition(address.netloc)[2]  # the path and more: an error may name no more of it
        parts += [address.password] if address.password else []
        pieces = [beyond, address.query, *re.split(r"[/?&=]", beyond)]
        parts += [piece for piece in pieces if len(piece) >= _LEAST_PIECE_CHARS]  # not every /alerts
    for part in parts:
        for form in {
            part,
            unquote(part),
            quote(part, safe=""),
            quote(part),
            quote_plus(part),
            repr(part)[1:-1],
            json.dumps(part)[1:-1],
            base64.b64encode(part.encode()).decode().rstrip("="),
        }:
            if len(form) >= _LEAST_CHARS:
                yield form
