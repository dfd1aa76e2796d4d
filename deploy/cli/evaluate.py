"""`squall evaluate`: what a finished model is worth on the texts that its training held out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich import box
from rich.table import Table

from deploy.cli.frame import out
from models.windows import DEFAULT_MAX_WINDOWS
from retrain.settings import TrainingSettings
from streams.errors import InputError

_DEFAULTS = TrainingSettings()


def evaluate(
    model: Annotated[Path, typer.Argument(help="Folder of a model that squall train has made.")],
    sentiment: Annotated[list[Path], typer.Option(help="The sentiment files that it was trained from.")],
    topic: Annotated[list[Path], typer.Option(help="The topic files that it was trained from.")],
    dev_share: Annotated[float, typer.Option(help="As in its training.")] = _DEFAULTS.dev_share,
    split_seed: Annotated[int, typer.Option(help="As in its training.")] = _DEFAULTS.split_seed,
    max_length: Annotated[
        int | None, typer.Option(help="Read so many tokens at once; without it as many as the model can.")
    ] = None,
    max_windows: Annotated[
        int, typer.Option(help="Read so many overlapping pieces of a longer text; 1 cuts it off.", min=1)
    ] = DEFAULT_MAX_WINDOWS,
    json: Annotated[Path | None, typer.Option(help="Also write all figures here.")] = None,
) -> None:
    """Evaluate a model on held-out texts, beside TF-IDF with logistic regression trained on the same rows.

    The split is made again from the files; a model that was trained from others, or with another split, is refused, as
    it may know the texts. "One of each group" counts one text of each group of near-duplicates.
    """
    # Imported here: torch takes seconds to load, and `squall evaluate --help` shall not wait for it.
    from retrain.data import read_both
    from retrain.held_out import evaluate_classical, evaluate_model
    from retrain.job import describe_files
    from retrain.split import split_examples
    from retrain.teachers import check_teacher

    examples = read_both(sentiment, topic)
    settings = TrainingSettings(dev_share=dev_share, split_seed=split_seed)
    check_teacher(model, describe_files((*sentiment, *topic), examples), settings)
    split = split_examples(examples, dev_share, split_seed)
    try:
        ours = evaluate_model(model, examples, split, max_length=max_length, max_windows=max_windows)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    found = {model.name: ours, "TF-IDF and LR": evaluate_classical(examples, split)}
    console = out()
    for head in ("sentiment", "topic"):
        for file in found[model.name].dev[head]:
            table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
            table.add_column(f"{head}, held-out texts of {file}")
            for name in ("rows", "accuracy", "macro F1", "one of each group", "accuracy"):
                table.add_column(name, justify="right", no_wrap=True)
            for name, figures in found.items():
                all_of_them, first = figures.dev[head][file], figures.firsts[head][file]
                shares = (f"{all_of_them['accuracy']:.4f}", f"{all_of_them['macro_f1']:.4f}")
                table.add_row(
                    name, f"{all_of_them['rows']:,}", *shares, f"{first['rows']:,}", f"{first['accuracy']:.4f}"
                )
            console.print(table)
    if json is not None:
        try:
            json.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
        except OSError as error:
            raise InputError(f"{json}: cannot be written: {error.strerror}") from error
