"""When nothing was heard of any company: time in which the feed was down, which is no data and not silence.

One company's silence says that nobody spoke of it. Silence of all of them, for hours, says that nobody was listening.
What is noted is in which five minutes of event time anything was published at all, also about companies of which this
partition keeps nothing (`Progress`, and so does a replay of one company), so that live and replay know the same. A
time up to which all bins are closed cannot be heard of any more within the lateness, whatever the order of arrival.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from streams.monitor.bins import HOUR_MS, to_ms
from streams.monitor.state import ClockState, Heard
from streams.records import LogEntry, Mention, Progress

STEP_MS = 300_000
LEAST_OUTAGE_MS = 6 * HOUR_MS
"""Less than this may be a night in which little is published; as silence it hardly moves a baseline of days."""
MOST_OUTAGES = 64
"""So many are remembered, the latest."""

Outage = tuple[int, int]
"""Begin and end, ms since the epoch."""


def hear(clock: ClockState, record: LogEntry) -> None:
    """Take one record of the log into account, after the clock has; `clock` is changed in place."""
    heard = clock.heard
    if heard is None:
        heard = clock.heard = Heard()
    note(heard, record)
    if clock.watermark_ms is not None:
        settle(heard, clock.watermark_ms)


def note(heard: Heard, record: LogEntry) -> None:
    """Take note that something was published; `heard` is changed in place."""
    if isinstance(record, Mention):
        at_ms = to_ms(record.published_at)
    elif isinstance(record, Progress) and record.event_time is not None:
        at_ms = to_ms(record.event_time)
    else:
        return
    step = at_ms // STEP_MS
    if step > heard.last and step not in heard.ahead:
        heard.ahead.append(step)


def settle(heard: Heard, watermark_ms: int) -> None:
    """Let what was published until the watermark be known, and with it the outages; `heard` is changed in place."""
    until = watermark_ms // STEP_MS
    due = sorted(step for step in heard.ahead if step <= until)
    if not due:
        return
    heard.ahead = sorted(step for step in heard.ahead if step > until)
    for step in due:
        begin_ms, end_ms = (heard.last + 1) * STEP_MS, step * STEP_MS
        if heard.last and end_ms - begin_ms >= LEAST_OUTAGE_MS:
            heard.outages.append((begin_ms, end_ms))
        heard.last = step
    del heard.outages[:-MOST_OUTAGES]


def outages_until(heard: Heard | None, end_ms: int) -> Sequence[Outage]:
    """Return the outages that a bin with something in it lies behind.

    Args:
        heard: what was heard; None where no rule asks.
        end_ms: end of the bin. It may be ahead of the watermark, as those of watched companies are: the time before it
            is then judged by what was heard of it so far.
    """
    if heard is None:
        return ()
    ahead = sorted(step for step in heard.ahead if step * STEP_MS < end_ms)
    if not ahead:
        return heard.outages
    found, last = list(heard.outages), heard.last
    for step in ahead:
        if last and (step - last - 1) * STEP_MS >= LEAST_OUTAGE_MS:
            found.append(((last + 1) * STEP_MS, step * STEP_MS))
        last = step
    return found


def silences(since_ms: int, until_ms: int, outages: Sequence[Outage]) -> Iterator[tuple[int, int, bool]]:
    """Cut a span into stretches, oldest first: begin, end, and whether the feed was up.

    Args:
        since_ms: begin of the span.
        until_ms: its end.
        outages: ascending.
    """
    at_ms = since_ms
    for begin_ms, end_ms in outages:
        if end_ms <= at_ms or begin_ms >= until_ms:
            continue
        if begin_ms > at_ms:
            yield at_ms, begin_ms, True
        yield max(at_ms, begin_ms), min(end_ms, until_ms), False
        at_ms = min(end_ms, until_ms)
    if at_ms < until_ms:
        yield at_ms, until_ms, True
