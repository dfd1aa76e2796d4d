"""What a worker process holds over time: memory, threads, open files, lag; and whether memory grows."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from deploy.bench.rig import WorkerProcess
from streams.errors import InputError, SquallError

MIB = 1024 * 1024
_PROC = Path("/proc")
_STATUS = re.compile(r"^(VmRSS|Threads):\s+(\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at a worker.

    Attributes:
        at_s: Unix time.
        rss_mib: resident memory, MiB.
        threads: of the process.
        files: open file descriptors.
        metrics: its /metrics, by name and by `name{labels}`.
    """

    at_s: float
    rss_mib: float
    threads: int
    files: int
    metrics: dict[str, float] = field(default_factory=dict)

    def waiting(self, topic: str) -> float:
        """Return the lag on a topic: records that are not done."""
        # The exposition format orders labels by name: the partition comes first.
        return sum(
            value
            for name, value in self.metrics.items()
            if name.startswith("squall_waiting_records{") and name.endswith(f",{topic}}}")
        )

    def total(self, name: str) -> float:
        """Return the sum of a metric's samples; 0 where it is not there."""
        return self.metrics.get(name, 0.0)


def look(process: WorkerProcess, now_s: float | None = None) -> Sample:
    """Look at a worker now.

    Raises:
        InputError: this is no Linux, which alone tells a process's memory in /proc.
        SquallError: the worker does not answer.
    """
    if not (_PROC / "self" / "status").exists():
        raise InputError("memory, threads and open files of a process are read from /proc, which only Linux has")
    folder = _PROC / str(process.pid)
    try:
        found = dict(_STATUS.findall((folder / "status").read_text(encoding="utf-8")))
        files = sum(1 for _ in (folder / "fd").iterdir())
    except OSError as error:
        raise SquallError(f"the worker is gone: {error}") from error
    return Sample(
        at_s=time.time() if now_s is None else now_s,
        rss_mib=int(found.get("VmRSS", 0)) / 1024,
        threads=int(found.get("Threads", 0)),
        files=files,
        metrics=process.metrics(),
    )


class Sampler:
    """Looks at a worker every so often, in a thread, as long as the context lasts.

    Args:
        process: the worker.
        every_s: time between two looks.
        told: called with each sample, in the thread.
    """

    def __init__(self, process: WorkerProcess, *, every_s: float, told: Callable[[Sample], None] | None = None) -> None:
        self._process = process
        self._every_s = every_s
        self._told = told
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler")
        self.samples: list[Sample] = []
        self.failure: SquallError | None = None
        """Why it looks no more: the worker has ended."""

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()
        if self.failure is not None and error is None:
            raise self.failure

    def _run(self) -> None:
        while not self._end.is_set():
            try:
                sample = look(self._process)
            except SquallError as failure:
                if self._process.is_alive():
                    continue  # too busy to answer this time
                self.failure = failure
                return
            self.samples.append(sample)
            if self._told is not None:
                self._told(sample)
            self._end.wait(self._every_s)


def slope_per_h(points: Sequence[tuple[float, float]]) -> float:
    """Return the slope of the line of least squares through (seconds, value), per hour.

    Raises:
        ValueError: there are fewer than two points, or all are of the same time.
    """
    if len({at_s for at_s, _ in points}) < 2:
        raise ValueError(f"{len(points)} points of one time have no slope")
    middle_s = sum(at_s for at_s, _ in points) / len(points)
    mean = sum(value for _, value in points) / len(points)
    above = sum((at_s - middle_s) * (value - mean) for at_s, value in points)
    below = sum((at_s - middle_s) ** 2 for at_s, _ in points)
    return above / below * 3600
