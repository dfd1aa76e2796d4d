"""`squall dead-letters`: what was refused and why, and sending it once more after a fix."""

from __future__ import annotations

import heapq
import os
import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich import box
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from deploy.cli.frame import err, out, settings
from deploy.cli.times import moment
from streams.config import Settings, nearest
from streams.dead_letters import KeptLetter, Query, SendPlan, plan_sending, read_letter, read_letters, send_again
from streams.deliver.words import plural
from streams.errors import InputError
from streams.records.dead_letter import REASONS

LISTED_CHARS = 80
"""A text may hold personal data: a list shows as much as tells what it is."""
SHOWN_CHARS = 4_000
_DETAIL_CHARS = 200
_SHOWN_BAD = 5

app = typer.Typer(no_args_is_help=True)


@app.callback()
def dead_letters() -> None:
    """Look at the records that were refused, and send them again after a fix."""


def _known_reasons(reasons: list[str] | None) -> list[str] | None:
    for reason in reasons or ():
        if reason not in REASONS:
            known = sorted(REASONS)
            hint = nearest(reason, known) or f"; the reasons are {', '.join(known)}"
            raise typer.BadParameter(f"unknown reason {reason!r}{hint}")
    return reasons


def _moment(text: str | None) -> str | None:
    moment(text, "--since/--until")
    return text


Reasons = Annotated[
    list[str] | None,
    typer.Option("--reason", callback=_known_reasons, help="Only those refused for this reason. May be repeated."),
]
Since = Annotated[
    str | None,
    typer.Option(callback=_moment, help="Only those refused at this time or later, such as 2026-03-17T09:30:00Z."),
]
Until = Annotated[str | None, typer.Option(callback=_moment, help="Only those refused before this time.")]
Json = Annotated[bool, typer.Option("--json", help="Write JSON instead of a table.")]


class Listed(msgspec.Struct, frozen=True, order=True):
    """A dead letter in a list: where it is kept, why it was refused, and how it begins. One line of `--json`."""

    at: datetime
    partition: int
    offset: int
    reason: str
    detail: str
    came_from: str
    """`topic[partition]@offset` of the record that was refused."""
    key: str | None
    bytes: int | None
    """None for a tombstone."""
    begins: str | None
    refused_by: str

    @classmethod
    def of(cls, kept: KeptLetter) -> Listed:
        """Keep what a list shows, and let go of the rest."""
        letter = kept.letter
        return cls(
            at=kept.at,
            partition=kept.partition,
            offset=kept.offset,
            reason=printable(letter.reason, LISTED_CHARS),
            detail=printable(letter.detail, _DETAIL_CHARS),
            came_from=f"{printable(letter.topic, LISTED_CHARS)}[{letter.partition}]@{letter.offset}",
            key=None if letter.key is None else printable(letter.key, LISTED_CHARS),
            bytes=None if letter.value is None else len(letter.value),
            begins=None if letter.value is None else printable(letter.value, LISTED_CHARS),
            refused_by=printable(letter.refused_by, LISTED_CHARS),
        )


@app.command("list")
def list_(
    reason: Reasons = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 50,
    as_json: Json = False,
) -> None:
    """List refused records: when, why, where they came from, and how they begin.

    `squall dead-letters show PLACE` shows one of them whole.
    """
    current = settings()
    found = 0

    def listed() -> Iterator[Listed]:
        nonlocal found
        for kept in _letters(current, _query(reason, since, until)):
            found += 1
            yield Listed.of(kept)

    # Values may have megabytes and be many: no more than the newest are held, and of them only what is shown.
    newest = sorted(heapq.nlargest(limit, listed()))
    if as_json:
        for one in newest:
            typer.echo(msgspec.json.encode(one))
        return
    table = _table(f"Dead letters on {current.topics.dead_letters}")
    table.add_column("refused, UTC", overflow="fold", min_width=10)
    table.add_column("place", no_wrap=True)
    for heading in ("reason", "detail", "came from", "begins"):
        table.add_column(heading, overflow="fold")
    for one in newest:
        key = "" if one.key is None else f"\n{one.key}"
        begins = "(no bytes: a tombstone)" if one.begins is None else one.begins
        cells = (one.reason, one.detail, one.came_from + key, begins)
        place = f"{one.partition}:{one.offset}"
        # As text, not as markup: what was refused may hold brackets of its own.
        table.add_row(f"{one.at:%Y-%m-%d %H:%M:%S}", place, *(Text(cell) for cell in cells))
    console = out()
    if newest:
        console.print(table)
    if found > len(newest):
        console.print(f"The newest {len(newest):,} of {plural(found, 'dead letter')}; --limit shows more")
    elif not found:
        console.print("No dead letters.")


