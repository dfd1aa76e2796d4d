"""Processes that outlive the command that started them, and that are never mistaken for another one.

A process number is used again after its process has ended, so a number alone must never be killed. Beside it we keep
the mark of its start: the system gives no two processes the same pair.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from streams.errors import BrokerError

POLL_S = 0.05


def start_mark(pid: int) -> str | None:
    """Return what identifies a process beside its number, or None if no such process is alive.

    On Linux the boot's identity and the start in clock ticks since then (`/proc/PID/stat`, field 22), which no change
    of the clock moves; elsewhere the start as `ps` prints it. A zombie is not alive.
    """
    if sys.platform == "linux":
        return _linux_start_mark(Path(f"/proc/{pid}"))
    found = subprocess.run(  # noqa: S603 - a fixed command and a number
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )
    state, _, started = found.stdout.strip().partition(" ")
    return None if found.returncode or state.startswith("Z") else started.strip()


def _linux_start_mark(proc: Path) -> str | None:
    try:
        stat = (proc / "stat").read_text(encoding="utf-8", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        threads = len(list((proc / "task").iterdir()))
    except OSError:
        return None
    # The second field is the program's name in parentheses, and may itself hold spaces and parentheses.
    fields = stat.rpartition(")")[2].split()
    state, started_ticks = fields[0], fields[19]
    # The main thread is a zombie first; files and ports are let go when the last of the others has ended.
    return None if state in "ZX" and threads <= 1 else f"{boot}:{started_ticks}"


def is_alive(pid: int, mark: str) -> bool:
    """Tell whether the very process that was marked so is still alive."""
    return start_mark(pid) == mark


def spawn_detached(command: Sequence[str], output: Path) -> tuple[int, str]:
    """Start a program in a session of its own, so that neither Ctrl-C nor the end of this process reaches it.

    The shell in between ends at once: the program then belongs to init, which reaps it.

    Args:
        command: program and arguments, passed on as they are.
        output: file for what it prints; begun anew.

    Returns:
        Its process number and start mark.

    Raises:
        BrokerError: it ended before it could be marked.
    """
    script = 'out=$1; shift; "$@" >"$out" 2>&1 </dev/null & echo $!'
    started = subprocess.run(  # noqa: S603 - the command is passed as arguments, never parsed by the shell
        ["/bin/sh", "-c", script, "sh", str(output), *command],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        start_new_session=True,
    )
    pid = int(started.stdout)
    mark = start_mark(pid)
    if mark is None:
        msg = f"{command[0]} ended at once:\n{output.read_text(encoding='utf-8', errors='replace').strip()}"
        raise BrokerError(msg)
    return pid, mark


def send_signal(pid: int, mark: str, number: signal.Signals) -> None:
    """Send a signal to the marked process; nothing happens if it has ended."""
    if is_alive(pid, mark):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return


def wait_ended(pid: int, mark: str, timeout_s: float) -> bool:
    """Wait until the marked process has ended; False if it has not within the time."""
    deadline = time.monotonic() + timeout_s
    while is_alive(pid, mark):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True
