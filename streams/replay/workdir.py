"""The folder that a run works in, `DIR.partial`, and how it becomes `DIR`: by one rename, when all of it is there."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

from streams.errors import InputError, ReplayError
from streams.replay.results import SUMMARY

JOURNAL = "journal.sqlite"
_LOCK = "lock"
_RESULT = "result"
_REPLACED = "replaced"


class WorkFolder:
    """`DIR.partial`, held by one process at a time; a context manager that lets go of it.

    What is in it is kept when the process ends, however it ends: the same command goes on from there.

    Args:
        out: the folder that the results shall be in.
        fresh: forget what an unfinished run has left.
        force: replace the results of an earlier run.

    Raises:
        InputError: `out` is there already, or it cannot be written.
        ReplayError: another process works on it.
    """

    def __init__(self, out: Path, *, fresh: bool = False, force: bool = False) -> None:
        self.out = Path(os.path.abspath(out))  # noqa: PTH100 - resolve() would follow a link in the user's own words
        if not self.out.name:
            msg = f"{out} cannot be the folder of a replay"
            raise InputError(msg)
        self._force = force
        self._check_out()
        self.path = self.out.with_name(self.out.name + ".partial")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._check_own()
            self._lock = self._locked()
            if fresh:
                self._clear()
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def __enter__(self) -> WorkFolder:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._lock)  # and with it the lock

    @property
    def journal(self) -> Path:
        """File of the journal."""
        return self.path / JOURNAL

    def new_result(self) -> Path:
        """Return an empty folder for the results; what a killed run had begun to write of them is gone."""
        result = self.path / _RESULT
        try:
            if result.exists():
                shutil.rmtree(result)
            result.mkdir()
        except OSError as error:
            raise _unwritable(result, error) from error
        return result

    def publish(self) -> None:
        """Let the results appear under their name, and remove what was only for the work.

        Raises:
            InputError: the folder cannot be put in place; the work is kept.
        """
        self._check_out()
        try:
            if self.out.exists():
                replaced = self.path / _REPLACED
                shutil.rmtree(replaced, ignore_errors=True)
                self.out.rename(replaced)
            (self.path / _RESULT).rename(self.out)
        except OSError as error:
            raise _unwritable(self.out, error) from error
        shutil.rmtree(self.path, ignore_errors=True)

    def forget(self) -> None:
        """Remove the folder: nothing in it is worth going on from, and another command must not stumble over it."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _check_out(self) -> None:
        if not self.out.exists() and not self.out.is_symlink():
            return
        if not self._force:
            msg = f"{self.out} is there already: name another folder with --out, or replace it with --force"
            raise InputError(msg)
        ours = self.out.is_dir() and not self.out.is_symlink()
        if not ours or not ((self.out / SUMMARY).is_file() or not any(self.out.iterdir())):
            msg = f"{self.out} is not the folder of a finished replay, so --force does not replace it"
            raise InputError(f"{msg}: name another one with --out")

    def _check_own(self) -> None:
        if any(self.path.iterdir()) and not (self.path / _LOCK).exists():
            msg = f"{self.path} holds something that is no unfinished replay: move it away, or name another --out"
            raise InputError(msg)

    def _locked(self) -> int:
        while True:
            descriptor = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                msg = f"another process works on {self.path} now: wait for it, or name another folder with --out"
                raise ReplayError(msg) from None
            try:
                same = os.path.samestat(os.fstat(descriptor), (self.path / _LOCK).stat())
            except FileNotFoundError:  # a process that has just finished took it away under our hands
                self.path.mkdir(parents=True, exist_ok=True)
                same = False
            if same:
                return descriptor
            os.close(descriptor)

    def _clear(self) -> None:
        for entry in self.path.iterdir():
            if entry.name == _LOCK:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(f"cannot write {path}: {error.strerror or error}")
