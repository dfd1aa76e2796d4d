from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.whole_files import write_whole


def test_the_new_content_takes_the_place_of_the_old(tmp_path: Path) -> None:
    path = tmp_path / "kept.txt"
    write_whole(path, [b"one\n", b"two\n"])
    write_whole(path, [b"three\n"])
    assert path.read_bytes() == b"three\n"
    assert list(tmp_path.iterdir()) == [path]


def test_it_is_for_its_owner_alone_unless_it_is_for_all(tmp_path: Path) -> None:
    write_whole(tmp_path / "own", [b"x"])
    write_whole(tmp_path / "all", [b"x"], for_all=True)
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE((tmp_path / "own").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "all").stat().st_mode) == 0o666 & ~umask


def test_content_that_breaks_off_leaves_the_old_one_and_no_debris(tmp_path: Path) -> None:
    path = tmp_path / "kept.txt"
    write_whole(path, [b"old\n"])

    def breaks_off() -> Iterator[bytes]:
        yield b"half of "
        raise ValueError("the rest is missing")

    with pytest.raises(ValueError, match="the rest is missing"):
        write_whole(path, breaks_off())
    assert path.read_bytes() == b"old\n"
    assert list(tmp_path.iterdir()) == [path]
