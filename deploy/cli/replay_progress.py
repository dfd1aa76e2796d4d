"""How far a long run has come: a bar on a terminal, a line now and then elsewhere; both on standard error."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

LINE_EVERY_S = 10.0
"""A log gets a line this often."""


@dataclass
class Stretch:
    """One step of a run, as far as this process has gone it: what came before a kill counts for no rate."""

    name: str
    begun_s: float
    first: int | None = None
    """Records that were done already at the first report."""
    done: int = 0

    def rate(self, now_s: float) -> float:
        """Records a second."""
        return (self.done - (self.first or 0)) / max(now_s - self.begun_s, 1e-3)


class RunDisplay:
    """Shows the steps of a run; a context manager.

    Args:
        console: where to; its kind decides on bar or lines.
        clock: seconds that only go forward.
    """

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._bar = _bar(console) if console.is_terminal else None
        self._task: TaskID | None = None
        self._told_s = clock()
        self._stretch = Stretch("", clock())

    def __enter__(self) -> RunDisplay:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def begin(self, name: str, total: int | None = None) -> None:
        """Begin a step."""
        self._stretch = Stretch(name, self._clock())
        if self._bar is None:
            self._console.print(name, markup=False, soft_wrap=True)
            self._told_s = self._clock()
            return
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(name, total=total, at="", rate="")

    def update(self, done: int, total: int | None, event_time: datetime | None = None) -> None:
        """Say how far the step is.

        Args:
            done: records so far, those before a kill included.
            total: about how many there are; None if that is not known.
            event_time: the event time that was reached, UTC.
        """
        stretch, now_s = self._stretch, self._clock()
        if stretch.first is None:
            stretch.first = done
        stretch.done = done
        at = "" if event_time is None else f"{event_time:%Y-%m-%d %H:%M}"
        rate = f"{stretch.rate(now_s):,.0f}/s"
        if self._bar is not None and self._task is not None:
            # The estimate of a total may be too low; a bar that is over its end would only confuse.
            shown = None if total is None else max(total, done)
            self._bar.update(self._task, completed=done, total=shown, at=at, rate=rate)
        elif now_s - self._told_s >= LINE_EVERY_S:
            self._told_s = now_s
            self._console.print(_line(stretch, now_s, total, at), markup=False, soft_wrap=True)

    def rate(self) -> float:
        """Return the records a second of the step that is under way."""
        return self._stretch.rate(self._clock())


def _line(stretch: Stretch, now_s: float, total: int | None, at: str) -> str:
    rate = stretch.rate(now_s)
    parts = [f"{stretch.name}: {stretch.done:,}"]
    if total is not None and total >= stretch.done:
        parts[0] += f" of about {total:,} ({stretch.done / max(total, 1):.0%})"
    parts += [f"at {at}"] if at else []
    parts += [f"{rate:,.0f}/s"]
    if total is not None and rate > 0 and total >= stretch.done:
        parts += [f"{timedelta(seconds=round((total - stretch.done) / rate))} left"]
    return ", ".join(parts)


def _bar(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[at]}"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
