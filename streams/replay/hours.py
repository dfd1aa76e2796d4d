"""An hour of a company on the timeline of a run: while it may still grow, and when it has ended.

Apart from `streams.replay.timeline` because that is compiled, see `streams.compiled`.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec


class TimelineRow(NamedTuple):
    """An hour that has ended; see `streams.replay.results.TimelinePoint`."""

    entity: str
    at_ms: int
    mentions: int
    votes: int
    negative: float
    baseline: float | None
    low: float | None
    high: float | None
    margin: float | None


class Hour(msgspec.Struct, array_like=True):
    """An hour that may still grow."""

    at_ms: int
    mentions: int = 0
    votes: int = 0
    negative: float = 0.0
    usual_votes: float | None = None
    """Of the baseline as of the hour's last bin; None if its rule had none."""
    usual_negative: float = 0.0
    recent_votes: float = 0.0
    recent_negative: float = 0.0
    unrest: float = 0.0
    unrest_blocks: float = 0.0
    """Of what a spike rule has learned beside its baseline; see `streams.monitor.usual`."""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(dict[str, Hour])


def encode_hours(hours: dict[str, Hour]) -> bytes:
    """Write the open hours of a partition, by company."""
    return _encoder.encode(hours)


def decode_hours(data: bytes) -> dict[str, Hour]:
    """Read what `encode_hours` wrote."""
    return _decoder.decode(data)
