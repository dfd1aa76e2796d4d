"""How fast and how large a replay is: the real command in a process of its own, report and all."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from deploy.bench.figures import Figure
from streams.errors import InputError
from streams.replay.results import load_run

AGAINST_MENTIONS_PER_S = 20_000
AGAINST_MIB = 500


def run(sources: Sequence[str], *, extra: Sequence[str] = ()) -> list[Figure]:
    """Replay scored mentions with `squall replay --as-scored` and return its figures.

    The rate counts everything: start, reading, monitor, journal, results and report.

    Args:
        sources: as for the command.
        extra: further options of the command.

    Raises:
        InputError: the command failed; its own words are on standard error.
    """
    with tempfile.TemporaryDirectory(prefix="squall-bench-") as scratch:
        out = Path(scratch) / "run"
        command = [sys.executable, "-m", "deploy.cli", "replay", *sources, "--as-scored", "--out", str(out), *extra]
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 - our own command
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            msg = f"{' '.join(command[2:])} ended with {process.returncode}"
            raise InputError(msg)
        summary = load_run(out).summary
    mentions = summary.mentions
    cpu_s = usage.ru_utime + usage.ru_stime
    # Linux counts kilobytes here, macOS bytes.
    peak_mib = usage.ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)
    return [
        Figure(
            name="as scored, whole command",
            value=round(mentions / wall_s),
            unit="mentions/s",
            against=f"aim {AGAINST_MENTIONS_PER_S:,}",
            ratio=mentions / wall_s / AGAINST_MENTIONS_PER_S,
            note=f"{mentions:,} mentions in {wall_s:.1f} s, {cpu_s:.1f} s of CPU",
        ),
        Figure(
            name="the same by CPU time",
            value=round(mentions / cpu_s),
            unit="mentions/s",
            against=f"aim {AGAINST_MENTIONS_PER_S:,}",
            ratio=mentions / cpu_s / AGAINST_MENTIONS_PER_S,
        ),
        Figure(
            name="peak memory of the process",
            value=round(peak_mib),
            unit="MiB",
            against=f"bound {AGAINST_MIB}",
            ratio=peak_mib / AGAINST_MIB,
        ),
    ]
