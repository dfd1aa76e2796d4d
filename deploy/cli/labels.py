"""`squall labels`: from what people said of messages to what a model learns from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from deploy.cli import labels_queue
from deploy.cli.dead_letters import printable
from deploy.cli.frame import err, out, settings
from deploy.cli.times import moment
from streams.config import Settings
from streams.errors import InputError

if TYPE_CHECKING:
    from retrain.labels.said import Said
    from retrain.labels.store import LabelStore
    from retrain.labels.taken_back import TakenBack

_TOLD = 5
"""Messages that were not found are named up to here."""

TaskName = Literal["sentiment", "topic"]
Store = Annotated[Path | None, typer.Option(help="Folder of the labels. Without it retrain.labels.")]
Task = Annotated[TaskName, typer.Option(help="Which head the labels are for.")]

app = typer.Typer(no_args_is_help=True)
app.command("queue")(labels_queue.queue)
app.command("page")(labels_queue.page)


@app.callback()
def labels() -> None:
    """Collect labels, look at them, and choose what to label next."""


@app.command("import")
def import_(
    sources: Annotated[
        list[str] | None,
        typer.Argument(help="CSV, JSON lines or Parquet; Label Studio's export (.json). Without any: squall.labels."),
    ] = None,
    by: Annotated[str | None, typer.Option(help="Who judged, where rows do not say it: a name, no e-mail.")] = None,
    learned_at: Annotated[
        str | None, typer.Option(help="When it became known, where rows do not say it. Without it: now.")
    ] = None,
    task: Task = "sentiment",
    mentions: Annotated[
        list[str] | None,
        typer.Option(help="Where texts are looked up by message id: files or kafka:, which is also the default."),
    ] = None,
    store: Store = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 when a message or alert is not found.")] = False,
) -> None:
    """Take in what was said: verdicts of the desk, or labels of annotators.

    A person's latest word on a message counts; importing twice changes nothing. A file is taken wholly or not at all.
    """
    from retrain.labels.files import FileDefaults, check_name_of_person, read_said
    from retrain.labels.label_studio import read_export

    current, console = settings(), err()
    if by is not None:
        try:
            check_name_of_person(by)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--by") from None
    if not sources:
        found = take_verdicts(current, console, store=store, mentions=mentions)
    else:
        defaults = FileDefaults(task=task, by=by, learned_at=moment(learned_at, "--learned-at") or _now())
        said: list[Said] = []
        for path in map(Path, sources):
            said += read_export(path) if path.suffix == ".json" else read_said(path, defaults)
        found = _take(current, said, console, store=store, mentions=mentions)
    console.print(found.words, markup=False)
    if found.unknown and strict:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of an import: in words, and how much of it was about messages and alerts that were not found."""

    words: str
    unknown: int


def take_verdicts(
    current: Settings, console: Console, *, store: Path | None = None, mentions: list[str] | None = None
) -> Taken:
    """Bring in the verdicts of squall.labels.

    Args:
        current: the configuration.
        console: told of records that are no verdicts.
        store: folder of the labels; that of the configuration without it.
        mentions: where texts are looked up; the mentions topic without it.

    Raises:
        BrokerError: Kafka cannot be reached.
        TopicError: a topic is missing.
        InputError: the labels cannot be kept.
    """
    from retrain.labels.live import read_verdicts

    heard = read_verdicts(current, on_bad=lambda line: console.print(line, style="yellow", markup=False))
    return _take(current, heard.said, console, store=store, mentions=mentions, taken_back=heard.taken_back)


def _take(
    current: Settings,
    said: Sequence[Said],
    console: Console,
    *,
    store: Path | None,
    mentions: list[str] | None,
    taken_back: TakenBack | None = None,
) -> Taken:
    from retrain.labels.live import LIVE, find_alerts, find_mentions
    from retrain.labels.said import join
    from retrain.labels.store import LabelStore
    from retrain.labels.taken_back import NOTHING

    kept = LabelStore(store or current.retrain.labels)
    before = len(said)
    said = kept.without_known(said)
    alerts = find_alerts(current, {one.alert_id for one in said if one.alert_id is not None})
    wanted = {one.message_id for one in said if one.message_id is not None and one.text is None}
    wanted |= {message.message_id for alert in alerts.values() for message in alert.evidence.messages}
    with console.status("looking up the texts") as status:
        found = find_mentions(
            current,
            wanted,
            mentions or LIVE,
            on_progress=lambda read: status.update(f"looking up the texts: {read:,} records read"),
        )
    joined = join(said, mentions=found, alerts=alerts)
    added = kept.add(joined.judgements, NOTHING if taken_back is None else taken_back)
    for one in joined.unknown[:_TOLD]:
        what = one.message_id or f"alert {one.alert_id}"
        console.print(f"  {one.where}: {what} is not among the mentions or alerts there are", markup=False)
    words = (
        f"labels: {added.new:,} new, {added.changed:,} changed, {added.known + before - len(said):,} known before, "
        f"{added.taken_back:,} taken back; "
        f"{len(joined.unknown):,} of messages or alerts that were not found"
    )
    return Taken(words, len(joined.unknown))


