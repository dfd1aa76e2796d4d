"""`squall notify`: the receivers of alerts: who gets what, whether they answer, and what they did not take."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

import msgspec
import typer
from rich import box
from rich.table import Table
from rich.text import Text

from deploy.cli.frame import err, out, settings
from deploy.cli.times import moment
from streams.config import nearest
from streams.deliver.attempts import Channel, Refused, TryAgain
from streams.deliver.words import clean, plural
from streams.delivery_sections import DeliverySettings
from streams.errors import ConfigError
from streams.matchers import parse_label

_WHY_CHARS = 200
_NAME_CHARS = 80

app = typer.Typer(no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Write JSON lines instead of a table.")]


@app.callback()
def notify() -> None:
    """Look at the receivers of alerts: who gets what, whether they answer, and what they did not take."""


def _since(text: str | None) -> str | None:
    moment(text, "--since")
    return text


Since = Annotated[
    str | None,
    typer.Option(callback=_since, help="Only what was given up at this time or later, such as 2026-03-17T09:30:00Z."),
]


@app.command("list")
def list_() -> None:
    """List the receivers: their types, where they lie, and which routes lead to them."""
    from streams.deliver.build import make_channel

    delivery = settings().delivery
    table = _table("Receivers of alerts", "receiver", "type", "address", "routes")
    if delivery.terminal:
        table.add_row("terminal", "terminal", "what the worker prints", "every alert")
    for name, receiver in delivery.all_receivers.items():
        channel = make_channel(delivery, name)
        table.add_row(Text(name), receiver.type, Text(channel.address), Text(_routes_to(delivery, name)))
    out().print(table)


@app.command()
def routes(
    label: Annotated[
        list[str] | None,
        typer.Option(help="A label of an alert, such as severity=critical or entity=ACME. May be repeated."),
    ] = None,
) -> None:
    """Show who would get an alert with these labels, and by which routes; without labels, the routes themselves."""
    from streams.assembly import company_sectors
    from streams.deliver.routes import Routes

    current = settings()
    delivery = current.delivery
    if not label:
        table = _table("Routes", "", "matchers", "receivers", "then")
        for number, route in enumerate(delivery.routes, start=1):
            conditions = "\n".join(str(one) for one in route.conditions) or "every alert"
            goes_on = "the next one" if route.continue_ else "stop"
            table.add_row(str(number), Text(conditions), Text(", ".join(route.receivers)), goes_on)
        if delivery.default_receivers is None:
            table.add_row("", "every alert", Text(", ".join(delivery.all_receivers) or "nobody"), "")
        else:
            table.add_row("", "all else", Text(", ".join(delivery.default_receivers) or "nobody"), "")
        out().print(table)
        return
    try:
        labels = dict(parse_label(one) for one in label)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--label") from None
    if "entity" in labels and "sector" not in labels and (sector := company_sectors(current).get(labels["entity"])):
        labels["sector"] = sector
    found = Routes.of(delivery).find(labels)
    by = f"route {', '.join(str(number) for number in found.by)}" if found.by else "the default"
    for name in (*(("terminal",) if delivery.terminal else ()), *found.receivers):
        out().print(f"{name}  (by {'delivery.terminal' if name == 'terminal' else by})", markup=False)
    if not found.receivers:
        out().print(f"No receiver gets it (by {by}).")


@app.command()
def test(
    receiver: Annotated[str, typer.Argument(help="Its name, as `squall notify list` shows it.")],
    wait_s: Annotated[float, typer.Option(min=0, max=600, help="Pause between the alert and its end.")] = 0.0,
) -> None:
    """Send an invented alert to one receiver, marked as a test in every text, and then its end; say what it answered.

    It takes the same way as a real one: the same secrets, templates and checks of addresses; but it is tried once.
    Exit status 1 if the receiver did not take one of them.
    """
    from streams.deliver.invented import invented_alerts

    current = settings()
    known(current.delivery, receiver)
    alerts = invented_alerts(datetime.now(UTC).replace(microsecond=0), id_=f"test{os.urandom(6).hex()}")

    async def send(channel: Channel) -> bool:
        out().print(f"{receiver} at {channel.address}", markup=False)
        for alert in alerts:
            if alert is not alerts[0]:
                await asyncio.sleep(wait_s)
            word = "alert" if alert.state == "firing" else "its end"
            if not await _tried(partial(channel.send, alert), f"{word} {alert.id}"):
                return False
        return True

    if not _with_channel(current.delivery, receiver, send):
        raise typer.Exit(1)


@app.command()
def acknowledge(
    receiver: Annotated[str, typer.Argument(help="Name of a receiver of type pagerduty.")],
    alert_id: Annotated[str, typer.Argument(help="Id of the alert, as its texts name it.")],
) -> None:
    """Tell PagerDuty that somebody looks at an alert, so that it calls nobody else; resolving goes on by itself.

    Exit status 1 if PagerDuty did not take it.
    """
    from streams.deliver.pagerduty import PagerDutyChannel

    delivery = settings().delivery
    known(delivery, receiver)

    async def send(channel: Channel) -> bool:
        if not isinstance(channel, PagerDutyChannel):
            kind = delivery.all_receivers[receiver].type
            raise ConfigError(f"receiver {receiver!r} is of type {kind}: only pagerduty knows of acknowledging")
        return await _tried(lambda: channel.acknowledge(alert_id), f"acknowledgement of {alert_id}")

    if not _with_channel(delivery, receiver, send):
        raise typer.Exit(1)


@app.command()
def undelivered(
    receiver: Annotated[str | None, typer.Option(help="Only what this receiver did not take.")] = None,
    since: Since = None,
    as_json: Json = False,
) -> None:
    """List alerts that a receiver did not take, and why; they are kept among the dead letters."""
    from streams.undelivered import read_undelivered

    current = settings()
    found = list(read_undelivered(current, receiver=receiver, since=moment(since, "--since"), on_bad=_told_of_bad_ones))
    found.sort(key=lambda one: (one.at, one.transition))
    if as_json:
        for one in found:
            values = {
                "given_up_at": one.at,
                "receiver": one.receiver,
                "why": one.why,
                "alert": one.alert.id,
                "transition": one.alert.transition,
                "state": one.alert.state,
                "severity": one.alert.severity,
                "labels": one.alert.labels,
                "at": one.alert.at,
            }
            typer.echo(msgspec.json.encode(values))
        return
    if not found:
        out().print("Nothing is undelivered.")
        return
    table = _table("Undelivered alerts", "given up, UTC", "receiver", "alert", "state", "company", "why")
    for one in found:
        alert = one.alert
        cells = (one.receiver, f"{alert.id}-{alert.transition}", alert.state, alert.labels.get("entity", ""), one.why)
        table.add_row(f"{one.at:%Y-%m-%d %H:%M:%S}", *(Text(clean(cell, most=_WHY_CHARS)) for cell in cells))
    out().print(table)


@app.command()
def again(
    receiver: Annotated[str, typer.Argument(help="Its name, as `squall notify list` shows it.")],
    alert: Annotated[str | None, typer.Option(help="Only what belongs to the alert with this id.")] = None,
    since: Since = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent, and send nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Send to one receiver what it did not take, in order, with the same idempotency keys; to nobody else.

    Of each alert only the newest transition is sent, and only if the receiver knows nothing newer by now: an alert that
    is over would fire again. All of it stays among the dead letters, also what was sent: a second run sends it once
    more, so narrow it by --since or --alert. Exit status 1 if one of them was not taken this time either.
    """
    from streams.undelivered import newest_transitions, plan_again, read_undelivered

    current = settings()
    known(current.delivery, receiver)
    found = [
        one
        for one in read_undelivered(
            current, receiver=receiver, since=moment(since, "--since"), on_bad=_told_of_bad_ones
        )
        if alert is None or one.alert.id == alert
    ]
    plan = plan_again(found, newest_transitions(current, found, lambda one: one.is_news))
    if plan.superseded:
        number = plural(len(plan.superseded), "transition")
        err().print(f"{number} left out, as the alert went on since", soft_wrap=True)
    if not plan.send:
        out().print("There is nothing to send again.")
        return
    what = plural(len(plan.send), "transition")
    if dry_run:
        for one in plan.send:
            out().print(f"{one.alert.id}-{one.alert.transition} {one.alert.state} {_company(one.alert)}", markup=False)
        out().print(f"{what} would go to {receiver}; nothing was sent", markup=False)
        return
    if not yes:
        typer.confirm(f"Send {what} to {receiver} again?", abort=True, err=True)

    async def send(channel: Channel) -> bool:
        for one in plan.send:  # after a failure nothing more: a later transition is not to come before it
            key = f"{one.alert.id}-{one.alert.transition}"
            if not await _tried(partial(channel.send, one.alert), f"{key} {one.alert.state}"):
                return False
        return True

    if not _with_channel(current.delivery, receiver, send):
        raise typer.Exit(1)


