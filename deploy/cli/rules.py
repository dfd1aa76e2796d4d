"""`squall rules`: check a rule file, and try rules on history."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.padding import Padding
from rich.text import Text

from deploy.cli.frame import err, out
from streams.errors import RuleError
from streams.monitor import load_rules
from streams.replay.rule_words import rule_sentence

app = typer.Typer(no_args_is_help=True)


@app.callback()
def rules() -> None:
    """Check a rule file, or try rules on history before they are put in force."""


@app.command()
def check(file: Annotated[Path, typer.Argument(help="Rule file, YAML.")]) -> None:
    """Read a rule file as the worker would, and say what each rule does.

    Exit status: 0 the file is valid, 1 it is not, 2 wrong use.
    """
    try:
        found = load_rules(file)
    except RuleError as error:
        err().print(f"Not valid: {error}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from error
    console = out()
    for rule in found.rules:
        console.print(f"[bold]{rule.alert}[/] ({rule.type}, version {rule.version})")
        sentence = Text(rule_sentence(rule))
        if console.is_terminal:
            console.print(Padding(sentence, (0, 0, 0, 4)))
        else:
            console.print(sentence, soft_wrap=True)
    noun = "rule" if len(found.rules) == 1 else "rules"
    console.print(f"{file}: {len(found.rules)} {noun}, version {found.version}", markup=False, soft_wrap=True)
