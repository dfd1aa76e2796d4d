"""The monitor's inner loop as machine code, where it was compiled from exactly these sources.

`squall compile` makes C of `MODULES` with mypyc and puts the result beside the environment, in a folder named after a
hash of all that went into it. An import takes it from there and from nowhere else: after an edit, an upgrade or another
Python the hash is another, and the sources themselves run: with the same answers, bit for bit, and more slowly. Nothing
stale is ever loaded, and nothing needs a compiler.
"""

from __future__ import annotations

import hashlib
import os
import sys
import sysconfig
from collections.abc import MutableSequence
from functools import cache
from pathlib import Path
from typing import Final

MODULES: Final = (
    "streams.monitor.baseline",
    "streams.monitor.bins",
    "streams.monitor.clock",
    "streams.monitor.detect",
    "streams.monitor.due",
    "streams.monitor.e_detector",
    "streams.monitor.entity",
    "streams.monitor.fingerprint",
    "streams.monitor.horizon",
    "streams.monitor.lifecycle",
    "streams.monitor.model_change",
    "streams.monitor.partition",
    "streams.monitor.run",
    "streams.monitor.stories",
    "streams.monitor.tally",
    "streams.monitor.usual",
    "streams.replay.timeline",
)
"""What works on every mention. Structs, rules and options stay Python (see `streams.monitor.memory`). The packages of
these call `prefer_compiled` first of all."""
GROUP: Final = "streams.monitor.native"
"""Where the code of all of them lies; the modules themselves are doors to it."""
ENVIRONMENT: Final = "SQUALL_COMPILED"
"""Set to 0, the sources run in any case."""

_ROOT: Final = Path(__file__).parents[1]
_READ: Final = ("streams/monitor/*.py", "streams/records/*.py", "streams/replay/hours.py", "streams/replay/timeline.py")
"""What goes into the code: the modules themselves, and those whose types and constants they are built on."""
_FORMAT: Final = "1"
"""Raised when `squall compile` builds otherwise from the same sources."""


def sources() -> list[Path]:
    """Return the files to compile."""
    return [_ROOT.joinpath(*name.split(".")).with_suffix(".py") for name in MODULES]


@cache
def digest() -> str:
    """Return the hash that names a build: sources, Python and platform; 16 hexadecimal digits."""
    found = hashlib.sha256()
    for part in (_FORMAT, sys.version, sysconfig.get_platform(), *MODULES):
        found.update(part.encode() + b"\0")
    for pattern in _READ:
        for path in sorted(_ROOT.glob(pattern)):
            found.update(f"{path.name}\0".encode() + path.read_bytes() + b"\0")
    return found.hexdigest()[:16]


def home() -> Path:
    """Return the folder of all builds of this environment: as trustworthy as the packages beside it."""
    return Path(sys.prefix) / "lib" / "squall-compiled"


def folder() -> Path:
    """Return where the build of these sources lies, or would."""
    return home() / digest()


def will_be_used() -> bool:
    """Whether a process that starts now would run the compiled modules."""
    return os.environ.get(ENVIRONMENT, "") != "0" and folder().is_dir()


def prefer_compiled(package: str, path: MutableSequence[str]) -> None:
    """Put the build of these sources, if there is one, before the sources.

    Args:
        package: a package with some of the modules.
        path: its `__path__`, changed in place.
    """
    if will_be_used():
        path.insert(0, str(folder().joinpath(*package.split("."))))


def is_used() -> bool:
    """Whether this process runs the compiled modules; false before any was imported."""
    module = sys.modules.get(MODULES[0])
    return module is not None and str(module.__file__).startswith(str(home()))
