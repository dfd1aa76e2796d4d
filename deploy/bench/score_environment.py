"""Virtual environments for the engines of others: made by the command from pinned versions with hashes, and kept."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from streams.errors import SquallError

ROOT = Path(".squall/bench")
LOCKS = Path(__file__).parent / "requirements"
"""NAME.in is what is wanted, NAME.lock what `uv pip compile --universal --generate-hashes` made of it."""

_READY = ".ready"
_ADDRESS = re.compile(r"\w+://\S+")


class ContenderMissingError(SquallError):
    """An engine cannot be measured here; the message says why. The others are measured without it."""


def environment(name: str, *, root: Path = ROOT, locks: Path = LOCKS, note: Callable[[str], None]) -> Path:
    """Return the interpreter of an environment, which is made first where it is not there.

    An environment belongs to its lock file and this Python: another version of either makes another one.

    Raises:
        ContenderMissingError: it cannot be made, as without a network.
    """
    lock = locks / f"{name}.lock"
    digest = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = (root / f"{name}-{digest}").absolute()
    python = folder / "bin" / "python"
    if (folder / _READY).exists():
        return python
    note(f"making an environment for {name}; the first time this downloads PyTorch and more")
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    for command in _commands(folder, python, lock):
        try:
            done = subprocess.run(  # noqa: S603 - our own command line
                command, env={**os.environ, "VIRTUAL_ENV": str(folder)}, capture_output=True, text=True, check=False
            )
        except OSError as error:
            raise ContenderMissingError(f"its environment cannot be made: {error}") from None
        if done.returncode:
            raise ContenderMissingError(f"its environment cannot be made: {_short(done.stderr or done.stdout)}")
    (folder / _READY).touch()
    return python


def _commands(folder: Path, python: Path, lock: Path) -> list[list[str]]:
    beside = Path(sys.executable).parent / "uv"
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is not None:
        return [
            [uv, "venv", "--quiet", "--python", sys.executable, str(folder)],
            [uv, "pip", "install", "--quiet", "--require-hashes", "-r", str(lock)],
        ]
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    return [[sys.executable, "-m", "venv", str(folder)], [*pip, "-r", str(lock)]]


def _short(output: str) -> str:
    """Return the first words of an installer's complaint; an address may hold a password, so it is left out."""
    return " ".join(_ADDRESS.sub("(address)", output).split())[:300] or "the installer says nothing"


def own_python() -> Path:
    """Return the interpreter that this runs in."""
    return Path(sys.executable)
