"""Compiles the monitor's inner loop with mypyc, into the folder that `streams.compiled` looks in.

In a process of its own (`python -m deploy.compile BUILD_FOLDER`): mypyc and setuptools leave their traces in the one
that they run in.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from streams import compiled
from streams.errors import SquallError

_PACKAGES = ("models", "streams")
"""Where the modules are, and what they import of ours."""
_TAIL = 15
"""Lines of a failed build that are shown."""


class CompileError(SquallError):
    """The build failed, or cannot be made here; the message says what to install."""


def compile_modules() -> Path:
    """Compile the modules for this Python and return the folder; at once if that has been done.

    A build appears under its name when it is whole, and those of other sources are removed.

    Raises:
        CompileError: mypyc, a C compiler or Python's headers are missing, the compiler fails, or the folder of the
            environment cannot be written to.
    """
    target = compiled.folder()
    if not target.is_dir():
        _require_tools()
        try:
            _build_into(target)
        except OSError as error:
            msg = f"cannot write to {target.parent}: {error.strerror or error}. Compile as who installed Squall"
            raise CompileError(msg) from error
    for other in target.parent.iterdir():
        if other.name != target.name and not other.name.startswith("."):
            shutil.rmtree(other, ignore_errors=True)
    return target


def _build_into(target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".building-", dir=target.parent) as scratch:
        built = _build(Path(scratch))
        if compiled.digest.__wrapped__() != target.name:
            msg = "the sources changed while they were compiled: run it again"
            raise CompileError(msg)
        try:
            built.rename(target)
        except OSError:
            if not target.is_dir():  # another process was faster: its build is the same
                raise


def _require_tools() -> None:
    try:
        import mypyc  # noqa: F401
        import setuptools  # noqa: F401
    except ImportError as error:
        msg = f"compiling needs {error.name}, which is not installed: pip install mypy setuptools"
        raise CompileError(msg) from error
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler) is None:
        msg = f"no C compiler ({compiler}). Debian: apt-get install gcc python3-dev; macOS: xcode-select --install"
        raise CompileError(msg)
    headers = Path(sysconfig.get_paths()["include"]) / "Python.h"
    if not headers.is_file():
        msg = f"Python's headers are not installed ({headers} is missing). Debian: apt-get install python3-dev"
        raise CompileError(msg)


def _build(scratch: Path) -> Path:
    root = Path(compiled.__file__).parents[1]
    # Of an installed wheel the sources lie among all other packages, some of which mypy would take for the library's.
    alone = scratch / "sources"
    for package in _PACKAGES:
        shutil.copytree(root / package, alone / package, ignore=_all_but_code)
    paths = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(  # noqa: S603 - this module itself
        [sys.executable, "-P", "-m", "deploy.compile", str(scratch)],
        cwd=alone,  # mypyc names modules by their path from here
        env=os.environ | {compiled.ENVIRONMENT: "0", "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines()[-_TAIL:]
        msg = "the modules could not be compiled:\n" + "\n".join(lines)
        raise CompileError(msg)
    return scratch / "lib"


def _all_but_code(folder: str, names: list[str]) -> set[str]:
    """Return what is not to be copied: all that is neither a module nor a folder that may hold one."""
    code = {name for name in names if name.endswith(".py") or Path(folder, name).is_dir()}
    return set(names) - code | {"__pycache__"}


def _build_here(scratch: Path) -> None:
    """What runs in the process of its own."""
    from mypyc.build import mypycify
    from setuptools import Distribution

    # mypy's own settings stay out of it: what is compiled must not depend on a file beside the sources.
    options = ["--config-file=", "--ignore-missing-imports", f"--cache-dir={scratch / 'mypy'}"]
    modules = [str(path.relative_to(Path(compiled.__file__).parents[1])) for path in compiled.sources()]
    extensions = mypycify([*options, *modules], target_dir=str(scratch / "c"), group_name=compiled.GROUP, opt_level="3")
    for extension in extensions:
        # Where the machine can multiply and add in one step, a compiler does so by default, and rounds once instead of
        # twice: the same history would have other figures than in Python.
        extension.extra_compile_args.append("-ffp-contract=off")
    distribution = Distribution({"name": "squall-compiled", "ext_modules": extensions})
    build = distribution.get_command_obj("build_ext")
    build.build_lib = str(scratch / "lib")
    build.build_temp = str(scratch / "objects")
    build.ensure_finalized()
    build.run()


if __name__ == "__main__":
    _build_here(Path(sys.argv[1]).resolve())
