"""Event-time bins of one minute, in integer milliseconds since the epoch (UTC)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

BIN_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_ms(time: datetime) -> int:
    """Milliseconds since the epoch, rounded down; exact integers, so that equal times stay equal."""
    since = time - _EPOCH
    return since.days * DAY_MS + since.seconds * 1000 + since.microseconds // 1000


def from_ms(ms: int) -> datetime:
    """Return the UTC time of `to_ms`'s value."""
    return _EPOCH + timedelta(milliseconds=ms)


def bin_start(ms: int) -> int:
    """Start of the bin that holds a time, in milliseconds."""
    return ms - ms % BIN_MS


def bin_end(ms: int) -> int:
    """End of the bin that holds a time; the bin is [start, end), in milliseconds."""
    return bin_start(ms) + BIN_MS
