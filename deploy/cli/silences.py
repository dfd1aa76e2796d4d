"""`squall silences`: for a time nobody is called for some alerts; they are kept, and seen, all the same."""

from __future__ import annotations

import getpass
import json as json_text
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich import box
from rich.table import Table

from deploy.cli.frame import out, settings
from deploy.cli.times import moment
from streams.errors import InputError

if TYPE_CHECKING:
    from streams.records import Silence

app = typer.Typer(no_args_is_help=True)

_LASTS = re.compile(r"(\d{1,5})([mhdw])")
_MINUTES = {"m": 1, "h": 60, "d": 1_440, "w": 10_080}


@app.callback()
def silences() -> None:
    """Call nobody for some alerts for a time: while a known story runs, or a feed is mended.

    What is silenced stands on the alerts topic as suppressed, with its evidence. An alert that somebody was called for
    before still ends for them. One that fires when the silence is over is told then, at the company's next mention.
    """


@app.command()
def add(
    matchers: Annotated[
        list[str],
        typer.Argument(
            metavar="MATCHER...",
            help="All must fit: entity=ACME, rule=~'Negative.*', severity!=critical, or a label of the rule's.",
        ),
    ],
    lasts: Annotated[str, typer.Option("--for", help="How long, such as 30m, 2h, 3d or 1w.")],
    comment: Annotated[str, typer.Option(help="Why; whoever looks at it in the night will ask.")],
    since: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="When it begins, such as 2026-03-17T09:30:00Z. Unset: now. A past time counts for --for alone.",
        ),
    ] = None,
    by: Annotated[str | None, typer.Option(help="Who asks; without it, your login name.", metavar="NAME")] = None,
) -> None:
    """Silence alerts, from now or a given time on; every worker knows at once.

    It applies by the time of what is told, and not of its arrival: what is read late is silenced as it would have been.
    Matchers see an alert's labels, alertname and entity among them, and beside them rule and severity.
    """
    from streams.silences import new_silence, read_silences, tell_silence

    now = datetime.now(UTC)
    begin = moment(since, "--from") or now
    silence = new_silence(
        matchers,
        starts_at=begin,
        ends_at=begin + _length(lasts),
        by=by or getpass.getuser(),
        comment=comment.strip(),
        now=now,
    )
    current = settings()
    tell_silence(current, silence, read_silences(current))
    if begin < now:
        out().print(f"It begins now: what was told since {_time(begin)} was told.", markup=False, soft_wrap=True)
    out().print(
        f"Silence {silence.id}: {_matchers(silence)}, from {_time(silence.starts_at)} until {_time(silence.ends_at)}. "
        f"To end it earlier: squall silences expire {silence.id}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


@app.command(name="list")
def list_(
    every: Annotated[
        bool, typer.Option("--all", help="Also those that are over; they are kept as long as the alerts of their time.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List the silences that are in force or to come."""
    from streams.silences import read_silences, standing

    now = datetime.now(UTC)
    found = [(standing(one, now), one) for one in read_silences(settings())]
    shown = [(state, one) for state, one in found if every or state != "expired"]
    if json:
        entries = [{**msgspec.to_builtins(one), "state": state} for state, one in shown]
        typer.echo(json_text.dumps(entries, indent=2))
        return
    if not shown:
        out().print("Nothing is silenced.")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("id", "state", "matchers", "from", "until", "by", "comment"):
        table.add_column(name, overflow="fold")
    for state, one in shown:
        table.add_row(one.id, state, _matchers(one), _time(one.starts_at), _time(one.ends_at), one.by, one.comment)
    out().print(table)


@app.command()
def expire(id_: Annotated[str, typer.Argument(metavar="ID", help="As `squall silences list` shows it.")]) -> None:
    """End a silence now. What it kept back and still fires is told at the company's next mention."""
    from streams.silences import expired, read_silences, standing, tell_silence

    current, now = settings(), datetime.now(UTC)
    known = read_silences(current)
    silence = next((one for one in known if one.id == id_), None)
    if silence is None:
        msg = f"there is no silence {id_}: see squall silences list --all"
        raise InputError(msg)
    if standing(silence, now) == "expired":
        out().print(f"Silence {id_} is over already.", markup=False)
        return
    tell_silence(current, expired(silence, now), known)
    out().print(f"Silence {id_} is over.", markup=False)


def _length(text: str) -> timedelta:
    match = _LASTS.fullmatch(text)
    if match is None or int(match[1]) == 0:
        msg = f"{text!r} is no length of time: write 30m, 2h, 3d or 1w"
        raise typer.BadParameter(msg, param_hint="--for")
    return timedelta(minutes=int(match[1]) * _MINUTES[match[2]])


def _matchers(silence: Silence) -> str:
    """Name the matchers; of one that another program wrote also what is no regular expression."""
    return ", ".join(f'{one.name}{one.op}"{one.value}"' for one in silence.matchers)


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