@app.command()
def count(reason: Reasons = None, since: Since = None, until: Until = None, as_json: Json = False) -> None:
    """Count refused records by reason."""
    current = settings()
    counts: Counter[str] = Counter()
    first: dict[str, datetime] = {}
    last: dict[str, datetime] = {}
    for kept in _letters(current, _query(reason, since, until)):
        word = printable(kept.letter.reason, LISTED_CHARS)
        counts[word] += 1
        first[word] = min(first.get(word, kept.at), kept.at)
        last[word] = max(last.get(word, kept.at), kept.at)
    if as_json:
        typer.echo(msgspec.json.encode(dict(counts.most_common())))
        return
    if not counts:
        out().print("No dead letters.")
        return
    table = _table(f"Dead letters on {current.topics.dead_letters}")
    table.add_column("reason")
    table.add_column("letters", justify="right")
    table.add_column("first, UTC", no_wrap=True)
    table.add_column("last, UTC", no_wrap=True)
    for word, number in counts.most_common():
        times = (f"{at[word]:%Y-%m-%d %H:%M:%S}" for at in (first, last))
        table.add_row(Text(word), f"{number:,}", *times)
    table.add_section()
    table.add_row("in all", f"{counts.total():,}")
    out().print(table)


@app.command()
def show(
    place: Annotated[str, typer.Argument(metavar="PARTITION:OFFSET", help="Where it is kept, as the list shows it.")],
    raw: Annotated[
        Path | None,
        typer.Option(help="Write the original bytes to this new file, for its owner alone; - is standard output."),
    ] = None,
) -> None:
    """Show one refused record: why, where it came from, and its bytes, with control characters escaped."""
    match = re.fullmatch(r"(\d{1,9}):(\d{1,18})", place)
    if match is None:
        raise typer.BadParameter(f"{place!r} is no PARTITION:OFFSET, such as 0:12", param_hint="PARTITION:OFFSET")
    kept = read_letter(settings(), int(match[1]), int(match[2]))
    letter = kept.letter
    if raw is not None and letter.value is None:
        raise InputError(f"dead letter {place} is a tombstone: it has no bytes to write")
    to_stdout = raw == Path("-")
    console = err() if to_stdout else out()
    rows: dict[str, str] = {
        "place": kept.place,
        "refused": f"{kept.at:%Y-%m-%d %H:%M:%S} UTC by {letter.refused_by}",
        "reason": letter.reason,
        "detail": letter.detail,
        "came from": f"{letter.topic}[{letter.partition}]@{letter.offset}",
        "key": "none" if letter.key is None else printable(letter.key, SHOWN_CHARS),
        "value": "none: a tombstone" if letter.value is None else plural(len(letter.value), "byte"),
    }
    for name, text in rows.items():
        console.print(f"{name:<10} {printable(text, SHOWN_CHARS)}", markup=False, soft_wrap=True)
    if letter.value is not None and raw is None:
        console.print()
        value = printable(letter.value, SHOWN_CHARS)
        console.print(value, markup=False, soft_wrap=True)
        if value.endswith("…"):
            console.print("\nThat is how it begins; --raw FILE writes all of it.")
    if raw is not None and letter.value is not None:
        _write(raw, letter.value, to_stdout=to_stdout)


