"""The watermark of one partition of `squall.mentions`.

Messages come from several partitions of `squall.messages`, and a backlog is read partition by partition: one may be
days of event time ahead of another. The watermark is therefore the least event time over the message partitions that
are not idle, less the allowed lateness, as in Flink's per-split watermarks. Idle partitions say so in the log
(`Progress`), so that whoever reads the log again closes the same bins.

Companies on a watch list have a watermark of their own. While messages wait, theirs are taken ahead of their turn, and
`AheadProgress` says how far: their minutes close by that, and need not wait for the messages of all others.
"""

from __future__ import annotations

from collections.abc import Mapping

from streams.monitor.bins import to_ms
from streams.monitor.state import ClockState, FeedState
from streams.records import AheadProgress, LogEntry, Mention, Seed

_NOTHING: Mapping[int, int] = {}


def observe(state: ClockState, record: LogEntry, *, lateness_ms: int) -> int | None:
    """Take one record into account and return the watermark, in milliseconds; it never goes back.

    None means that some message partition has not been heard of, so that no bin may close yet. A seed tells of the
    past: it moves nothing. A mention that was taken ahead of its turn says that its partition is awake, and no more.
    """
    if isinstance(record, Mention):
        feed = _feed(state, record.origin.partition)
        # Of one that was taken ahead, what stands before it on its partition is yet to come.
        at_ms = None if record.ahead is True else to_ms(record.published_at)
        feed.idle = False
    elif isinstance(record, Seed):
        return state.watermark_ms
    elif isinstance(record, AheadProgress):
        state.ahead[record.partition] = max(to_ms(record.event_time), state.ahead.get(record.partition, 0))
        _advance_watched(state, lateness_ms)
        return state.watermark_ms
    else:
        state.partitions = max(state.partitions, record.partitions)
        feed = _feed(state, record.partition)
        at_ms = None if record.event_time is None else to_ms(record.event_time)
        feed.idle = record.idle
    if at_ms is not None and (feed.high_ms is None or at_ms > feed.high_ms):
        feed.high_ms = at_ms
    candidate = _least(state)
    if candidate is not None:
        candidate -= lateness_ms
        if state.watermark_ms is None or candidate > state.watermark_ms:
            state.watermark_ms = candidate
    if state.ahead:
        _advance_watched(state, lateness_ms)
    return state.watermark_ms


def watched_watermark(state: ClockState) -> int | None:
    """Return the watermark of companies on a watch list, in milliseconds; it is never behind that of all."""
    if state.watermark_ms is None or state.watched_ms is None:
        return state.watermark_ms
    return max(state.watermark_ms, state.watched_ms)


def _advance_watched(state: ClockState, lateness_ms: int) -> None:
    """Take what was read ahead into account, and forget of it what has had its turn."""
    for partition in [number for number in state.ahead if number in state.feeds]:
        high_ms = state.feeds[partition].high_ms
        if high_ms is not None and high_ms >= state.ahead[partition]:
            del state.ahead[partition]
    candidate = _least(state, state.ahead)
    if candidate is not None and candidate - lateness_ms > (state.watched_ms or 0):
        state.watched_ms = candidate - lateness_ms


def _feed(state: ClockState, partition: int) -> FeedState:
    feed = state.feeds.get(partition)
    if feed is None:
        feed = state.feeds[partition] = FeedState()
    return feed


def _least(state: ClockState, ahead: Mapping[int, int] = _NOTHING) -> int | None:
    """Return the event time that all partitions have come to, in turn or, of those in `ahead`, ahead of it."""
    if not state.partitions or len(state.feeds) < state.partitions:
        return None
    least = None
    for number, feed in state.feeds.items():
        if feed.idle:
            continue
        high_ms = feed.high_ms
        if number in ahead:
            high_ms = max(ahead[number], high_ms or 0)
        if high_ms is None:
            return None
        if least is None or high_ms < least:
            least = high_ms
    if least is not None:
        return least
    ended = [feed.high_ms for feed in state.feeds.values() if feed.high_ms is not None]
    return max(ended, default=None)
