"""Who sends a token, and how often somebody may guess. Pure, but for the files that are read at the start."""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict, deque
from collections.abc import Mapping

import yaml

from streams.api_section import ApiSettings, weakness
from streams.errors import ConfigError, InputError
from streams.verdicts import check_name

DESK = "desk"
"""Who judges with the one `worker.api_token`."""
_MOST_FILE_BYTES = 262_144


class Tokens:
    """Finds the name that belongs to a token, in a time that says nothing of which one came near.

    Args:
        tokens: token by name.
    """

    def __init__(self, tokens: Mapping[str, str]) -> None:
        self._digests = [(name, _digest(token)) for name, token in tokens.items()]

    def __bool__(self) -> bool:
        return bool(self._digests)

    def name(self, authorization: str | None) -> str | None:
        """Return whose token an `Authorization` header holds; None for nobody's."""
        scheme, _, token = (authorization or "").partition(" ")
        given = _digest(token.strip())
        found = None
        for name, digest in self._digests:  # all of them, whichever it is
            if hmac.compare_digest(digest, given) and scheme.lower() == "bearer":
                found = name
        return found


def read_tokens(settings: ApiSettings) -> dict[str, str]:
    """Return token by name.

    Raises:
        ConfigError: a file cannot be read, or a token in it is too weak or stands there twice; no token is quoted.
    """
    tokens: dict[str, str] = {}
    if settings.api_token is not None:
        _add(tokens, DESK, settings.api_token.get_secret_value(), "worker.api_token")
    path = settings.api_tokens_file
    if path is None:
        return tokens
    try:
        with path.open("rb") as file:
            several = yaml.safe_load(file.read(_MOST_FILE_BYTES))
    except OSError as error:
        msg = f"worker.api_tokens_file: cannot read {path}: {error.strerror}"
        raise ConfigError(msg) from None
    except (yaml.YAMLError, UnicodeDecodeError):
        several = None  # what YAML says of it quotes it
    if not isinstance(several, dict) or not several:
        msg = f"worker.api_tokens_file: {path} is to hold lines of NAME: TOKEN"
        raise ConfigError(msg)
    for name, token in several.items():
        _add(tokens, str(name), str(token), f"worker.api_tokens_file: {path}")
    return tokens


def _add(tokens: dict[str, str], name: str, token: str, where: str) -> None:
    why = weakness(token)
    try:
        check_name(name)
    except InputError as error:
        why = str(error)
    if name in tokens:
        why = "there is one token for a name"
    elif token in tokens.values():
        why = f"it is the token of {next(known for known, other in tokens.items() if other == token)} too"
    if why is not None:
        msg = f"{where}: {name}: {why}"
        raise ConfigError(msg)
    tokens[name] = token


class FailedLogins:
    """Counts wrong tokens by address, so that guessing fills no log. Pure: the clock is an argument.

    Who has a right token is never held up: behind a proxy all clients share an address, and somebody else's guesses
    must not lock the desk out. What keeps guesses from being right is the tokens' length.

    Args:
        most: failures of one address within the time.
        within_s: the time, seconds.
        remembered: addresses that are kept count of; the oldest are forgotten.
    """

    def __init__(self, most: int = 10, within_s: float = 60.0, remembered: int = 1_024) -> None:
        self._most = most
        self._within_s = within_s
        self._remembered = remembered
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def failed(self, address: str, now_s: float) -> bool:
        """Count a failure and return whether there were too many of this address.

        Args:
            address: whose.
            now_s: a clock that only goes forward, seconds.
        """
        times = self._failures.pop(address, None) or deque(maxlen=self._most + 1)
        times.append(now_s)
        while times[0] < now_s - self._within_s:
            times.popleft()
        self._failures[address] = times
        while len(self._failures) > self._remembered:
            self._failures.popitem(last=False)
        return len(times) > self._most


def _digest(token: str) -> bytes:
    """Of one length for all, so that a comparison takes the same time for all."""
    return hashlib.sha256(token.encode(errors="surrogateescape")).digest()
