"""`squall` on the command line: the commands, the options they share, and how an error is shown.

A command's module is imported when the command is called, so that `squall --help` does not wait for torch.
"""

from __future__ import annotations

import importlib
import logging
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from deploy.cli.frame import invocation

PATH = "From message to alert"
MODEL = "The model"
KAFKA = "Kafka"
ABOUT = "This installation"


@dataclass(frozen=True)
class Entry:
    """One command of `squall`: a function, or a typer app with commands of its own."""

    name: str
    module: str
    attribute: str
    panel: str
    help: str
    """One line for `squall --help`; the command's own docstring is for `squall COMMAND --help`."""


ENTRIES = (
    Entry("demo", "deploy.cli.demo", "demo", PATH, "See it work: a broker, a worker, planted incidents, and alerts."),
    Entry("publish", "deploy.cli.publish", "publish", PATH, "Send messages from CSV, JSONL or Parquet files to Kafka."),
    Entry(
        "worker", "deploy.cli.worker", "worker", PATH, "Score messages as they arrive and raise alerts, until stopped."
    ),
    Entry("replay", "deploy.cli.replay", "replay", PATH, "Replay any stretch of history: what would fire, and why."),
    Entry("warm", "deploy.cli.warm", "warm", PATH, "Give the live monitor baselines from history: no cold start."),
    Entry("verdict", "deploy.cli.verdict", "verdict", PATH, "Say of an alert or a message what it was."),
    Entry("rules", "deploy.cli.rules", "app", PATH, "Check alert rules, and try them on history."),
    Entry("silences", "deploy.cli.silences", "app", PATH, "Call nobody for some alerts for a time."),
    Entry("notify", "deploy.cli.notify", "app", PATH, "Look at the receivers of alerts, and try them."),
    Entry("score", "deploy.cli.score", "score", MODEL, "Score the texts of a file: sentiment and topic of each."),
    Entry("own-topics", "deploy.cli.own_topics", "app", MODEL, "Check topics of your own, made of a few examples."),
    Entry("labels", "deploy.cli.labels", "app", MODEL, "Collect labels, and choose what to label next."),
    Entry("train", "deploy.cli.train", "train", MODEL, "Fine-tune the model on labelled texts."),
    Entry("evaluate", "deploy.cli.evaluate", "evaluate", MODEL, "Evaluate a model on the texts that it never saw."),
    Entry(
        "retrain", "deploy.cli.retrain", "retrain", MODEL, "Learn from the desk's labels, and promote what is better."
    ),
    Entry("models", "deploy.cli.models", "app", MODEL, "Look at models, and tell the workers which one answers."),
    Entry("bench", "deploy.cli.bench", "app", MODEL, "Measure speed on this machine."),
    Entry("broker", "deploy.cli.broker", "app", KAFKA, "Start, stop and look at a local Kafka broker."),
    Entry("topics", "deploy.cli.topics", "app", KAFKA, "Make or check the topics, or remove a rehearsal's."),
    Entry("dead-letters", "deploy.cli.dead_letters", "app", KAFKA, "Look at refused records, and send them again."),
    Entry("dashboards", "deploy.cli.dashboards", "app", ABOUT, "Write Grafana's dashboards from their code."),
    Entry("config", "deploy.cli.config", "app", ABOUT, "Show the settings in force and where each comes from."),
    Entry("compile", "deploy.cli.compile", "compile_", ABOUT, "Compile the monitor: faster, with the same answers."),
    Entry("version", "deploy.cli.version", "version", ABOUT, "Show the versions of Squall and of what it runs on."),
)


class LazyGroup(TyperGroup):
    """Lists every command by its one line, and imports only the one that is called."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for entry in ENTRIES:
            self.add_command(TyperCommand(name=entry.name, help=entry.help, rich_help_panel=entry.panel))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Find the command as usual (with suggestions for a misspelt one), then bring in the real one."""
        name, _, rest = super().resolve_command(ctx, args)
        entry = next((entry for entry in ENTRIES if entry.name == name), None)
        return name, load(entry) if entry else None, rest


def load(entry: Entry) -> Any:
    """Import a command's module and return the command."""
    found = getattr(importlib.import_module(entry.module), entry.attribute)
    if isinstance(found, typer.Typer):
        command: Any = typer.main.get_group(found)
    else:
        alone = typer.Typer(add_completion=False)
        alone.command(entry.name)(found)
        command = typer.main.get_command(alone)
    command.name = entry.name
    _reflow(command)
    return command


def _reflow(command: Any) -> None:
    """Let a command's help fill the terminal: typer keeps the line breaks of a docstring after its first paragraph."""
    if command.help:
        command.help = re.sub(r"(?<!\n)\n(?![\n\s*-])", " ", command.help)
    for inner in getattr(command, "commands", {}).values():
        _reflow(inner)


app = typer.Typer(
    name="squall",
    cls=LazyGroup,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    # An unexpected error shows Python's own traceback: without the values of variables, as some are secret.
    pretty_exceptions_enable=False,
)


@app.callback()
def squall(
    config: Annotated[
        Path | None,
        typer.Option(help="Configuration file. Without it SQUALL_CONFIG, and then ./squall.yaml if it is there."),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show where in the code an error arose.")] = False,
) -> None:
    """Watch news and social messages, and raise sentiment alerts that a risk desk can trust.

    New here? Run `squall demo`. Settings stand in a file or in SQUALL_... variables: see `squall config show`.
    """
    invocation.config = config
    invocation.debug = debug


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `squall`; the console script.

    Exit status: 0 all is well, 1 a check found something, 2 wrong use or an error that the message explains, 130
    stopped by Ctrl-C, 143 by SIGTERM; a command may add its own.
    """
    # Kafka's client reports each failed attempt to connect; our one error says it better. A worker sets up its own log.
    logging.getLogger("kafka").addHandler(logging.NullHandler())
    from models.errors import ModelError
    from streams.errors import SquallError
    from streams.masking import mask, mask_tracebacks

    mask_tracebacks()
    try:
        app(args=arguments, prog_name="squall")
    except (SquallError, ModelError) as error:
        if invocation.debug:
            raise
        from rich.console import Console

        # As text, not as markup: a message may hold brackets of its own.
        Console(stderr=True, soft_wrap=True).print(mask(f"Error: {error}"), style="red", markup=False, highlight=False)
        sys.exit(2)
