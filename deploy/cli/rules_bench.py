"""`squall rules bench`: how far rules can be trusted, on labelled streams."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.bench.figures import Figure

if TYPE_CHECKING:
    from deploy.bench.alerts import Outcome


def bench(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR", help="Folders with mentions.jsonl and events.jsonl.")],
    rules: Annotated[Path | None, typer.Option(help="Rule file. Unset: the shipped rules.")] = None,
    json: Annotated[Path | None, typer.Option(help="Also write the figures here, as JSON.")] = None,
) -> None:
    """Measure rules on labelled streams of mentions: surges found, decoys and false alarms.

    Stories are found from the texts. Beside them, on the same stream: a plain share of the last hour, and a spike rule
    as of ElastAlert, both with our cooldown.
    """
    from deploy.bench.alerts import run
    from deploy.cli.bench import show
    from streams.monitor import load_rules

    tried = load_rules(rules) if rules else None
    figures: list[Figure] = []
    for folder in folders:
        outcome, _ = run(folder, tried)
        figures += _figures(folder.name, outcome)
        speed = outcome.mentions / max(outcome.seconds, 1e-9)
        figures.append(
            Figure(name=f"{folder.name}: monitor", value=round(speed), unit="mentions/s", note="with its state")
        )
        for name, other in outcome.beside.items():
            figures += _figures(f"{folder.name}, {name}", other)
    show("Alerts", figures, json)


def _figures(name: str, outcome: Outcome) -> list[Figure]:
    figures = [
        Figure(
            name=f"{name}: false alarms",
            value=outcome.false_alarms / outcome.weeks if outcome.weeks else 0.0,
            unit="per ticker-week",
            note=f"{outcome.false_alarms} in {outcome.weeks:,.0f} ticker-weeks",
        )
    ]
    for kind, (fired, planted) in sorted(outcome.decoys.items()):
        figures.append(
            Figure(name=f"{name}: {kind}", value=fired, unit="fired", against=f"{planted}", ratio=fired / planted)
        )
    for factor, (found, planted, delay) in sorted(outcome.surges.items()):
        note = "" if delay is None else f"median delay {delay:.0f} min"
        figures.append(
            Figure(
                name=f"{name}: surge x{factor}",
                value=found,
                unit="found",
                against=f"{planted}",
                ratio=found / planted,
                note=note,
            )
        )
    return figures
