"""`squall models calibrate`: fit a model's temperatures and abstain band on the texts that its training held out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table

from deploy.cli.frame import out as stdout
from retrain.settings import KEPT_ACCURACY, KEPT_CONFIDENCE, TrainingSettings

_DEFAULTS = TrainingSettings()


def calibrate(
    model: Annotated[Path, typer.Argument(help="Folder of a model that squall train has made.")],
    sentiment: Annotated[list[Path], typer.Option(help="The sentiment files that it was trained from.")],
    topic: Annotated[list[Path], typer.Option(help="The topic files that it was trained from.")],
    dev_share: Annotated[float, typer.Option(help="As in its training.")] = _DEFAULTS.dev_share,
    split_seed: Annotated[int, typer.Option(help="As in its training.")] = _DEFAULTS.split_seed,
    accuracy: Annotated[
        float, typer.Option(help="What share of the sentiments not abstained shall be right.", min=0.0, max=1.0)
    ] = KEPT_ACCURACY,
    confidence: Annotated[float, typer.Option(help="How sure that shall be.", min=0.5, max=0.999)] = KEPT_CONFIDENCE,
    out: Annotated[
        Path | None, typer.Option(help="Write the calibrated model here, a new or empty folder; else it is only shown.")
    ] = None,
) -> None:
    """Make a model's probabilities mean what they say: one temperature per head, fitted on held-out texts.

    The most probable class of a text stays the same. What is shown as it is afterwards is cross-fitted: on one half of
    the text groups, measured on the other; "by chance" is the error of a perfect forecaster on so few rows. A sentiment
    below the threshold is marked as abstained, so that of the others the stated share is right. A model that was
    trained from other files, or with another split, is refused: it may know the texts.
    """
    # Imported here: torch takes seconds to load, and the help shall not wait for it.
    from retrain.calibrate import fit_calibration
    from retrain.data import read_both
    from retrain.job import describe_files
    from retrain.recalibrate import write_calibrated
    from retrain.split import split_examples
    from retrain.teachers import check_teacher

    examples = read_both(sentiment, topic)
    settings = TrainingSettings(dev_share=dev_share, split_seed=split_seed)
    check_teacher(model, describe_files((*sentiment, *topic), examples), settings)
    split = split_examples(examples, dev_share, split_seed)
    found = fit_calibration(model, examples, split, kept_accuracy=accuracy, kept_confidence=confidence)
    console = stdout()
    console.print(_table(found.figures))
    console.print(_band(found.figures["abstain"]), highlight=False)
    if out is not None:
        manifest = write_calibrated(model, out, found, examples, split)
        typer.echo(f"{out}: {manifest.name} {manifest.version}")


def _table(figures: dict[str, Any]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("on held-out texts")
    for name in ("rows", "temperature", "log loss", "calibration error", "by chance"):
        table.add_column(name, justify="right", no_wrap=True)
    for head in ("sentiment", "topic"):
        own = figures[head]
        before, after = own["uncalibrated"], own["cross_fitted"]
        table.add_row(
            head,
            f"{own['rows']:,}",
            f"{own['temperature']:.4f}",
            f"{before['log_loss']:.4f} → {after['log_loss']:.4f}",
            f"{before['calibration_error']:.4f} → {after['calibration_error']:.4f}",
            f"{own['of_a_perfect_forecaster']['mean']:.4f}",
        )
    return table


def _band(figures: dict[str, Any]) -> str:
    if not figures["below"]:
        return "No threshold bears that accuracy out on these texts: no sentiment is abstained."
    here = figures["on_these_rows"]
    return (
        f"Sentiments below {figures['below']:.2f} are abstained: {here['kept']:.1%} are kept, of which "
        f"{here['accuracy_of_kept']:.1%} are right here, and at least {figures['states_accuracy']:.0%} with "
        f"{figures['with_confidence']:.0%} confidence."
    )
