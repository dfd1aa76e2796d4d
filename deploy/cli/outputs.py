"""Where a command writes what it was asked for: a file that appears when complete, a device, or standard output."""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from streams.errors import InputError

STANDARD_OUTPUT = Path("-")


@contextmanager
def written(output: Path | None) -> Iterator[IO[bytes]]:
    """Open what the user named for writing: `-`, a device or a pipe as it is, a file so that it is `replaced`.

    None is nothing at all: what is written goes nowhere.

    Raises:
        InputError: it cannot be written.
    """
    if output is None:
        yield io.BytesIO()
    elif output == STANDARD_OUTPUT:
        with _told(output):
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
    elif output.exists() and not output.is_file():
        # By the name as given: what /dev/stdout leads to may have no name of its own.
        with _told(output), output.open("wb") as file:
            yield file
    else:
        with replaced(output) as file:
            yield file


@contextmanager
def replaced(output: Path) -> Iterator[IO[bytes]]:
    """Open a file beside `output` that takes its place when all went well, and is removed when not.

    A symbolic link stays, and what it leads to is replaced; a file that was there keeps its permissions.

    Raises:
        InputError: the file cannot be written.
    """
    with _told(output):
        target = output.resolve()
        if target.exists() and not os.access(target, os.W_OK):
            raise InputError(f"{output}: cannot be written: you have no permission to")
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            with part.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if target.exists():
                shutil.copymode(target, part)
            part.replace(target)
        finally:
            if part.exists():
                part.unlink()


@contextmanager
def _told(output: Path) -> Iterator[None]:
    """Tell what goes wrong in writing as an InputError that names the output."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{output}: cannot be written: {error.strerror or error}") from error
