"""`squall models reference`: what texts and answers usually are, for drift to be measured against."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.cli.frame import err, out, settings
from streams.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from streams.config import Settings
    from streams.records import Mention
    from streams.watch.making import Made, ReferenceMaker
    from streams.watch.reference import Reference

_KAFKA = "kafka:"


def reference(
    texts: Annotated[
        list[str],
        typer.Argument(
            help="Files that squall score reads, or mentions as they were scored: a log of squall.mentions in a file, "
            "or kafka: (kafka:?from=2026-03-01T00:00:00Z&to=2026-03-08T00:00:00Z).",
            metavar="TEXTS",
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(help="The model's folder, name or version. Unset: the configured or the shipped one."),
    ] = None,
    text_column: Annotated[str | None, typer.Option(help="Column of the text, in files of texts.")] = None,
    text_lines: Annotated[bool, typer.Option("--text-lines", help="Each line is a text, whatever the ending.")] = False,
    most: Annotated[
        int, typer.Option(min=1_000, help="Of more texts a sample of so many, the same each time.")
    ] = 50_000,
) -> None:
    """Tell a model what its texts usually are: writes reference.json into its folder, and squall_drift_psi is measured
    against that.

    Take texts of a time when all was well, a thousand or more. They go through the worker's own stage, so those about
    no company of the tables are left out; mentions that this very model has scored are taken as they are. The file
    holds figures and no text. Workers read it when they load the model.
    """
    from models.files import read_manifest
    from streams.models_known import find_model
    from streams.scoring.build import load_scorer
    from streams.watch.making import ReferenceMaker
    from streams.watch.reference import write_reference

    current = settings()
    folder = find_model(model, current)
    manifest = read_manifest(folder)
    console = err()
    with console.status("reading") as status:

        def show(made: Made) -> None:
            status.update(f"{made.read:,} texts read, {made.taken:,} taken")

        maker = ReferenceMaker(
            current,
            manifest.model,
            partial(load_scorer, current, folder),
            at=datetime.now(UTC),
            on_progress=show,
            most=most,
        )
        if texts[0].startswith(_KAFKA):
            maker.add_mentions(_from_source(texts, current, console))
        else:
            for path in _files(texts):
                _add_file(maker, path, {} if text_column is None else {"text": text_column}, text_lines, console)
        try:
            found = maker.build([text if text.startswith(_KAFKA) else Path(text).name for text in texts])
        except ValueError as error:
            left_out = maker.made.texts - maker.made.taken
            raise InputError(
                f"{error}: {left_out:,} others are about no company of the tables, or unreadable"
            ) from None
    try:
        path = write_reference(folder, found)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror}") from error
    _conclude(path, found, maker.made, most)


def _files(texts: list[str]) -> list[Path]:
    from streams.replay.sources.spec import FileSpec, parse_sources

    spec = parse_sources(texts)
    assert isinstance(spec, FileSpec)  # noqa: S101  # a Kafka source would have to stand first and alone
    return list(spec.paths)


def _add_file(maker: ReferenceMaker, path: Path, columns: dict[str, str], text_lines: bool, console: Console) -> None:
    """Take one file in: as a log of mentions if it begins like one, and else as texts."""
    from deploy.cli.score import good_rows
    from streams.ingest.readers import is_json_lines, read_lines, read_rows
    from streams.ingest.rows import check_columns
    from streams.replay.sources.mention_rows import is_log_record

    first = next(islice(read_lines(path), 1), (1, b"")) if is_json_lines(path) and not text_lines else (1, b"")
    if is_log_record(first[1]):
        maker.add_mentions(_from_log(path, console))
        return

    def on_bad(line: int, reason: str) -> None:
        console.print(f"{path}:{line}: {reason}", style="red", markup=False, soft_wrap=True)

    def on_header(header: list[str]) -> None:
        check_columns(header, columns, (("text",),))

    rows = read_rows(path, text_lines=text_lines, on_header=on_header)
    maker.add_texts(row.text for row in good_rows(rows, columns, on_bad))


def _from_log(path: Path, console: Console) -> Iterator[Mention]:
    from streams.errors import RecordError
    from streams.ingest.readers import read_lines
    from streams.records import Mention, decode_mention

    for line, content in read_lines(path):
        try:
            record = decode_mention(content)
        except RecordError as error:
            console.print(f"{path}:{line}: {error}", style="red", markup=False, soft_wrap=True)
            continue
        if isinstance(record, Mention):
            yield record


def _from_source(texts: list[str], current: Settings, console: Console) -> Iterator[Mention]:
    from deploy.cli.replay_words import BadRows
    from streams.records import Mention
    from streams.replay.sources.open_source import open_mentions

    bad = BadRows(console, counted=False)
    source = open_mentions(texts, current)
    for partition in source.partitions:
        for numbered in source.records(partition, on_bad=bad):
            if isinstance(numbered.record, Mention):
                yield numbered.record
    bad.conclude()


def _conclude(path: Path, found: Reference, made: Made, most: int) -> None:
    again = f", {made.scored:,} of them scored for it" if made.scored else ""
    sample = f", a sample of {made.read:,}" if made.read > made.texts >= most else ""
    out().print(
        f"{path}: for {found.model.name} {found.model.version}, of {found.texts:,} texts{again}{sample}; "
        f"{made.texts - made.taken:,} were left out",
        markup=False,
        soft_wrap=True,
    )
