"""`squall models compress`: a smaller model from a finished one, measured beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.table import Table

from deploy.cli.frame import err, out


def compress(
    model: Annotated[Path, typer.Argument(help="Folder of a finished model.")],
    to: Annotated[Path, typer.Option("--out", help="Folder to write the smaller model to; new.")],
    vocabulary: Annotated[
        list[Path] | None,
        typer.Option(help="Texts like those to come: word pieces that they never use are left out. May be repeated."),
    ] = None,
    layers: Annotated[int | None, typer.Option(min=1, help="How many layers stay.")] = None,
    sentiment: Annotated[
        list[Path] | None,
        typer.Option(help="With --layers: training files of the model, from which it teaches the smaller one."),
    ] = None,
    topic: Annotated[list[Path] | None, typer.Option(help="With --layers: the same for topics.")] = None,
    training: Annotated[Path | None, typer.Option("--settings", help="Of that training: YAML.")] = None,
    name: Annotated[str, typer.Option(help="Name of the smaller model; the folder's name if not given.")] = "",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Make a model smaller and faster, and show accuracy, size and speed before and after.

    Accuracy is told on what the model held out of --sentiment and --topic, where they are given. Fewer word pieces
    change no answer to the texts that were looked at; fewer layers do, and want the training files to make up for it.
    """
    from models.errors import TrainingDataError
    from retrain.compress.run import Plan, measure
    from retrain.compress.run import compress as make
    from retrain.data import read_both
    from retrain.settings import TrainingSettings
    from retrain.settings_file import read_settings
    from retrain.split import split_examples
    from streams.ingest.readers import read_rows

    console = err()
    texts = [str(row.values["text"]) for path in vocabulary or () for row in read_rows(path) if row.values.get("text")]
    if bool(sentiment) != bool(topic):
        raise typer.BadParameter("give --sentiment and --topic, or neither")
    settings = TrainingSettings() if training is None else read_settings(training)
    plan = Plan(
        out=to,
        name=name or to.name,
        texts=texts,
        layers=layers,
        sentiment=tuple(sentiment or ()),
        topic=tuple(topic or ()),
        settings=settings,
        device=device,
    )
    held_out = []
    if sentiment and topic:
        examples = read_both(sentiment, topic)
        held_out = [examples[i] for i in split_examples(examples, settings.dev_share, settings.split_seed).dev]
    timed = texts or [one.text for one in held_out]
    if not timed:
        raise TrainingDataError("there are no texts to measure the speed on: give --vocabulary, or the training files")
    make(model, plan, lambda line: console.print(line, markup=False, soft_wrap=True))
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("", "before", "after", "ratio"):
        table.add_column(column, justify="left" if not column else "right")
    before, after = (measure(folder, held_out, timed, device=device) for folder in (model, to))
    for head in ("sentiment", "topic"):
        one, other = before.accuracy[head], after.accuracy[head]
        if one is not None and other is not None:
            table.add_row(f"accuracy, {head}", f"{one:.4f}", f"{other:.4f}", f"{100 * (other - one):+.2f} points")
    for title, one, other, digits in (
        ("megabytes", before.megabytes, after.megabytes, 1),
        ("texts per second", before.texts_per_second, after.texts_per_second, 0),
        ("parameters, millions", before.parameters / 1e6, after.parameters / 1e6, 1),
    ):
        table.add_row(title, f"{one:,.{digits}f}", f"{other:,.{digits}f}", f"{other / one:.2f}")
    out().print(table)
    typer.echo(to)
