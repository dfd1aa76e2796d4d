"""Columns of other names, as they are written on the command line."""

from __future__ import annotations

from collections.abc import Sequence

import typer


def named_columns(given: Sequence[str]) -> dict[str, str]:
    """Return field -> column of texts such as `text=body`; a field that does not exist, or comes twice, is refused."""
    from streams.replay.sources.options import FIELDS

    found: dict[str, str] = {}
    for text in given:
        field, sign, column = text.partition("=")
        if not (sign and column) or field not in FIELDS or field in found:
            msg = f"{text!r} is not FIELD=COLUMN, once per field; fields are {', '.join(FIELDS)}"
            raise typer.BadParameter(msg, param_hint="--column")
        found[field] = column
    return found
