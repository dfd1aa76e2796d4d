"""How a command that keeps work on the disk is stopped: by SIGTERM as tidily as by Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(SystemExit):
    """SIGTERM came, as from `kill`, a container that is stopped, or a CI job that is cancelled: exit status 143."""

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)


STOPPED = (KeyboardInterrupt, Terminated)
"""What the user's, or the system's, wish to stop arrives as."""


@contextmanager
def sigterm_tidies() -> Iterator[None]:
    """While it lasts, SIGTERM raises Terminated; also a decorator, for a command.

    Left to itself SIGTERM ends a process on the spot: scratch folders stay, and nobody is told how to go on.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set a handler, and only it would be told
        return

    def terminate(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one would break off the tidying
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
