"""A folder of state that others may look into is told, with the command that closes it; it is never changed."""

from __future__ import annotations

import shlex
import stat
import subprocess
from pathlib import Path

import pytest

from streams.app.folders import open_to_others


def folder_with(parent: Path, mode: int, name: str = "state") -> Path:
    folder = parent / name
    folder.mkdir()
    folder.chmod(mode)
    return folder


@pytest.mark.parametrize("mode", [0o700, 0o500, 0o2700, 0o1700])
def test_a_folder_of_its_owner_alone_is_nothing_to_speak_of(tmp_path: Path, mode: int) -> None:
    assert open_to_others(folder_with(tmp_path, mode)) is None


@pytest.mark.parametrize(
    ("mode", "who"),
    [
        (0o755, "(mode 0755: its group may read, enter; everyone may read, enter)"),
        (0o770, "(mode 0770: its group may read, write, enter)"),
        (0o740, "(mode 0740: its group may read)"),
        (0o702, "(mode 0702: everyone may write)"),
        (0o711, "(mode 0711: its group may enter; everyone may enter)"),
        (0o1777, "(mode 1777: its group may read, write, enter; everyone may read, write, enter)"),
    ],
)
def test_an_open_folder_is_told_with_who_may_do_what_and_stays_as_it_is(tmp_path: Path, mode: int, who: str) -> None:
    folder = folder_with(tmp_path, mode)
    remark = open_to_others(folder)
    assert remark is not None
    assert who in remark
    assert stat.S_IMODE(folder.stat().st_mode) == mode


def test_the_command_that_it_names_mends_it_whatever_the_folder_is_called(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, 0o775, "the desk's; $HOME")
    remark = open_to_others(folder)
    assert remark is not None
    subprocess.run(shlex.split(remark.partition("Close it with: ")[2]), check=True)
    assert open_to_others(folder) is None


def test_a_link_is_followed_and_a_missing_folder_is_nothing_to_speak_of(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(folder_with(tmp_path, 0o755))
    assert open_to_others(link) is not None
    assert open_to_others(tmp_path / "missing") is None
