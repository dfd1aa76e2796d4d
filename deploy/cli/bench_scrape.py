"""`squall bench scrape`: what it costs to show companies on /metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def scrape(json: Annotated[Path | None, typer.Option("--json", help="Also write the figures here.")] = None) -> None:
    """Measure a scrape with 0, 100 and 500 companies on watch lists, and what gathering their figures costs."""
    from deploy.bench.scrape import run
    from deploy.cli.bench import show

    show("Scrape", run(), json)
