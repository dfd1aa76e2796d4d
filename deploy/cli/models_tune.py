"""`squall models tune`: measure the backends on this machine, and keep the fastest that loses next to nothing."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich import box
from rich.table import Table

from deploy.cli.frame import err, out, settings
from streams.errors import InputError

if TYPE_CHECKING:
    from models.tune import Measured, Tuning

_SEED = 5
"""Which rows of a long file are measured: the same ones each time."""
_LEAST = 64


def tune(
    model: Annotated[
        str | None, typer.Option(help="A model's folder, name or version. Unset: the configured or the shipped one.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="CSV of texts like yours, with sentiments if there are. Unset: generated texts.")
    ] = None,
    text_column: Annotated[str, typer.Option(help="Column of the text in --data.")] = "text",
    label_column: Annotated[str, typer.Option(help="Column of the sentiment in --data, where it has one.")] = "label",
    bound: Annotated[float, typer.Option(help="Largest loss of accuracy against float32.", min=0.0, max=1.0)] = 0.003,
    messages: Annotated[int, typer.Option(help="Texts to score in a round.", min=_LEAST)] = 1_024,
    rounds: Annotated[int, typer.Option(help="How often each is measured; the median counts.", min=1)] = 3,
    backend: Annotated[
        list[str] | None, typer.Option(help="Only this one beside torch; may be repeated. Unset: all.")
    ] = None,
    calibration: Annotated[
        Path | None, typer.Option(help="Texts that OpenVINO's 8 bits are fitted to, one a line. Unset: generated ones.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Also write all figures here.")] = None,
) -> None:
    """Measure each backend with this model on this machine, and keep the fastest within the bound for it.

    Where classifier.backend is auto, the choice is used from the next start on, as long as model, machine and library
    versions stay the same; else torch is. A backend that is not installed is told and passed over. Where --data has
    no sentiments, the loss is what float32's own probabilities say of the texts that are decided otherwise.
    """
    # Imported here: torch takes seconds to load, and the help shall not wait for it.
    from models import tune as tuning
    from models.benchmark import generate_texts
    from models.engines.choice import BACKENDS
    from streams.models_known import find_model

    unknown = [name for name in backend or () if name not in BACKENDS]
    if unknown:
        raise typer.BadParameter(f"there is no backend {unknown[0]!r}; choose {' or '.join(BACKENDS)}")
    folder = find_model(model, settings())
    texts: list[str]
    labels: list[int] | None = None
    if data is None:
        texts = generate_texts(messages)
    else:
        from deploy.bench.score_data import read_data

        found = read_data(
            data, folder, texts_column=text_column, labels_column=label_column, limit=messages, seed=_SEED
        )
        texts, labels = list(found.texts), None if found.labels is None else list(found.labels)
        if found.known and labels is not None:
            err().print(
                "The model was trained on this file: its accuracies say little, what is lost of them still does"
            )
    different = len(set(texts))
    if different < _LEAST:
        raise InputError(f"{data}: {different} different texts are too few to measure with; give at least {_LEAST}")
    console = err()
    with console.status("measured", spinner="dots") as status:
        result = tuning.tune(
            folder,
            texts,
            labels,
            bound=bound,
            rounds=rounds,
            calibration=calibration,
            candidates=tuning.ways(backend or BACKENDS),
            note=status.update,
        )
    out().print(_table(result))
    for row in result.measured:
        reason = row.error or ("" if row.within else f"loses more than {bound:g}")
        if reason:
            console.print(f"{row.way}: {reason}", markup=False, soft_wrap=True)
    choice = result.choice
    out().print(
        f"{choice.model} {choice.version} is computed by {choice} from now on, where classifier.backend is auto: "
        f"{choice.against_torch:.2f} times as fast as torch. Kept in {result.file}",
        markup=False,
        soft_wrap=True,
    )
    if json is not None:
        _write(json, result, len(texts))


def _table(result: Tuning) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("backend", no_wrap=True)
    names = ("messages/s", "of torch", "agreement", "loss, sentiment", "topic", "accuracy", "peak MiB", "ready in")
    for name in names:
        table.add_column(name, justify="right")
    for row in result.measured:
        if row.error is None:
            table.add_row(("* " if _is_chosen(row, result) else "  ") + str(row.way), *_cells(row))
    return table


def _cells(row: Measured) -> list[str]:
    return [
        f"{row.messages_per_s:,.0f}",
        f"{row.against_torch:.2f}",
        f"{min(row.agreement):.4f}",
        f"{row.loss[0]:.4f}",
        f"{row.loss[1]:.4f}",
        "" if row.accuracy is None else f"{row.accuracy:.4f}",
        f"{row.peak_mib:,.0f}",
        f"{row.load_s:.1f} s",
    ]


def _is_chosen(row: Measured, result: Tuning) -> bool:
    choice = result.choice
    return (row.way.backend, row.way.precision, row.way.device) == (choice.backend, choice.precision, choice.device)


def _write(file: Path, result: Tuning, texts: int) -> None:
    content: dict[str, Any] = {
        "texts": texts,
        "measured": [asdict(row) for row in result.measured],
        "choice": asdict(result.choice),
    }
    try:
        file.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
    except OSError as error:
        raise InputError(f"{file}: cannot be written: {error.strerror}") from error
