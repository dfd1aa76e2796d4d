"""`squall models first-tier`: a linear tier for a finished model, which answers what it is sure of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from deploy.cli.frame import err, out
from models.errors import TrainingDataError
from retrain.first_tier_settings import TierSettings
from retrain.settings import TrainingSettings
from streams.errors import InputError

_DEFAULTS = TierSettings()
_TRAINING = TrainingSettings()


def first_tier(
    model: Annotated[Path, typer.Argument(help="Folder of a finished model; the tier is put into it.")],
    texts: Annotated[
        list[Path], typer.Option(help="Texts like those to come, without labels: CSV, JSON lines or Parquet, also .gz.")
    ],
    sentiment: Annotated[
        list[Path] | None, typer.Option(help="The sentiment files that the model was trained from.")
    ] = None,
    topic: Annotated[list[Path] | None, typer.Option(help="The topic files that it was trained from.")] = None,
    dev_share: Annotated[float, typer.Option(help="As in the model's training.")] = _TRAINING.dev_share,
    split_seed: Annotated[int, typer.Option(help="As in the model's training.")] = _TRAINING.split_seed,
    most_texts: Annotated[int, typer.Option(help="Take so many of the texts at most, spread evenly; 0: all.")] = 0,
    ngrams: Annotated[int, typer.Option(help="N-grams with weights; 27 bytes each.")] = _DEFAULTS.ngrams,
    seed: Annotated[int, typer.Option(help="Of sides, order and dropout.")] = _DEFAULTS.seed,
    json: Annotated[Path | None, typer.Option(help="Also write all figures here.")] = None,
) -> None:
    """Make the linear tier that answers before the network: it learns the network's own answers to your texts.

    The texts decide what its guarantee is about: take those of your own feed. With the model's training files it learns
    from those too and is held against their held-out rows. It holds
    hashes of n-grams, and no text. The two files go into the model's folder, and a section into its card.
    """
    facts = add_tier(
        model,
        texts,
        (sentiment or [], topic or []),
        split=(dev_share, split_seed),
        most_texts=most_texts,
        ngrams=ngrams,
        seed=seed,
    )
    if json is not None:
        import msgspec

        try:
            json.write_bytes(msgspec.json.format(msgspec.json.encode(facts), indent=2) + b"\n")
        except OSError as error:
            raise InputError(f"{json}: cannot be written: {error.strerror}") from error


def add_tier(
    model: Path,
    texts: Sequence[Path],
    labelled: tuple[Sequence[Path], Sequence[Path]],
    *,
    split: tuple[float, int],
    most_texts: int = 0,
    ngrams: int = _DEFAULTS.ngrams,
    seed: int = _DEFAULTS.seed,
) -> dict[str, Any]:
    """Make a tier, put it into the model's folder and its card, and show what it is worth.

    Args:
        model: a finished model folder.
        texts: files of texts without labels.
        labelled: sentiment and topic files that the model was trained from; both empty, or neither.
        split: `dev_share` and `split_seed` of its training.
        most_texts, ngrams, seed: as the options of the command.

    Raises:
        ModelFilesError: the folder holds no sound model.
        TrainingDataError: too few texts, or the labelled files are not those of the model's training.
    """
    # Imported here: torch takes seconds to load, and `squall models first-tier --help` shall not wait for it.
    from models.first_tier import save_tier
    from retrain.card import CARD
    from retrain.data import read_both
    from retrain.first_tier import Held, make_tier
    from retrain.first_tier_card import put_section, tier_section
    from retrain.job import describe_files
    from retrain.split import split_examples
    from retrain.teachers import check_teacher

    console = err()
    try:
        settings = TierSettings(ngrams=ngrams, seed=seed)
        training = TrainingSettings(dev_share=split[0], split_seed=split[1])
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    held = None
    if any(labelled):
        examples = read_both(*labelled)
        check_teacher(model, describe_files((*labelled[0], *labelled[1]), examples), training)
        held = Held(examples, split_examples(examples, *split))
    found = _spread([text for path in texts for text in _read(path, console)], most_texts)
    made = make_tier(model, found, held, settings, lambda line: console.print(line, markup=False, soft_wrap=True))
    facts = {"sources": [path.name for path in texts], **made.facts}
    save_tier(made.tier, model, facts)
    card = model / CARD
    if card.is_file():
        card.write_text(put_section(card.read_text(encoding="utf-8"), tier_section(facts)), encoding="utf-8")
    _show(facts)
    typer.echo(f"{model}: first tier {made.tier.version}")
    return facts


def _read(path: Path, console: Console) -> list[str]:
    from deploy.cli.score import good_rows
    from streams.ingest.readers import read_rows

    bad = 0

    def on_bad(line: int, reason: str) -> None:
        nonlocal bad
        bad += 1

    found = [row.text for row in good_rows(read_rows(path), {}, on_bad)]
    if bad:
        console.print(f"{path}: rows without a text, left out: {bad:,}", markup=False, soft_wrap=True)
    if not found:
        raise TrainingDataError(f"{path}: holds no text; give a file with a column text, body or content")
    return found


def _spread(texts: list[str], most: int) -> list[str]:
    """Return at most `most` of the texts, evenly spread over them, as files often follow time; all if it is 0."""
    if not 0 < most < len(texts):
        return texts
    return [texts[len(texts) * place // most] for place in range(most)]


def _show(facts: dict[str, Any]) -> None:
    console = out()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(f"level, proved on {facts['texts']['proof']:,} texts")
    for name in ("answered", "agreement", "at least", "difference of P(negative)", "at most"):
        table.add_column(name, justify="right")
    for found in facts["certificates"]:
        if "threshold" not in found:
            table.add_row(f"{found['level']:.3f}", "none is proved", "", "", "", "")
            continue
        table.add_row(
            f"{found['level']:.3f}",
            f"{found['coverage']:.1%}",
            f"{1 - found['errors'] / found['answered']:.4f}",
            f"{found['agreement_bound']:.4f}",
            f"{found['deviation']:.4f}",
            f"{found['deviation_bound']:.4f}",
        )
    console.print(table)
    if "dev" in facts:
        _show_held_out(console, facts["dev"])
    console.print(f"speed: {facts['texts_per_cpu_s']:,} texts in a second of one core")


def _show_held_out(console: Console, dev: dict[str, Any]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(f"{dev['rows']:,} held-out rows")
    for name in ("answered", "agreement", "sentiment accuracy", "topic accuracy"):
        table.add_column(name, justify="right")

    def accuracies(figures: dict[str, Any]) -> tuple[str, str]:
        return f"{figures['sentiment']['accuracy']:.4f}", f"{figures['topic']['accuracy']:.4f}"

    table.add_row("network", "", "", *accuracies(dev["network"]))
    table.add_row("linear alone", "100.0%", "", *accuracies(dev["tier_alone"]))
    for entry in dev["levels"]:
        if "together" in entry:
            shares = (f"{entry['coverage']:.1%}", f"{entry['agreement']:.4f}")
            table.add_row(f"both, level {entry['level']:.3f}", *shares, *accuracies(entry["together"]))
    console.print(table)
