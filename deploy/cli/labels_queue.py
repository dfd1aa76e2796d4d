"""`squall labels queue` and `page`: what to label next, and where."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.cli.frame import err, settings
from streams.errors import InputError

if TYPE_CHECKING:
    from retrain.labels.choose import Candidate


def queue(
    output: Annotated[Path, typer.Argument(help="Tasks for Label Studio (.json), or a table (.csv).")],
    n: Annotated[int, typer.Option("--n", min=1, help="How many texts.")] = 200,
    sources: Annotated[
        list[str] | None,
        typer.Option("--from", help="Scored mentions: files or kafka:, which is also the default. May be repeated."),
    ] = None,
    lang: Annotated[list[str] | None, typer.Option(help="Language that the annotators read; may be repeated.")] = None,
    seed: Annotated[int, typer.Option(help="Of the clusters.")] = 0,
    store: Annotated[Path | None, typer.Option(help="Folder of the labels. Without it retrain.labels.")] = None,
) -> None:
    """Choose what to label next: texts that the model is unsure of, unlike each other, one per story.

    What was labelled before is left out. The same mentions give the same texts. Of a long history they are chosen among
    the 50,000 messages that the model is least sure of.
    """
    from retrain.labels.choose import choose
    from retrain.labels.live import LIVE, MOST_CANDIDATES, candidates
    from retrain.labels.store import LabelStore

    if output.suffix not in (".json", ".csv"):
        raise typer.BadParameter(f"{output} is neither .json (for Label Studio) nor .csv")
    if output.exists():
        raise InputError(f"{output} exists already; remove it, or choose another name")
    current, console = settings(), err()
    known = {one.message_id for one in LabelStore(store or current.retrain.labels).read() if one.answer is not None}
    most = max(MOST_CANDIDATES, 50 * n)
    with console.status("reading mentions") as status:
        found = candidates(
            current,
            sources or LIVE,
            most=most,
            known=known,
            langs=lang or (),
            on_progress=lambda read: status.update(f"reading mentions: {read:,} records"),
        )
        status.update(f"choosing among {len(found):,} messages")
        chosen = choose(found, n, seed=seed)
    if not chosen:
        raise InputError("no message is left to be labelled: all are labelled, or there are no mentions")
    _write(output, chosen)
    least = ", those that the model is least sure of" if len(found) == most else ""
    console.print(f"{output}: {len(chosen):,} of {len(found):,} unlabelled messages{least}", markup=False)


def page() -> None:
    """Print the labelling interface for Label Studio: paste it into the project's settings."""
    from retrain.labels.label_studio import page as made

    typer.echo(made(), nl=False)


def _write(output: Path, chosen: Sequence[Candidate]) -> None:
    import csv

    import msgspec

    from retrain.labels.label_studio import tasks

    try:
        output.touch(mode=0o600, exist_ok=False)  # texts may hold personal data
        if output.suffix == ".json":
            output.write_bytes(msgspec.json.format(msgspec.json.encode(tasks(chosen)), indent=2) + b"\n")
            return
        with output.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("message_id", "text", "entity", "source", "lang", "label"))
            writer.writerows((one.message_id, one.text, one.entity, one.source, one.lang, "") for one in chosen)
    except OSError as error:
        output.unlink(missing_ok=True)
        raise InputError(f"{output}: cannot be written ({error.strerror})") from error
