"""`squall score`: sentiment and topic of each text of a file, and with --explain what each word adds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from deploy.cli.frame import err, out, settings
from deploy.cli.outputs import STANDARD_OUTPUT, written
from models.labels import SENTIMENTS, TOPIC_IDS
from models.prediction import ModelId, Prediction, Scorer
from models.text import valid_unicode
from streams.errors import InputError
from streams.ingest.readers import Row, estimated_rows, read_rows
from streams.ingest.rows import SYNONYMS, check_columns

if TYPE_CHECKING:
    from models import Classifier
    from models.explain import Method
    from streams.sections import ClassifierSettings

BATCH_ROWS = 1024
"""Rows that are scored together: enough for full batches of every length, little enough to stay small in memory."""

SHOWN_ERRORS = 20
"""Bad rows told one by one; a file of the wrong shape has millions."""

EXPLAINED = 10
"""Texts that are explained where no number is asked for: each takes about as long as scoring a hundred."""

PREDICTED = "predicted"
_EXPLAIN = "Explain"


class ScoredText(msgspec.Struct, frozen=True):
    """A row that can be scored: its id as the file gives it, or its line number, and its text."""

    id: str | int
    text: str


def score(
    file: Annotated[
        Path | None, typer.Argument(help="CSV, TSV, JSON lines or text lines (also .gz), or Parquet.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="JSON lines file to write; - is standard output.")
    ] = None,
    text: Annotated[list[str] | None, typer.Option(help="A text instead of a file; repeat it.")] = None,
    model: Annotated[Path | None, typer.Option(help="Model folder. Unset: the configured or the shipped one.")] = None,
    topics: Annotated[
        Path | None, typer.Option(help="File of topics of your own, YAML. Unset: the configured one, if any.")
    ] = None,
    text_column: Annotated[str | None, typer.Option(help="Column of the text.")] = None,
    id_column: Annotated[str | None, typer.Option(help="Column of the id; without one it is the line number.")] = None,
    text_lines: Annotated[bool, typer.Option("--text-lines", help="Each line is a text, whatever the ending.")] = False,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Exit with 0 although there were bad rows.")] = False,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N. Unset: as configured.")] = None,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Show what each word adds to the score.", rich_help_panel=_EXPLAIN),
    ] = False,
    label: Annotated[
        str,
        typer.Option(
            "--class", help="A sentiment, a topic, or predicted: whose score is explained.", rich_help_panel=_EXPLAIN
        ),
    ] = SENTIMENTS[0],
    occlusion: Annotated[
        bool,
        typer.Option(
            "--occlusion", help="Leave out one word at a time instead of integrating.", rich_help_panel=_EXPLAIN
        ),
    ] = False,
    limit: Annotated[
        int, typer.Option(min=1, help="Texts that are explained, the first ones.", rich_help_panel=_EXPLAIN)
    ] = EXPLAINED,
    json: Annotated[
        bool, typer.Option("--json", help="JSON lines on standard output, as --output - writes them.")
    ] = False,
) -> None:
    """Score the texts of a file: one JSON line per row, in the order of the rows.

    A column is found by its usual names (text, body, content; id, message_id, ...) or by the options. Bad rows are
    told by line and left out, and the exit status is then 1. A file appears when it is complete, not before; standard
    output, a device or a pipe is written to as the rows are scored.

    With --explain, each text is shown with its words marked by what they add to the log-odds of "negative": they add
    up to the score. That needs captum (pip install captum) and up to some seconds per text.
    """
    destination = _destination(file, text, output, json=json, shown=explain)
    configured = settings().classifier
    target = _target(label) if explain else None
    _check_paths(file, destination)
    columns = {name: column for name, column in (("text", text_column), ("id", id_column)) if column is not None}
    rows = _rows(file, text or (), columns, text_lines=text_lines)
    bad = _BadRows(err(), file)
    # Opened before the model is loaded, which takes seconds: a wrong path shall be told at once.
    with written(destination) as written_to:
        classifier = _classifier(configured, model, device, topics)
        texts = good_rows(rows, columns, bad)
        if target is None:
            total = None if text_lines or file is None else estimated_rows(file)
            count = _score_all(texts, classifier, written_to, bad, total)
        else:
            explaining = _Explaining(classifier, model or configured.model, device or configured.device, target)
            method: Method = "occlusion" if occlusion else "integrated-gradients"
            count = explaining.run(islice(texts, limit), method, None if destination is None else written_to)
    bad.conclude()
    _conclude(count, bad, classifier, destination, file, explained=explain)
    if bad.count and not skip_bad:
        raise typer.Exit(1)


def _destination(
    file: Path | None, texts: list[str] | None, output: Path | None, *, json: bool, shown: bool
) -> Path | None:
    """Return where JSON lines go, or None where explanations are to be read on the terminal; refuse what is unclear."""
    if (file is None) == (not texts):
        raise typer.BadParameter("name a file, or give --text", param_hint="FILE")
    if json and output not in (None, STANDARD_OUTPUT):
        raise typer.BadParameter("--json is standard output; leave one of the two out", param_hint="--output")
    if json or output is not None:
        return output or STANDARD_OUTPUT
    if shown:
        return None
    if file is not None:
        raise typer.BadParameter("name the file to write, or - for standard output", param_hint="--output")
    return STANDARD_OUTPUT


def _target(label: str) -> tuple[str, str | None]:
    """Return head and label of a class."""
    if label == PREDICTED:
        return "sentiment", None
    if label in SENTIMENTS or label in TOPIC_IDS:
        return "sentiment" if label in SENTIMENTS else "topic", label
    known = ", ".join((PREDICTED, *SENTIMENTS, *TOPIC_IDS))
    raise typer.BadParameter(f"unknown class {label!r}; choose one of {known}", param_hint="--class")


def _classifier(
    configured: ClassifierSettings, model: Path | None, device: str | None, topics: Path | None
) -> Classifier:
    from models.classifier import Classifier

    return Classifier.load(
        model or configured.model,
        device=device or configured.device,
        backend=configured.backend,
        dtype=configured.precision,
        max_tokens_per_batch=configured.max_tokens_per_batch,
        max_windows=configured.max_windows,
        abstain_below=configured.abstain_below,
        own_topics=topics or configured.own_topics,
    )


def _rows(file: Path | None, texts: Iterable[str], columns: Mapping[str, str], *, text_lines: bool) -> Iterator[Row]:
    if file is None:
        return (Row(number, {"text": text}) for number, text in enumerate(texts, 1))

    def on_header(header: list[str]) -> None:
        check_columns(header, columns, (("text",),))

    return _started(read_rows(file, text_lines=text_lines, on_header=on_header))


def _score_all(
    texts: Iterable[ScoredText], classifier: Classifier, output: IO[bytes], bad: _BadRows, total: int | None
) -> int:
    count = 0
    with _progress(err()) as progress:
        task = progress.add_task("scoring", total=total)
        for lines in score_texts(texts, classifier):
            output.write(b"".join(lines))
            count += len(lines)
            progress.update(task, completed=count + bad.count)
    return count


class _Explaining:
    """Explains texts one by one."""

    def __init__(self, classifier: Classifier, model: Path | None, device: str, target: tuple[str, str | None]) -> None:
        from models.explain import Explainer

        self._classifier = classifier
        self._explainer = Explainer.load(model, device=device, max_windows=classifier.max_windows)
        self._target = target

    def run(self, texts: Iterable[ScoredText], method: Method, output: IO[bytes] | None) -> int:
        """Write the explanations, or show them where there is no output, and return how many there were."""
        from deploy.cli.score_explained import explanation_record, show_explanation

        head, label = self._target
        count = 0
        for row in texts:
            (prediction,) = self._classifier.predict([row.text])
            with err().status("explaining"):
                found = self._explainer.explain(row.text, head=head, label=label, method=method)
            if output is None:
                show_explanation(out(), row.id, prediction, found)
            else:
                explained = {"text": valid_unicode(row.text), "explanation": explanation_record(found)}
                output.write(json_line(row.id, prediction, self._classifier.model, explained))
                output.flush()
            count += 1
        return count


def _conclude(
    count: int, bad: _BadRows, classifier: Classifier, output: Path | None, file: Path | None, *, explained: bool
) -> None:
    console = err()
    if not count and not bad.count:
        console.print(f"There are no rows in {file}", style="yellow", markup=False, soft_wrap=True)
    noun = "row" if file is not None else "text"
    rows = f"1 {noun}" if count == 1 else f"{count:,} {noun}s"
    done = "explained" if explained else "scored"
    where = "" if output is None else ": standard output" if output == STANDARD_OUTPUT else f": {output}"
    model = classifier.model
    console.print(f"{rows} {done} by {model.name} {model.version}{where}", markup=False, soft_wrap=True)


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


def json_line(
    identity: str | int, prediction: Prediction, model: ModelId, more: Mapping[str, Any] | None = None
) -> bytes:
    """Return the output line of one row, line feed included; `more` are further fields of it."""
    record: dict[str, Any] = {
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
    if prediction.own_topics:
        record["own_topics"] = dict(prediction.own_topics)
    return msgspec.json.encode(record | dict(more or {})) + b"\n"


def _check_paths(file: Path | None, output: Path | None) -> None:
    if file is not None and not file.exists():
        raise InputError(f"{file}: no such file")
    if output is None or output == STANDARD_OUTPUT:
        return
    try:
        target = output.resolve()
    except RuntimeError as error:
        raise InputError(f"{output}: is a symbolic link to itself") from error
    if output.exists() and not output.is_file() and not output.is_dir():
        return  # a device or a pipe, perhaps without a name of its own
    if output.is_dir() or not target.parent.is_dir():
        raise InputError(f"{output}: name a file in a folder that exists")
    if file is not None and output.exists() and output.samefile(file):
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

    def __init__(self, console: Console, file: Path | None) -> None:
        self._console = console
        self._file = file or "--text"
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
