"""Two runs never work at once, and what a killed one left behind is swept away by the next."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streams.errors import InputError, SquallError

_LOCK = ".lock"
WORK = "work"


class BusyError(SquallError):
    """Another run is under way."""


@contextmanager
def alone(folder: Path) -> Iterator[Path]:
    """Hold the lock, and yield an empty folder to work in, which is gone afterwards.

    The lock is the operating system's own: it is let go with the process, however that ends.

    Raises:
        BusyError: another process holds it.
        InputError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = (folder / _LOCK).open("a+")
    except OSError as error:
        raise InputError(f"{folder}: retraining cannot work there ({error.strerror})") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            who = file.read().strip() or "unknown"
            raise BusyError(
                f"another retraining is under way in {folder} (process {who}); this one has done nothing"
            ) from None
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        work = folder / WORK
        shutil.rmtree(work, ignore_errors=True)
        try:
            work.mkdir(mode=0o700)
        except OSError as error:
            raise InputError(f"{work}: retraining cannot work there ({error.strerror})") from error
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)
