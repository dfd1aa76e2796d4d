"""What the commands share: the options given before the command, the settings, and where lines for a person go."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from streams.config import Settings


@dataclass
class Invocation:
    """The options before the command. One process runs one command, so there is one of these."""

    config: Path | None = None
    """`--config`."""
    debug: bool = False
    """`--debug`."""


invocation = Invocation()


def settings() -> Settings:
    """Read the settings in force: `--config` or the usual file, and the variables.

    Raises:
        ConfigError: see `streams.config.load_settings`.
    """
    from streams.config import load_settings
    from streams.masking import learn

    current = load_settings(invocation.config)
    learn(current)
    return current


def out() -> Console:
    """Return the console for what a command is asked for (standard output)."""
    from rich.console import Console

    return Console(highlight=False)


def err() -> Console:
    """Return the console for remarks about the work (standard error), so that output can be piped."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)
