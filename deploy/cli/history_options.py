"""Options that mean the same in several commands on history: their names, their help, and what they are read as."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from streams.config import Settings

RUN_PANEL = "The run"
"""Where `--help` shows what concerns the work itself."""

Entity = Annotated[str | None, typer.Option(help="This company's alerts only (its symbol).")]
"""`--entity`; see `symbol_of`."""

KnownAt = Annotated[
    str | None, typer.Option(help="Leave out what arrived, and models that were learned, after this time.")
]
"""`--known-at`; see `deploy.cli.times.moment`."""

Fresh = Annotated[
    bool, typer.Option("--fresh", help="Forget what an unfinished run has left.", rich_help_panel=RUN_PANEL)
]
"""`--fresh`; see `streams.replay.workdir.WorkFolder`."""


def symbol_of(current: Settings, entity: str | None) -> str | None:
    """Return the symbol under which a company's mentions are kept; see `symbols_of`. None stays None."""
    return None if entity is None else symbols_of(current, [entity])[0]


def symbols_of(current: Settings, entities: Sequence[str]) -> list[str]:
    """Return the symbols under which mentions are kept: `$aapl` is AAPL; what no table knows is taken as it is.

    Raises:
        InputError: a table of companies cannot be used.
    """
    from streams.assembly import entity_table

    table = entity_table(current)
    found = [(text, table.get(text)) for text in entities]
    return [text if known is None else known.symbol for text, known in found]
