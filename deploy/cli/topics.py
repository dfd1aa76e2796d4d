"""`squall topics`: make the topics of the design, check them, say who needs which rights, or remove a rehearsal's."""

from __future__ import annotations

from typing import Annotated

import typer
from rich import box
from rich.table import Table

from deploy.cli.frame import out, settings
from deploy.cli.topics_acls import acls
from streams import topics as design
from streams.config import Settings
from streams.topics import Drift

app = typer.Typer(no_args_is_help=True)
app.command()(acls)


@app.callback()
def topics() -> None:
    """Make the topics, check them, grant rights on them, or remove those of a rehearsal."""


@app.command()
def create() -> None:
    """Make the topics that are missing.

    What exists is left as it is; where it differs from the design, it is shown, and the exit status is 1.
    """
    current = settings()
    report = design.create_topics(current)
    words = dict.fromkeys(report.existing, "[dim]was there[/]") | dict.fromkeys(report.created, "[green]created[/]")
    _show_topics(current, words)
    _show_drifts(report.drifts)


@app.command()
def check() -> None:
    """Compare the cluster's topics with the design. Exit status 1 if they differ."""
    current = settings()
    drifts = design.check_topics(current)
    differing = {drift.topic: "[red]differs[/]" for drift in drifts}
    missing = {drift.topic: "[red]missing[/]" for drift in drifts if drift.what == "topic"}
    fine = {topic.name: "[green]ok[/]" for topic in design.design(current)}
    _show_topics(current, fine | differing | missing)
    _show_drifts(tuple(drifts))


@app.command()
def remove(
    prefix: Annotated[str, typer.Option(help="The --prefix of a squall replay --to-kafka.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove the topics of a rehearsal (squall replay --to-kafka), with all that is on them.

    The live ones are refused, and so are any that were not made for a rehearsal. Stop the rehearsal's worker first.
    """
    from streams.replay.rehearsals.rehearsal import rehearsal_topics, remove_topics

    current, console = settings(), out()
    names = rehearsal_topics(current, prefix)
    if not names:
        console.print(f"There are no topics under {prefix}", markup=False, soft_wrap=True)
        return
    console.print(f"At {', '.join(current.kafka.bootstrap_servers)}:", markup=False, soft_wrap=True)
    for name in names:
        console.print(f"  {name}", markup=False, soft_wrap=True)
    if not yes:
        typer.confirm("Remove them, with all that is on them?", abort=True)
    remove_topics(current, names)
    console.print(f"Removed {len(names)} topics" if len(names) > 1 else "Removed 1 topic")


def _show_topics(current: Settings, words: dict[str, str]) -> None:
    table = _table(f"Topics at {', '.join(current.kafka.bootstrap_servers)}")
    table.add_column("topic", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("partitions", justify="right")
    table.add_column("copies", justify="right")
    table.add_column("kept", no_wrap=True)
    table.add_column("holds")
    for topic in design.design(current):
        kept = "for ever"
        if "retention.ms" in topic.configs:
            kept = f"{int(topic.configs['retention.ms']) // design.DAY_MS} days"
        counts = (str(topic.partitions), str(topic.replication_factor))
        table.add_row(topic.name, words[topic.name], *counts, kept, topic.purpose)
    out().print(table)


def _show_drifts(drifts: tuple[Drift, ...]) -> None:
    if not drifts:
        return
    table = _table("Not as designed")
    for heading in ("topic", "what", "expected", "found"):
        table.add_column(heading, overflow="fold")
    for drift in drifts:
        table.add_row(drift.topic, drift.what, drift.expected, drift.found)
    console = out()
    console.print(table)
    console.print("To mend it:")
    for mend in dict.fromkeys(drift.mend for drift in drifts):
        console.print(f"  {mend}", markup=False, soft_wrap=True)
    raise typer.Exit(1)


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
