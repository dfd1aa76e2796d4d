"""From Kafka's times of arrival to rates and delays. Pure.

All times are Kafka's own (`LogAppendTime`), milliseconds since the epoch, of one broker: no clocks are compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple


class Arrival(NamedTuple):
    """A message on `squall.messages`."""

    partition: int
    offset: int
    arrived_ms: int
    published_ms: int
    entity: str
    """The one company that it is about."""


class Raised(NamedTuple):
    """An alert on `squall.alerts`."""

    entity: str
    bin_end_ms: int
    """Event time of the transition: the end of the bin that brought it about."""
    arrived_ms: int


class Delay(NamedTuple):
    """How long one alert took, in milliseconds; `waiting_ms + service_ms` is all."""

    waiting_ms: int
    """From the arrival of the company's last message of the bin to the arrival of the message that let the bin close:
    the rest of the minute and the allowed lateness, which no software can shorten."""
    service_ms: int
    """From there to the alert's arrival on `squall.alerts`: scoring, monitoring, and Kafka four times."""


def steady_rate(records: Iterable[tuple[datetime, int]]) -> float:
    """Return records per second from the end of the first batch to the end of the last.

    The first batch arrives all at once, after a start-up that is not to be measured; counting its records, or the time
    before them, would both be wrong.

    Args:
        records: (what all records of a batch have in common, when the record arrived in milliseconds).

    Raises:
        ValueError: there are fewer than two batches, or all came in the same millisecond.
    """
    counts: dict[datetime, int] = {}
    ends_ms: dict[datetime, int] = {}
    for batch, arrived_ms in records:
        counts[batch] = counts.get(batch, 0) + 1
        ends_ms[batch] = max(ends_ms.get(batch, arrived_ms), arrived_ms)
    ordered = sorted(counts, key=lambda batch: ends_ms[batch])
    if len(ordered) < 2 or ends_ms[ordered[0]] == ends_ms[ordered[-1]]:
        msg = f"{len(ordered)} batches are too few to measure a rate after the first: publish more messages"
        raise ValueError(msg)
    rest = sum(counts[batch] for batch in ordered[1:])
    return rest / (ends_ms[ordered[-1]] - ends_ms[ordered[0]]) * 1000


def closing_ms(arrivals: Sequence[Arrival], *, bin_end_ms: int, lateness_ms: int, partitions: int) -> int | None:
    """Return when the message arrived that let a bin close: the last partition's first one past it and the lateness.

    None if some partition has no such message. All partitions must be busy up to there, or an idle one has no say.
    """
    first: dict[int, int] = {}
    for arrival in arrivals:
        if arrival.published_ms >= bin_end_ms + lateness_ms:
            known = first.get(arrival.partition)
            first[arrival.partition] = arrival.arrived_ms if known is None else min(known, arrival.arrived_ms)
    return max(first.values()) if len(first) == partitions else None


def delays(alerts: Iterable[Raised], arrivals: Sequence[Arrival], *, lateness_ms: int, partitions: int) -> list[Delay]:
    """Return the delay of each alert whose bin was closed by a message of this feed."""
    last: dict[tuple[str, int], int] = {}
    for arrival in arrivals:
        key = arrival.entity, arrival.published_ms // 60_000
        last[key] = max(last.get(key, 0), arrival.arrived_ms)
    closed: dict[int, int | None] = {}
    found = []
    for alert in alerts:
        end = alert.bin_end_ms
        if end not in closed:
            closed[end] = closing_ms(arrivals, bin_end_ms=end, lateness_ms=lateness_ms, partitions=partitions)
        close, tipped = closed[end], last.get((alert.entity, (end - 1) // 60_000))
        if close is not None and tipped is not None:
            found.append(Delay(waiting_ms=close - tipped, service_ms=alert.arrived_ms - close))
    return found
