from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from deploy.bench.score_contenders import OTHERS
from deploy.bench.score_environment import LOCKS, ContenderMissingError, _short, environment


def test_an_environment_is_made_once_and_again_when_its_lock_changes(tmp_path: Path) -> None:
    (tmp_path / "empty.lock").write_text("# nothing\n")
    notes: list[str] = []
    first = environment("empty", root=tmp_path / "made", locks=tmp_path, note=notes.append)
    assert subprocess.run([first, "-c", "import sys; print(sys.prefix)"], capture_output=True, text=True).stdout.strip()
    assert environment("empty", root=tmp_path / "made", locks=tmp_path, note=notes.append) == first
    assert len(notes) == 1
    (tmp_path / "empty.lock").write_text("# still nothing\n")
    assert environment("empty", root=tmp_path / "made", locks=tmp_path, note=notes.append) != first
    assert len(notes) == 2


def test_what_cannot_be_installed_is_said_to_be_missing_and_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "gone.lock").write_text(f"./no-such-wheel-1.0-py3-none-any.whl --hash=sha256:{'0' * 64}\n")
    for _ in range(2):
        with pytest.raises(ContenderMissingError, match="environment cannot be made"):
            environment("gone", root=tmp_path / "made", locks=tmp_path, note=lambda _: None)


def test_no_address_is_repeated_from_an_installers_complaint() -> None:
    assert _short("cannot fetch https://user:secret@index.example/simple\n now") == "cannot fetch (address) now"
    assert _short("") == "the installer says nothing"


def test_every_engine_of_others_has_a_lock_with_hashes() -> None:
    for contender in OTHERS:
        lock = (LOCKS / f"{contender.environment}.lock").read_text()
        pinned = [line for line in lock.splitlines() if "==" in line and not line.lstrip().startswith("#")]
        assert pinned
        assert lock.count("--hash=sha256:") >= len(pinned)
        assert "index-url" not in lock
