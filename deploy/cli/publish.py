"""`squall publish FILE...`: messages from files to the topic that the workers read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from deploy.cli.frame import err, out, settings
from streams.acls import AclRole
from streams.errors import InputError
from streams.ingest.decode import Limits
from streams.ingest.publish import Publisher, PublishReport, check
from streams.ingest.readers import estimated_rows, read_rows
from streams.ingest.rows import NEEDED, check_columns, message_from_row
from streams.records import Message
from streams.rights import require_rights

SHOWN_ERRORS = 20
"""Bad rows told one by one; a file of the wrong shape has millions."""


def publish(
    files: Annotated[list[Path], typer.Argument(help="CSV, TSV or JSON lines (also .gz), or Parquet.")],
    speed: Annotated[
        float | None,
        typer.Option(help="1 keeps the original pace, 60 sends an hour a minute. Unset: as fast as possible."),
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="Source of rows that name none. Unset: the name of the file.")
    ] = None,
    text_column: Annotated[str | None, typer.Option(help="Column of the text.")] = None,
    time_column: Annotated[str | None, typer.Option(help="Column of the time of publication.")] = None,
    id_column: Annotated[str | None, typer.Option(help="Column of the message's id.")] = None,
    title_column: Annotated[str | None, typer.Option(help="Column of the title.")] = None,
    author_column: Annotated[str | None, typer.Option(help="Column of the author.")] = None,
    symbols_column: Annotated[
        str | None, typer.Option(help="Column of the companies' symbols, separated by | , or ;")
    ] = None,
    assume_utc: Annotated[bool, typer.Option("--assume-utc", help="Take times without an offset as UTC.")] = False,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Exit with 0 although there were bad rows.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check everything, send nothing.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after this many rows.")] = None,
) -> None:
    """Send messages from files to Kafka, with the times at which they were published.

    A column is found by its usual names (text, body, content; published_at, timestamp, created_at, ...) or by the
    options. Bad rows are told by line and left out, and the exit status is then 1. Sending a file twice is safe: a
    message counts once.
    """
    console = err()
    if speed is not None and not speed > 0:
        raise typer.BadParameter("must be greater than 0", param_hint="--speed")
    named = {
        "text": text_column,
        "published_at": time_column,
        "id": id_column,
        "title": title_column,
        "author": author_column,
        "symbols": symbols_column,
    }
    columns = {field: column for field, column in named.items() if column is not None}
    current = settings()
    limits = Limits(
        max_bytes=current.ingest.max_bytes, oldest=current.ingest.oldest, max_future_s=current.ingest.max_future_s
    )
    items = _started(islice(_messages(files, source, columns, assume_utc, limits), limit))
    errors = _Errors(console)
    sizes = [estimated_rows(path) for path in files]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    with _progress(console) as progress:
        task = progress.add_task(
            "checking" if dry_run else "publishing", total=total and min(total, limit or total), at=""
        )

        def on_progress(count: int, event_time: datetime) -> None:
            progress.update(task, completed=count + errors.count, at=f"{event_time:%Y-%m-%d %H:%M:%S}")

        if dry_run:
            report = check(items, on_progress=on_progress, on_bad=errors)
        else:
            require_rights(current, [AclRole.PUBLISHER])
            options = current.kafka.client_options()
            with Publisher(options, topic=current.topics.messages) as publisher:
                report = publisher.publish(items, speed=speed, on_progress=on_progress, on_bad=errors)
    errors.conclude()
    if not report.read and not report.bad:
        names = ", ".join(map(str, files))
        console.print(f"There are no rows in {names}", style="yellow", markup=False, soft_wrap=True)
    _print_report(out(), report, current.topics.messages, dry_run=dry_run)
    if report.bad and not skip_bad:
        raise typer.Exit(1)


def _messages(
    files: list[Path], source: str | None, columns: dict[str, str], assume_utc: bool, limits: Limits
) -> Iterator[Message | InputError]:
    for path in files:
        default_source = source or path.name.removesuffix(".gz").rpartition(".")[0] or path.name

        def on_header(header: list[str]) -> None:
            check_columns(header, columns, NEEDED)

        for row in read_rows(path, with_columns=True, on_header=on_header):
            try:
                yield message_from_row(
                    row,
                    default_source=default_source,
                    columns=columns,
                    assume_utc=assume_utc,
                    limits=limits,
                    now=datetime.now(UTC),
                )
            except InputError as error:
                yield InputError(f"{path}: {error}")


def _started(items: Iterator[Message | InputError]) -> Iterator[Message | InputError]:
    """Take the first row now, so that a file which cannot be read is told before Kafka is asked for anything."""
    first = list(islice(items, 1))
    return chain(first, items)


def _progress(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[at]}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )


def plural(count: int, noun: str) -> str:
    """Return `1 row`, `2 rows`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _print_report(console: Console, report: PublishReport, topic: str, *, dry_run: bool) -> None:
    span = f", {report.first:%Y-%m-%d %H:%M:%S} to {report.last:%Y-%m-%d %H:%M:%S} UTC" if report.first else ""
    if dry_run:
        good = f"{plural(report.read, 'message')} {'is' if report.read == 1 else 'are'} good"
        bad = f"{plural(report.bad, 'row')} {'is' if report.bad == 1 else 'are'} bad"
        console.print(f"{good}, {bad}{span}; nothing was sent", soft_wrap=True)
    else:
        pace = f" in {report.seconds:,.1f} s ({report.sent / max(report.seconds, 1e-3):,.0f}/s)"
        bad = f"; {plural(report.bad, 'bad row')} {'was' if report.bad == 1 else 'were'} left out" if report.bad else ""
        sent = f"{plural(report.sent, 'message')} {'is' if report.sent == 1 else 'are'} on {topic}"
        console.print(f"{sent}{pace}{span}{bad}", soft_wrap=True)
    if report.backwards:
        console.print(
            f"Times go backwards {plural(report.backwards, 'time')}: what is later than monitor.allowed_lateness_s "
            "stays out of the alerts. Sort the rows by time if they are history.",
            soft_wrap=True,
            style="yellow",
        )


class _Errors:
    """Tells the first bad rows and counts the others."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.count = 0

    def __call__(self, error: InputError) -> None:
        self.count += 1
        if self.count <= SHOWN_ERRORS:
            self._console.print(str(error), style="red", markup=False, soft_wrap=True)

    def conclude(self) -> None:
        """Say how many were not told."""
        if self.count > SHOWN_ERRORS:
            self._console.print(f"... and {plural(self.count - SHOWN_ERRORS, 'more bad row')}", style="red")
