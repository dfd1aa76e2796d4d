"""A file that is changed as a whole or not at all.

The new content is written beside the old one and takes its place when all of it is on the disk: a reader never sees
half of a change, and a disk that is full leaves the old file and no debris.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def write_whole(path: Path, lines: Iterable[bytes], *, for_all: bool = False) -> None:
    """Put lines into a file, in place of what it held.

    Args:
        path: the file; beside it one that ends in `.new` comes and goes. Two writers at once are the caller's to keep
            apart.
        lines: with their line ends, or any other pieces of the content.
        for_all: whoever may look into the folder may read it. Without it, it is for its owner's eyes alone.

    Raises:
        OSError: it cannot be written; the old content is still there.
    """
    beside = path.with_name(f".{path.name}.new")
    try:
        with open(beside, "wb", opener=None if for_all else _for_the_owner_alone) as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _for_the_owner_alone(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
