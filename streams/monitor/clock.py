"""The watermark of one partition of `squall.mentions`.

Messages come from several partitions of `squall.messages`, and a backlog is read partition by partition: one may be
days of event time ahead of another. The watermark is therefore the least event time over the message partitions that
are not idle, less the allowed lateness, as in Flink's per-split watermarks. Idle partitions say so in the log
(`Progress`), so that whoever reads the log again closes the same bins.
"""

from __future__ import annotations

from streams.monitor.bins import to_ms
from streams.monitor.state import ClockState, FeedState
from streams.records import LogEntry, Mention, Seed


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
    return state.watermark_ms


def _feed(state: ClockState, partition: int) -> FeedState:
    feed = state.feeds.get(partition)
    if feed is None:
        feed = state.feeds[partition] = FeedState()
    return feed


def _least(state: ClockState) -> int | None:
    if not state.partitions or len(state.feeds) < state.partitions:
        return None
    least = None
    for feed in state.feeds.values():
        if feed.idle:
            continue
        if feed.high_ms is None:
            return None
        if least is None or feed.high_ms < least:
            least = feed.high_ms
    if least is not None:
        return least
    ended = [feed.high_ms for feed in state.feeds.values() if feed.high_ms is not None]
    return max(ended, default=None)
