"""When nothing was heard of any company: time in which the feed was down, which is no data and not silence.

One company's silence says that nobody spoke of it. Silence of all of them, for hours, says that nobody was listening.
What is noted is in which five minutes of event time anything was published at all, also about companies of which this
partition keeps nothing (`Progress`, and so does a replay of one company), so that live and replay know the same. The
time of an idle partition goes on with the clock: it says nothing of what was published. Nor is a mention heard that was
taken ahead of its turn, of which a replay of another company knows nothing: its turn is. A time up to which all bins
are closed cannot be heard of any more within the lateness, whatever the order of arrival.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from streams.monitor.bins import HOUR_MS, to_ms
from streams.monitor.state import ClockState, Heard
from streams.records import LogEntry, Mention, Progress

STEP_MS = 300_000
LEAST_OUTAGE_MS = 6 * HOUR_MS
"""Less than this may be a night in which little is published; as silence it hardly moves a baseline of days."""
MOST_OUTAGES = 64
"""So many are remembered, the latest."""
MOST_AHEAD = 4096
"""So many steps wait for the watermark. Only what an outage may begin or end at is kept of them, which makes more than
a year of a message every minute."""
_LEAST_STEPS = LEAST_OUTAGE_MS // STEP_MS

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
        if record.ahead is True:
            return
        at_ms = to_ms(record.published_at)
    elif isinstance(record, Progress) and record.event_time is not None and not record.idle:
        at_ms = to_ms(record.event_time)
    else:
        return
    step, ahead = at_ms // STEP_MS, heard.ahead
    if step <= heard.last or (ahead and step == ahead[-1]):
        return
    place = bisect_left(ahead, step)
    if place < len(ahead) and ahead[place] == step:
        return
    ahead.insert(place, step)
    for number in (place + 1, place, place - 1):  # the later ones first, as the others' numbers then stay
        if 0 < number < len(ahead) - 1 and not _is_outage(ahead[number - 1], ahead[number + 1]):
            del ahead[number]  # with or without it, what lies around it is no outage
    if len(ahead) > MOST_AHEAD:
        del ahead[0]
        heard.last = 0  # rather an outage that is taken for silence than one that never was


def settle(heard: Heard, watermark_ms: int) -> None:
    """Let what was published until the watermark be known, and with it the outages; `heard` is changed in place."""
    ahead = heard.ahead
    count = bisect_right(ahead, watermark_ms // STEP_MS)
    if not count:
        return
    for step in ahead[:count]:
        if heard.last and _is_outage(heard.last, step):
            heard.outages.append(((heard.last + 1) * STEP_MS, step * STEP_MS))
        heard.last = step
    del ahead[:count]
    del heard.outages[:-MOST_OUTAGES]


def outages_until(heard: Heard | None, end_ms: int, watermark_ms: int) -> Sequence[Outage]:
    """Return the outages that a bin with something in it lies behind, as far as they are certain.

    Args:
        heard: what was heard; None where no rule asks.
        end_ms: end of the bin. It may be ahead of the watermark, as those of watched companies are: of the time from
            the watermark on nothing is certain, and it is taken for silence.
        watermark_ms: up to where nothing more can be heard.
    """
    if heard is None:
        return ()
    until = watermark_ms // STEP_MS
    if end_ms > watermark_ms and heard.last and _is_outage(heard.last, until):
        return [*heard.outages, ((heard.last + 1) * STEP_MS, until * STEP_MS)]
    return heard.outages


def _is_outage(before: int, after: int) -> bool:
    """Whether the time between two steps is one, if nothing was heard in it."""
    return after - before - 1 >= _LEAST_STEPS


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