@app.command("send-again")
def send_again_(
    reason: Reasons = None,
    since: Since = None,
    until: Until = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent, and send nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Send refused messages to the messages' topic again, byte by byte as they came, after what refused them is mended.

    They stay among the dead letters. Sending again what was taken meanwhile is safe: a message counts once. What is
    refused again comes back as a new dead letter.
    """
    current = settings()
    topic = current.topics.messages
    plan = plan_sending(_letters(current, _query(reason, since, until)), topic)
    for remark in _left_out(plan, topic):
        err().print(remark, soft_wrap=True)
    number = len(plan.places)
    if not number:
        out().print("There is nothing to send again.")
        return
    reasons = ", ".join(f"{n:,} {printable(word, LISTED_CHARS)}" for word, n in sorted(plan.by_reason.items()))
    what = f"{plural(number, 'message')} ({reasons})"
    if dry_run:
        out().print(f"{what} would go to {topic}; nothing was sent", markup=False, soft_wrap=True)
        return
    err().print(
        "A message that is older than monitor.allowed_lateness_s allows gets its mentions, but comes too late for an "
        "alert.",
        soft_wrap=True,
    )
    if not yes:
        typer.confirm(f"Send {what} to {topic} again?", abort=True, err=True)
    with Progress(console=err(), transient=True) as progress:
        task = progress.add_task("sending", total=number)
        sent = send_again(current, plan, on_sent=lambda done: progress.update(task, completed=done))
    gone = f"; {number - sent:,} are past their retention by now" if sent < number else ""
    verb = "is" if sent == 1 else "are"
    out().print(f"{plural(sent, 'message')} {verb} on {topic} again{gone}", markup=False, soft_wrap=True)


def printable(content: str | bytes, most: int) -> str:
    r"""Write foreign text on one line: what is not UTF-8, not printable, or reorders text is escaped (`\x1b`). Pure.

    Args:
        content: text, or bytes that may be UTF-8.
        most: longest result in characters; what is cut off is marked by an ellipsis.
    """
    # A character has at most four bytes and takes at least one place; where the cut splits one, it is not shown.
    text = content[: 4 * most + 4].decode(errors="backslashreplace") if isinstance(content, bytes) else content
    shown = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text[: most + 1]
    )
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def _query(reason: list[str] | None, since: str | None, until: str | None) -> Query:
    return Query(frozenset(reason or ()), moment(since, "--since"), moment(until, "--until"))


def _letters(current: Settings, query: Query) -> Iterator[KeptLetter]:
    """The dead letters that are meant; what else is on their topic is told on standard error."""
    bad = 0

    def on_bad(what: str) -> None:
        nonlocal bad
        bad += 1
        if bad <= _SHOWN_BAD:
            err().print(printable(what, _DETAIL_CHARS), style="yellow", markup=False, soft_wrap=True)

    yield from read_letters(current, query, on_bad=on_bad)
    if bad > _SHOWN_BAD:
        err().print(f"... and {plural(bad - _SHOWN_BAD, 'more such record')}", style="yellow")


def _left_out(plan: SendPlan, topic: str) -> Iterator[str]:
    """Say which dead letters are not sent."""
    for number, why in (
        (plan.repeated, "as another one has the same key and bytes"),
        (plan.without_bytes, "as a tombstone has no bytes"),
        (plan.from_elsewhere, f"as what was refused elsewhere than on {topic} is no message"),
    ):
        if number:
            yield f"{plural(number, 'dead letter')} left out, {why}"


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)


def _write(path: Path, content: bytes, *, to_stdout: bool) -> None:
    if to_stdout:
        stdout = typer.get_binary_stream("stdout")
        stdout.write(content)
        stdout.flush()
        return

    def for_owner_alone(name: str, flags: int) -> int:
        return os.open(name, flags, 0o600)

    try:
        with open(path, "xb", opener=for_owner_alone) as file:
            file.write(content)
    except FileExistsError as error:
        raise InputError(f"{path} is there already, and nothing was written: name another file") from error
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    out().print(f"{plural(len(content), 'byte')} written to {path}", markup=False, soft_wrap=True)