@app.command()
def export(
    path: Annotated[
        Path, typer.Argument(help="CSV to write, with the columns text and label: what squall train reads.")
    ],
    task: Task = "sentiment",
    known_at: Annotated[str | None, typer.Option(help="Leave out what became known later than this.")] = None,
    store: Store = None,
) -> None:
    """Write one label per message: the answer that most people gave. What is tied is left out."""
    import csv

    from retrain.labels.decide import decide
    from retrain.labels.export import rows

    until = moment(known_at, "--known-at")
    judgements = [one for one in _store(store).read() if until is None or one.learned_at <= until]
    decision = decide(judgements, task)
    if not decision.decided:
        raise InputError(f"no {task} label is settled in {_store(store).folder}: squall labels import brings them in")
    try:
        with path.open("x", encoding="utf-8", newline="") as file:
            path.chmod(0o600)  # texts may hold personal data
            csv.writer(file).writerows(rows(decision.decided))
    except FileExistsError:
        raise InputError(f"{path} exists already; remove it, or choose another name") from None
    except OSError as error:
        path.unlink(missing_ok=True)
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error
    told = f"{len(decision.conflicts):,} tied and {len(decision.open):,} open ones left out"
    err().print(f"{path}: {len(decision.decided):,} labels; {told}", markup=False)


@app.command()
def stats(
    store: Store = None,
    conflicts: Annotated[int, typer.Option(min=0, help="Show so many messages on which people disagree.")] = 5,
) -> None:
    """Show what labels there are, by class, kind and person, and how far people agree."""
    from retrain.labels.decide import agreement, decide

    judgements, console = _store(store).read(), out()
    if not judgements:
        raise InputError(f"there are no labels in {_store(store).folder}: squall labels import brings them in")
    first, last = min(one.learned_at for one in judgements), max(one.learned_at for one in judgements)
    messages = len({one.message_id for one in judgements})
    console.print(f"{len(judgements):,} judgements on {messages:,} messages, {first:%Y-%m-%d} to {last:%Y-%m-%d}")
    for task in ("sentiment", "topic"):
        own = [one for one in judgements if one.task == task]
        if not own:
            continue
        decision = decide(own, task)
        table = Table(box=box.SIMPLE_HEAD, title=f"{task}: {len(decision.decided):,} labels", title_justify="left")
        table.add_column("label")
        table.add_column("messages", justify="right")
        for name, count in Counter(one.answer for one in decision.decided).most_common():
            table.add_row(name, f"{count:,}")
        table.add_row("tied: left out", f"{len(decision.conflicts):,}")
        table.add_row("open", f"{len(decision.open):,}")
        console.print(table)
        kinds = ", ".join(f"{name} {count:,}" for name, count in Counter(one.kind for one in own).most_common())
        people = ", ".join(f"{name} {count:,}" for name, count in Counter(one.by for one in own).most_common(10))
        console.print(f"said as: {kinds}\nby: {people}", markup=False)
        agreed = agreement(own, task)
        if agreed.alpha is not None:
            console.print(f"agreement: Krippendorff's alpha {agreed.alpha:.2f} on {agreed.messages:,} messages")
        for (one, other), (both, same) in sorted(agreed.pairs.items()):
            console.print(f"  {one} and {other}: the same on {same:,} of {both:,}", markup=False)
        for message_id, words in list(decision.conflicts.items())[:conflicts]:
            told = ", ".join(f"{word.by}: {word.answer}" for word in words)
            text = printable(words[0].text, 120)
            console.print(f"  tied: {printable(message_id, 60)} ({printable(told, 200)}): {text}", markup=False)


@app.command()
def check(
    task: Task = "sentiment",
    show: Annotated[int, typer.Option(min=1, help="How many to show.")] = 20,
    seed: Annotated[int, typer.Option(help="Of the folds.")] = 0,
    store: Store = None,
) -> None:
    """Find labels that are likely wrong. The exit status is 1 when there are any; nothing is changed."""
    from retrain.labels.decide import decide
    from retrain.labels.suspects import find_suspects

    decided = decide(_store(store).read(), task).decided
    suspects = find_suspects(decided, seed=seed)
    console = out()
    console.print(f"{len(suspects):,} of {len(decided):,} {task} labels deserve a second look")
    if not suspects:
        return
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("message", "label", "likelier", "by", "text"):
        table.add_column(column, overflow="fold")
    for one in suspects[:show]:
        word = one.decided.judgement
        table.add_row(
            printable(word.message_id, 60),
            one.decided.answer,
            one.likelier,
            printable(word.by, 60),
            printable(word.text, 160),
        )
    console.print(table, markup=False)
    raise typer.Exit(1)


@app.command()
def verdicts() -> None:
    """Print what each verdict of the desk means for a label."""
    from retrain.labels.verdicts import MEANINGS

    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("verdict")
    table.add_column("what it means for a label")
    for name, meaning in MEANINGS.items():
        table.add_row(name, meaning.words)
    out().print(table)


def _store(folder: Path | None) -> LabelStore:
    from retrain.labels.store import LabelStore

    return LabelStore(folder or settings().retrain.labels)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
