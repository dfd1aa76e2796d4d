"""`squall bench ablation`: what each knob of the training is worth on its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich import box
from rich.table import Table

from deploy.cli.frame import err, out
from streams.errors import InputError

if TYPE_CHECKING:
    from deploy.bench.ablation import Line


def ablation(
    sentiment: Annotated[Path, typer.Argument(help="Labelled file, as squall train takes it.")],
    topic: Annotated[Path, typer.Argument(help="Labelled file, as squall train takes it.")],
    base: Annotated[str, typer.Option(help="Encoder to start from: a folder, or an id on the Hugging Face Hub.")],
    share: Annotated[float, typer.Option(help="Of the training rows' text groups that is learned from.")] = 0.2,
    epochs: Annotated[int, typer.Option(min=1, help="Of each training.")] = 1,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings per knob.")] = 2,
    knob: Annotated[
        list[str] | None, typer.Option(help="Only this one, beside the plain training; may be repeated.")
    ] = None,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0 leaves the choice to torch.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    json: Annotated[Path | None, typer.Option("--json", help="Also write the figures here, as JSON.")] = None,
) -> None:
    """Train with each knob alone turned on or off, on a share of the data, and compare with the plain training.

    Figures are those of the development rows, one of each group of near-duplicates. Differences are to the plain
    training with the same seed; what is within the spread over the seeds is no difference.
    """
    if not 0.0 < share <= 1.0:
        raise typer.BadParameter(f"--share must be above 0 and at most 1, got {share}")
    from deploy.bench.ablation import KNOBS, Ablation, run
    from deploy.cli.replay_progress import RunDisplay
    from retrain.job import Watchers

    plan = Ablation(sentiment, topic, base, share, epochs, seeds, tuple(knob or KNOBS), threads, device)
    console = err()
    with RunDisplay(console) as display:
        try:
            lines = run(plan, Watchers(lambda line: None, display).begin)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    for head in dict.fromkeys(line.head for line in lines):
        out().print(_table(head, [line for line in lines if line.head == head]))
    if json is not None:
        try:
            json.write_bytes(msgspec.json.format(msgspec.json.encode(lines), indent=2) + b"\n")
        except OSError as error:
            raise InputError(f"{json}: cannot be written: {error.strerror}") from error


def _table(head: str, lines: Sequence[Line]) -> Table:
    title = f"Ablation, {head}, {lines[0].rows:,} held-out texts, {lines[0].seeds} seeds; in points of a hundred"
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("knob", no_wrap=True)
    for name in ("accuracy", "to plain", "macro F1", "to plain", "s"):
        table.add_column(name, justify="right", no_wrap=True)
    for line in lines:
        plain = line is lines[0]
        table.add_row(
            line.knob,
            f"{100 * line.accuracy:.2f}",
            _difference(line.accuracy_difference, line.accuracy_spread, plain),
            f"{100 * line.macro_f1:.2f}",
            _difference(line.macro_f1_difference, line.macro_f1_spread, plain),
            f"{line.seconds:,.0f}",
        )
    return table


def _difference(value: float, spread: float, plain: bool) -> str:
    of = f"±{100 * spread:.2f}"
    return of if plain else f"{100 * value:+.2f} {of}"
