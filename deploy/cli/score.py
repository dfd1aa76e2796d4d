"""`squall score FILE --output OUT.jsonl`: sentiment and topic of each text of a file."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import IO, Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from deploy.cli.frame import err, settings
from models.prediction import ModelId, Prediction, Scorer
from streams.errors import InputError
from streams.ingest.readers import Row, estimated_rows, read_rows
from streams.ingest.rows import SYNONYMS, check_columns

BATCH_ROWS = 1024
"""Rows that are scored together: enough for full batches of every length, little enough to stay small in memory."""

STANDARD_OUTPUT = Path("-")

SHOWN_ERRORS = 20
"""Bad rows told one by one; a file of the wrong shape has millions."""


class ScoredText(msgspec.Struct, frozen=True):
    """A row that can be scored: its id as the file gives it, or its line number, and its text."""

    id: str | int
    text: str


def score(
    file: Annotated[Path, typer.Argument(help="CSV, TSV, JSON lines or text lines (also .gz), or Parquet.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="JSON lines file to write; - is standard output.")],
    model: Annotated[Path | None, typer.Option(help="Model folder. Unset: the configured or the shipped one.")] = None,
    text_column: Annotated[str | None, typer.Option(help="Column of the text.")] = None,
    id_column: Annotated[str | None, typer.Option(help="Column of the id; without one it is the line number.")] = None,
    text_lines: Annotated[bool, typer.Option("--text-lines", help="Each line is a text, whatever the ending.")] = False,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Exit with 0 although there were bad rows.")] = False,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N. Unset: as configured.")] = None,
) -> None:
    """Score the texts of a file: one JSON line per row, in the order of the rows.

    A column is found by its usual names (text, body, content; id, message_id, ...) or by the options. Bad rows are
    told by line and left out, and the exit status is then 1. A file appears when it is complete, not before; standard
    output, a device or a pipe is written to as the rows are scored.
    """
    console = err()
    configured = settings().classifier
    _check_paths(file, output)
    columns = {name: column for name, column in (("text", text_column), ("id", id_column)) if column is not None}

    def on_header(header: list[str]) -> None:
        check_columns(header, columns, (("text",),))

    rows = _started(read_rows(file, text_lines=text_lines, on_header=on_header))
    bad = _BadRows(console, file)
    total = None if text_lines else estimated_rows(file)
    # Opened before the model is loaded, which takes seconds: a wrong path shall be told at once.
    with written(output) as out, _progress(console) as progress:
        from models.classifier import Classifier

        classifier = Classifier.load(
            model or configured.model,
            device=device or configured.device,
            max_tokens_per_batch=configured.max_tokens_per_batch,
        )
        task = progress.add_task("scoring", total=total)
        texts = good_rows(rows, columns, bad)
        count = 0
        for lines in score_texts(texts, classifier):
            out.write(b"".join(lines))
            count += len(lines)
            progress.update(task, completed=count + bad.count)
    bad.conclude()
    shown = "standard output" if output == STANDARD_OUTPUT else output
    if not count and not bad.count:
        console.print(f"There are no rows in {file}", style="yellow", markup=False, soft_wrap=True)
    rows_scored = "1 row" if count == 1 else f"{count:,} rows"
    console.print(f"{rows_scored} scored by {classifier.model.name} {classifier.model.version}: {shown}")
    if bad.count and not skip_bad:
        raise typer.Exit(1)


def good_rows(
    rows: Iterable[Row], columns: Mapping[str, str], on_bad: Callable[[int, str], None]
) -> Iterator[ScoredText]:
    """Yield the rows that have a text; the others go to `on_bad` as line and reason.

    `columns` names the columns of "text" and "id" where the usual names (`streams.ingest.rows.SYNONYMS`) do not do.
    """
    for row in rows:
        if row.error is not None:
            on_bad(row.line, row.error)
            continue
        missing = next((column for column in columns.values() if column not in row.values), None)
        if missing is not None:
            on_bad(row.line, f"no column {missing!r}; there is {', '.join(row.values) or 'none'}")
            continue
        text = _value(row, "text", columns)
        if isinstance(text, str) and text.strip():
            identity = _value(row, "id", columns)
            known = identity if isinstance(identity, str | int) and identity != "" else row.line
            yield ScoredText(known, text)
        elif isinstance(text, str) or (text is None and _has_text(row, columns)):
            on_bad(row.line, "the text is empty")
        elif text is None:
            on_bad(row.line, f"no text; columns are {', '.join(row.values) or 'none'}, --text-column names another one")
        else:
            on_bad(row.line, f"the text is no string but {type(text).__name__}")


def _value(row: Row, name: str, columns: Mapping[str, str]) -> object:
    if name in columns:
        return row.values[columns[name]]
    by_name = {column.lower(): value for column, value in row.values.items() if value is not None}
    return next((by_name[column] for column in SYNONYMS[name] if column in by_name), None)


def _has_text(row: Row, columns: Mapping[str, str]) -> bool:
    return "text" in columns or any(column.lower() in SYNONYMS["text"] for column in row.values)


def score_texts(texts: Iterable[ScoredText], scorer: Scorer, batch_rows: int = BATCH_ROWS) -> Iterator[list[bytes]]:
    """Score the texts `batch_rows` at a time; yields the JSON lines of each batch, in the order of the texts."""
    remaining = iter(texts)
    while batch := list(islice(remaining, batch_rows)):
        predictions = scorer.predict([row.text for row in batch])
        yield [json_line(row.id, answer, scorer.model) for row, answer in zip(batch, predictions, strict=True)]


def json_line(identity: str | int, prediction: Prediction, model: ModelId) -> bytes:
    """Return the output line of one row, line feed included."""
    record = {
        "id": identity,
        "sentiment": {
            "label": prediction.label,
            "negative": prediction.negative,
            "neutral": prediction.neutral,
            "positive": prediction.positive,
        },
        "topic": {"label": prediction.topic, "probability": prediction.topic_probability},
        "model": {"name": model.name, "version": model.version},
        "truncated": prediction.truncated,
    }
    return msgspec.json.encode(record) + b"\n"


@contextmanager
def written(output: Path) -> Iterator[IO[bytes]]:
    """Open what the user named for writing: `-`, a device or a pipe as it is, a file so that it is `replaced`.

    Raises:
        InputError: it cannot be written.
    """
    if output == STANDARD_OUTPUT:
        with _told(output):
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
    elif output.exists() and not output.is_file():
        # By the name as given: what /dev/stdout leads to may have no name of its own.
        with _told(output), output.open("wb") as file:
            yield file
    else:
        with replaced(output) as file:
            yield file


@contextmanager
def replaced(output: Path) -> Iterator[IO[bytes]]:
    """Open a file beside `output` that takes its place when all went well, and is removed when not.

    A symbolic link stays, and what it leads to is replaced; a file that was there keeps its permissions.

    Raises:
        InputError: the file cannot be written.
    """
    with _told(output):
        target = output.resolve()
        if target.exists() and not os.access(target, os.W_OK):
            raise InputError(f"{output}: cannot be written: you have no permission to")
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            with part.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if target.exists():
                shutil.copymode(target, part)
            part.replace(target)
        finally:
            if part.exists():
                part.unlink()


@contextmanager
def _told(output: Path) -> Iterator[None]:
    """Tell what goes wrong in writing as an InputError that names the output."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{output}: cannot be written: {error.strerror or error}") from error


