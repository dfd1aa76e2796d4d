"""Scores for the Numenta Anomaly Benchmark: mentions per five minutes, scored row by row with fixed defaults.

Reads a copy of the benchmark that the user has (`realTweets/*.csv` with the columns timestamp,value) and writes, per
method, a folder of CSV files with the columns timestamp,score: what a scorer of the benchmark takes. No labels are
read here. Every score is made of the rows up to its own, and no method is told a file's range, length or name.

Beside Squall's methods stand two simple ones, in the same run and under the same cooldown: a Gaussian over the last
6,400 rows, and the value over a slowly fading maximum.
"""

from __future__ import annotations

import csv
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from streams.errors import InputError
from streams.monitor import return_period, zscore
from streams.monitor.bins import DAY_MS, HOUR_MS, to_ms
from streams.monitor.return_period import ReturnPeriodOptions, ReturnPeriodState
from streams.monitor.zscore import ZscoreOptions, ZscoreState

COOLDOWN_MS = 12 * HOUR_MS
GAUSSIAN_ROWS = 6400
MAXIMUM_HALF_LIFE_DAYS = 7.0
LONGEST_PERIOD_DAYS = 30
"""A rule asks for "once in 30 days" and not for more; what is rarer is no new alarm within the cooldown."""


@dataclass(frozen=True, slots=True)
class Series:
    """One file: counts per step."""

    name: str
    timestamps: Sequence[str]
    """As written in the file."""
    times_ms: Sequence[int]
    counts: Sequence[float]


@dataclass(frozen=True, slots=True)
class Scored:
    """What a method made of a file."""

    method: str
    series: Series
    scores: Sequence[float]
    """After the cooldown; 0 where the method is silent."""
    cpu_s: float


def read_series(data: Path) -> list[Series]:
    """Read every file of `DATA/realTweets`, in order of name.

    Raises:
        InputError: there is none, or a line is not a time and a count, or times do not ascend.
    """
    paths = sorted((data / "realTweets").glob("*.csv"))
    if not paths:
        msg = f"{data} holds no realTweets/*.csv: give the folder of a copy of the Numenta Anomaly Benchmark's data"
        raise InputError(msg)
    return [_read(path) for path in paths]


def _read(path: Path) -> Series:
    timestamps: list[str] = []
    times_ms: list[int] = []
    counts: list[float] = []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                where = f"{path}:{len(counts) + 2}"
                at_ms, count = _cells(row, where)
                if times_ms and at_ms <= times_ms[-1]:
                    msg = f"{where}: {row['timestamp']} is not after the row before: sort the file by time"
                    raise InputError(msg)
                timestamps.append(row["timestamp"])
                times_ms.append(at_ms)
                counts.append(count)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        msg = f"cannot read {path}: {error}"
        raise InputError(msg) from error
    return Series(path.name, timestamps, times_ms, counts)


def _cells(row: dict[str, str], where: str) -> tuple[int, float]:
    try:
        at = datetime.fromisoformat(row["timestamp"])
        count = float(row["value"])
    except (KeyError, TypeError, ValueError) as error:
        msg = f"{where}: expected the columns timestamp,value with a time and a number, not {row}"
        raise InputError(msg) from error
    if not 0 <= count < math.inf:
        msg = f"{where}: {row['value']} is no possible count"
        raise InputError(msg)
    return to_ms(at if at.tzinfo else at.replace(tzinfo=UTC)), count


def by_return_period(series: Series) -> Iterator[float]:
    """Score each row by its return period in whole days, as far as the history reaches and a rule would ask for.

    A row that comes less than a step after the one before would overlap it, and is scored 0.
    """
    state, options = ReturnPeriodState(), ReturnPeriodOptions()
    for at_ms, count in zip(series.times_ms, series.counts, strict=True):
        found = None
        if at_ms >= state.end_ms:
            found = return_period.step(state, options, count=count, at_ms=at_ms)
        yield 0.0 if found is None else float(min(LONGEST_PERIOD_DAYS, int(found.days)))


def by_zscore(series: Series) -> Iterator[float]:
    """Score each row by its exponentially weighted z."""
    state, options = ZscoreState(), ZscoreOptions()
    for at_ms, count in zip(series.times_ms, series.counts, strict=True):
        found = zscore.step(state, options, value=count, at_ms=at_ms)
        yield 0.0 if found is None else max(0.0, found.z)


def by_windowed_gaussian(series: Series) -> Iterator[float]:
    """Score each row by 1 - Q(z) under the last rows' mean and deviation, as the benchmark's own detector does.

    Far out the score rounds to 1: such rows tie, and the cooldown keeps back all but the first.
    """
    window: deque[float] = deque(maxlen=GAUSSIAN_ROWS)
    total = squares = 0.0
    for count in series.counts:
        score = 0.0
        if len(window) > 1:
            mean = total / len(window)
            deviation = math.sqrt(max(0.0, squares / len(window) - mean * mean))
            if deviation > 0:
                score = 1 - math.erfc((count - mean) / deviation / math.sqrt(2)) / 2
        yield score
        if len(window) == GAUSSIAN_ROWS:
            total -= window[0]
            squares -= window[0] ** 2
        window.append(count)
        total += count
        squares += count * count


def by_decayed_maximum(series: Series) -> Iterator[float]:
    """Score each row by its value over a maximum of the rows before that fades with a half-life."""
    highest, before_ms = 0.0, None
    for at_ms, count in zip(series.times_ms, series.counts, strict=True):
        if before_ms is not None:
            highest *= 0.5 ** ((at_ms - before_ms) / (MAXIMUM_HALF_LIFE_DAYS * DAY_MS))
        yield count / highest if highest > 0 else 0.0
        highest, before_ms = max(highest, count), at_ms


METHODS: dict[str, Callable[[Series], Iterator[float]]] = {
    "return_period": by_return_period,
    "zscore": by_zscore,
    "windowed_gaussian": by_windowed_gaussian,
    "decayed_maximum": by_decayed_maximum,
}


def cool_down(times_ms: Sequence[int], scores: Sequence[float]) -> list[float]:
    """Silence each score that is no higher than another of the twelve hours before it; [rows].

    At whatever threshold, this is an alarm followed by twelve hours in which only a rise in severity fires again.
    """
    cooled = []
    highest: deque[tuple[int, float]] = deque()
    for at_ms, score in zip(times_ms, scores, strict=True):
        while highest and highest[0][0] <= at_ms - COOLDOWN_MS:
            highest.popleft()
        cooled.append(score if not highest or score > highest[0][1] else 0.0)
        while highest and highest[-1][1] <= score:
            highest.pop()
        highest.append((at_ms, score))
    return cooled


def run(data: Path, scores: Path | None = None) -> list[Scored]:
    """Score every file by every method; write `SCORES/METHOD/FILE` if a folder is given.

    Raises:
        InputError: see `read_series`; or a file cannot be written.
    """
    found = []
    for series in read_series(data):
        for method, score in METHODS.items():
            began_s = time.process_time()
            cooled = cool_down(series.times_ms, list(score(series)))
            found.append(Scored(method, series, cooled, time.process_time() - began_s))
    for one in found if scores is not None else ():
        assert scores is not None  # noqa: S101  # said once more for the type checker
        _write(scores / one.method / one.series.name, one)
    return found


def _write(path: Path, scored: Scored) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("timestamp", "score"))
            writer.writerows(
                (timestamp, repr(score))
                for timestamp, score in zip(scored.series.timestamps, scored.scores, strict=True)
            )
    except OSError as error:
        msg = f"cannot write {path}: {error.strerror}"
        raise InputError(msg) from error
