"""What the charts draw, as JSON that is safe inside a script element. Pure.

No foreign text goes into a chart: plotly reads a little HTML of its own in labels, so messages, authors and even
names of companies stay outside, in the escaped page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from streams.monitor.bins import DAY_MS, to_ms
from streams.replay.report.lives import SEVERITIES, Life
from streams.replay.report.timeline import Bucket, CompanyTimeline, bucket_start

_MOST_DAYS = 1_500
_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})


def script_json(value: Any) -> str:
    """Return JSON that cannot end the script element it stands in, nor begin another: no `<`, `>` or `&` is in it."""
    return msgspec.json.encode(value).decode().translate(_ESCAPES)


def overview_chart(fired: Iterable[Life], *, start: datetime, end: datetime) -> dict[str, Any]:
    """Return how many alerts fired per day and severity, days without one included.

    Returns:
        `t0` start of the first day (ms), `step` (ms; a day, or weeks if the range is of many years), and under each
        severity a count per step.
    """
    length = to_ms(end) - to_ms(start)
    step = DAY_MS if length // DAY_MS < _MOST_DAYS else 7 * DAY_MS * -(-length // (7 * DAY_MS * _MOST_DAYS))
    times = [(bucket_start(to_ms(life.begin), step), life.severity) for life in fired]
    first = min([bucket_start(to_ms(start), step), *(at for at, _ in times)])
    last = max([bucket_start(to_ms(end), step), *(at for at, _ in times)])
    counts: dict[str, list[int]] = {severity: [0] * ((last - first) // step + 1) for severity in SEVERITIES}
    for at, severity in times:
        counts[severity][(at - first) // step] += 1
    return {"t0": first, "step": step, **counts}


def company_chart(
    timeline: CompanyTimeline,
    fired: Sequence[tuple[Life, str]],
    *,
    step: int,
    start: datetime,
    end: datetime,
) -> dict[str, Any]:
    """Return one company's timeline.

    Args:
        timeline: its hours, put together.
        fired: its alerts that fired, each with the id of its element on the page.
        step: length of a bucket, ms.
        start: begin of the range.
        end: its end.
    """
    hour = 3_600_000
    return {
        "start": bucket_start(to_ms(start), step),
        "end": bucket_start(to_ms(end), step) + step,
        "coarse": _series(timeline.coarse, step),
        "fine": _series(timeline.fine, hour) if timeline.fine else None,
        "alerts": [
            [
                to_ms(life.begin),
                None if life.ended is None else to_ms(life.ended),
                SEVERITIES.index(life.severity),
                element,
                life.shown.rule,
            ]
            for life, element in fired
        ],
    }


def _series(buckets: dict[int, Bucket], step: int) -> dict[str, Any]:
    """Return columns, by time; `t` counts steps from `t0`."""
    times = sorted(buckets)
    t0 = times[0] if times else 0
    rows = [buckets[at] for at in times]
    return {
        "t0": t0,
        "step": step,
        "t": [(at - t0) // step for at in times],
        "mentions": [row.mentions for row in rows],
        "votes": [row.votes for row in rows],
        "share": [_rounded(row.share) for row in rows],
        "usual": [_rounded(row.baseline) for row in rows],
        "low": [_rounded(row.low) for row in rows],
        "high": [_rounded(row.high) for row in rows],
        "tested": [_rounded(_tested(row)) for row in rows],
    }


def _tested(row: Bucket) -> float | None:
    """What a share may rise to before a rule calls that a rise."""
    return None if row.baseline is None or row.margin is None else min(1.0, row.baseline + row.margin)


def _rounded(share: float | None) -> float | None:
    """A tenth of a per cent is less than a pixel."""
    return None if share is None else round(share, 3)