def _check_paths(file: Path, output: Path) -> None:
    if not file.exists():
        raise InputError(f"{file}: no such file")
    if output == STANDARD_OUTPUT:
        return
    try:
        target = output.resolve()
    except RuntimeError as error:
        raise InputError(f"{output}: is a symbolic link to itself") from error
    if output.exists() and not output.is_file() and not output.is_dir():
        return  # a device or a pipe, perhaps without a name of its own
    if output.is_dir() or not target.parent.is_dir():
        raise InputError(f"{output}: name a file in a folder that exists")
    if output.exists() and output.samefile(file):
        raise InputError(f"{output}: is the file to be read, name another one for the output")


def _started(rows: Iterator[Row]) -> Iterator[Row]:
    """Take the first row now, so that a file which cannot be read is told before the model is loaded."""
    first = list(islice(rows, 1))
    return chain(first, rows)


def _progress(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )


class _BadRows:
    """Tells the first bad rows and counts the others."""

    def __init__(self, console: Console, file: Path) -> None:
        self._console = console
        self._file = file
        self.count = 0

    def __call__(self, line: int, reason: str) -> None:
        self.count += 1
        if self.count <= SHOWN_ERRORS:
            self._console.print(f"{self._file}:{line}: {reason}", style="red", markup=False, soft_wrap=True)

    def conclude(self) -> None:
        """Say how many there were, where not all were told."""
        if self.count:
            untold = f", {self.count - SHOWN_ERRORS:,} of them not shown" if self.count > SHOWN_ERRORS else ""
            were = "1 bad row was" if self.count == 1 else f"{self.count:,} bad rows were"
            self._console.print(f"{were} left out{untold}", style="red")
