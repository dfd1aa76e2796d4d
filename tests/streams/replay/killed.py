"""`squall` that is killed by SIGKILL at a chosen point: `python killed.py POINT COUNT replay ...`.

The points are functions of the product, which this wraps from outside; COUNT says at which call.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

SAVE_EVERY = 300


def kill_at(owner: Any, name: str, count: int) -> None:
    original, calls = getattr(owner, name), [0]

    def counted(*arguments: Any, **options: Any) -> Any:
        calls[0] += 1
        if calls[0] == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **options)

    setattr(owner, name, counted)


def main() -> None:
    from deploy.cli import main as squall
    from streams.monitor import PartitionMonitor
    from streams.replay import execute, finish, journal, run, workdir

    point, count = sys.argv[1], int(sys.argv[2])
    run.run_monitor.__kwdefaults__["save_every"] = SAVE_EVERY
    owners = {
        "record": (PartitionMonitor, "absorb"),
        "save": (journal, "_alert_row"),
        "line": (finish, "TimelinePoint"),
        "report": (finish, "_report"),
        "finish": (execute, "finish"),
        "publish": (workdir.WorkFolder, "publish"),
    }
    if point != "never":
        kill_at(*owners[point], count)
    squall(sys.argv[3:])


if __name__ == "__main__":
    main()
