"""`squall topics acls`: what a role may do on Kafka, as a table, as commands, or granted at once."""

from __future__ import annotations

from typing import Annotated

import typer
from rich import box
from rich.table import Table

from deploy.cli.frame import out, settings
from streams import acls as rights


def acls(
    role: Annotated[rights.AclRole, typer.Option(help="Whose rights.")],
    principal: Annotated[
        str | None, typer.Option(help="Who is to have them, such as User:scorer. Unset: User: and the role's name.")
    ] = None,
    commands: Annotated[
        bool, typer.Option("--commands", help="Print nothing but the kafka-acls.sh commands, for a pipe.")
    ] = False,
    apply: Annotated[
        bool,
        typer.Option("--apply", help="Grant them; the login of these settings needs ALTER on the cluster."),
    ] = False,
) -> None:
    """Show the least rights on Kafka with which a role works, or grant them.

    Topics and groups bear the names of these settings (topics.prefix). Rights that somebody has already are left as
    they are; nothing is ever taken away.
    """
    current, console = settings(), out()
    whose = principal or f"User:{role}"
    lines = rights.commands(role, current, whose)
    if commands and not apply:
        for line in lines:
            typer.echo(line)
        return
    if apply:
        count = rights.apply(role, current, whose)
        servers = ", ".join(current.kafka.bootstrap_servers)
        console.print(f"{count} rights of {role} are granted to {whose} at {servers}", markup=False, soft_wrap=True)
        return
    title = f"Rights of {role}: {rights.PURPOSES[role]}"
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("on", "name", "may", "why"):
        table.add_column(heading, overflow="fold")
    for one in rights.grants(role, current):
        table.add_row(one.kind, f"{one.name}*" if one.prefixed else one.name, one.operation, one.why)
    console.print(table)
    console.print("To grant them, with --apply or by Kafka's own tools:")
    for line in lines:
        console.print(f"  {line}", markup=False, soft_wrap=True)
