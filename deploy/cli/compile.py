"""`squall compile`."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from deploy.cli.frame import err, out


def compile_(
    *,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing where there is nothing to be done.")] = False,
) -> None:
    """Compile the monitor's inner loop to machine code: a replay is then 1.4 times as fast, with the same answers.

    Needs a C compiler and Python's headers. Run it once after an installation or an upgrade; what was compiled from
    other sources is never used. Without it everything works, in plain Python.
    """
    from deploy.compile import compile_modules
    from streams import compiled

    if compiled.folder().is_dir():
        if not quiet:
            out().print(f"{len(compiled.MODULES)} modules are compiled already, in {compiled.folder()}")
        return
    err().print("compiling the monitor's inner loop; this takes about half a minute")
    began = time.monotonic()
    folder = compile_modules()
    out().print(f"compiled {len(compiled.MODULES)} modules in {time.monotonic() - began:.0f} s, into {folder}")
