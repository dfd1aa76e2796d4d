"""A rescoring in a process of its own, to be killed: run as a module, with the model, the folder and the workers.

Prints the numbers of its processes at the first batch, and a line for each batch.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
from itertools import count
from pathlib import Path

from streams.replay.rescoring.rescore import RescoreProgress, rescore
from tests.streams.replay.rescoring.invented_messages import Listed, invented_settings, message

MESSAGES = 200
BATCH_MESSAGES = 4


def rows() -> list[object]:
    """The same messages each time."""
    return [message(number) for number in range(MESSAGES)]


def run(model: Path, folder: Path, workers: int) -> Path:
    """Rescore the invented messages, telling of each batch."""

    batches = count()

    def told(progress: RescoreProgress) -> None:
        if not next(batches):
            print(*(child.pid for child in multiprocessing.active_children()), flush=True)  # noqa: T201
        print(progress.messages, flush=True)  # noqa: T201

    return rescore(
        Listed(rows()),  # type: ignore[arg-type]
        settings=invented_settings(folder.parent),
        model=model,
        folder=folder,
        workers=workers,
        on_progress=told,
        batch_messages=BATCH_MESSAGES,
        segment_batches=2,
    )


if __name__ == "__main__":
    # A shell starts what it runs in the background with Ctrl-C ignored, and what that starts inherits it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    run(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
