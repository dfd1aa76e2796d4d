"""Where the monitor's state stands on Kafka: names and keys, for who writes it and who only looks. No Faust here."""

from __future__ import annotations

from streams.config import Settings

STATE_TABLE = "state"

_SEPARATOR = b"\x1e"


def group(settings: Settings, role: str) -> str:
    """Return the consumer group of a role, which is its Faust app's id."""
    return f"{settings.topics.prefix}-{role}"


def state_changelog(settings: Settings) -> str:
    """Return the topic that holds the monitor's state; Faust names it after the app and the table."""
    return f"{group(settings, 'monitor')}-{STATE_TABLE}-changelog"


def full_key(partition: int, key: str) -> bytes:
    """Return the table's key of a monitor's key: it begins with its partition."""
    return str(partition).encode() + _SEPARATOR + key.encode()


def split_key(full: bytes) -> tuple[int, str]:
    """Return partition and monitor's key of a table's key. Raises ValueError for what is none."""
    partition, separator, key = full.partition(_SEPARATOR)
    if not separator:
        msg = f"{full!r} is no key of the monitor's state"
        raise ValueError(msg)
    return int(partition), key.decode()