def known(delivery: DeliverySettings, receiver: str) -> None:
    """Refuse a receiver that the configuration does not name.

    Raises:
        ConfigError: it does not.
    """
    names = list(delivery.all_receivers)
    if receiver not in names:
        hint = nearest(receiver, names) or f"; there are {', '.join(names) or 'none: see delivery.receivers'}"
        raise ConfigError(f"no receiver is named {receiver!r}{hint}")


def _with_channel(delivery: DeliverySettings, receiver: str, work: Callable[[Channel], Any]) -> bool:
    """Open the way to a receiver, do something with it, and close it."""
    from streams.deliver.build import make_channel

    async def run() -> bool:
        channel = make_channel(delivery, receiver)
        try:
            return bool(await work(channel))
        finally:
            await channel.aclose()

    return asyncio.run(run())


async def _tried(attempt: Callable[[], Any], what: str) -> bool:
    """Make one attempt and say what came of it."""
    try:
        answer = await attempt()
    except (TryAgain, Refused) as problem:
        out().print(f"{what}: NOT taken: {problem.why}", markup=False, soft_wrap=True)
        return False
    out().print(f"{what}: taken: {answer}", markup=False, soft_wrap=True)
    return True


def _routes_to(delivery: DeliverySettings, name: str) -> str:
    numbers = [str(number) for number, route in enumerate(delivery.routes, start=1) if name in route.receivers]
    if delivery.default_receivers is None:
        return "every alert"
    by_route = f"route {', '.join(numbers)}" if numbers else ""
    by_default = "default" if name in delivery.default_receivers else ""
    return "; ".join(part for part in (by_route, by_default) if part)


def _told_of_bad_ones(what: str) -> None:
    err().print(clean(what, most=_WHY_CHARS), style="yellow", markup=False, soft_wrap=True)


def _company(alert: Any) -> str:
    return clean(alert.labels.get("entity", ""), most=_NAME_CHARS)


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table
