"""`squall verdict`: what a person says of an alert or a message, on record."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, get_args

import typer

from deploy.cli.frame import out, settings
from streams.errors import InputError
from streams.records import Verdict, VerdictKind

_KINDS: tuple[str, ...] = get_args(VerdictKind)


def _kind(text: str | None) -> str | None:
    if text is not None and text not in _KINDS:
        raise typer.BadParameter(f"{text!r} is none of {', '.join(_KINDS)}")
    return text


def verdict(
    what: Annotated[str, typer.Argument(help="Id of the alert (true_alarm, false_alarm) or of the message.")],
    by: Annotated[str, typer.Option(help="Who judged: a name or an account, no e-mail address.", metavar="NAME")],
    said: Annotated[str | None, typer.Option("--verdict", help="One of " + ", ".join(_KINDS), callback=_kind)] = None,
    takes_back: Annotated[
        bool, typer.Option("--take-back", help="Take back what NAME said of it: it is no label any more.")
    ] = False,
    alert: Annotated[str | None, typer.Option(help="The alert in which the message was seen.")] = None,
    entity: Annotated[
        str | None,
        typer.Option(
            help="The company that it is about, by symbol; without one --take-back takes back what NAME said for any."
        ),
    ] = None,
    note: Annotated[str | None, typer.Option(help="Why, for whoever reads it later.")] = None,
) -> None:
    """Write a verdict to squall.labels, from where it becomes a label for the next model; or take one back.

    The same is done by POST /verdicts on a worker that has a token (worker.api_token).
    """
    from streams import verdicts

    verdicts.check_name(by)
    if (said is None) != takes_back:
        raise typer.BadParameter("give --verdict, or --take-back")
    if said is None:
        _take_back(what, entity, by)
        return
    judges_alert = said in verdicts.OF_ALERTS
    if judges_alert and alert is not None:
        raise typer.BadParameter(f"{said} judges the alert that is named first", param_hint="--alert")
    named = {"alert_id": what} if judges_alert else {"message_id": what, "alert_id": alert}
    given = {"verdict": said, **named, "entity": entity, "note": note}
    record = verdicts.record_of(verdicts.from_values(given), by=by, at=datetime.now(UTC))
    current = settings()
    verdicts.send(current, [record])
    kind = "alert" if judges_alert else "message"
    text = f"{said} of {kind} {what} by {by} is on {current.topics.labels}"
    out().print(text, markup=False, soft_wrap=True)


def _take_back(what: str, entity: str | None, by: str) -> None:
    """Take back what was said of an alert or a message of this id; an id does not say of which it is.

    The company is part of the key, and whoever takes a word back need not remember it: the topic does.
    """
    from retrain.labels.live import words_of
    from streams import verdicts

    verdicts.from_values({"verdict": "stale", "message_id": what, "entity": entity})  # an id and a symbol that can be
    current = settings()
    topic = current.topics.labels
    company = "" if entity is None else f" for {entity}"
    found = words_of(current, what, by=by, entity=entity)
    if not found:
        others = {} if entity is None else words_of(current, what, by=by)
        hint = f"; what {by} has said of it is {_companies(others)}" if others else ""
        raise InputError(f"{by} has said nothing of {what}{company} that holds on {topic}: nothing is taken back{hint}")
    verdicts.take_back(current, sorted(found))
    if entity is None and any(word.entity is not None for word in found.values()):
        company = f" ({_companies(found)})"
    out().print(f"what {by} said of {what}{company} is taken back on {topic}", markup=False, soft_wrap=True)


def _companies(words: Mapping[bytes, Verdict]) -> str:
    named = sorted({word.entity for word in words.values() if word.entity is not None})
    parts = [f"for {', '.join(named)}"] if named else []
    if any(word.entity is None for word in words.values()):
        parts.append("for no company")
    return " and ".join(parts)
