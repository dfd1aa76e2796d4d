"""`squall config`: the settings in force, and everything that can be set."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer
import yaml

from deploy.cli.frame import invocation, settings
from streams.config import DEFAULT_FILE, FILE_VARIABLE, Settings, keys, shown

WIDTH = 100

app = typer.Typer(no_args_is_help=True)


@app.callback()
def config() -> None:
    """Show the settings in force and where each comes from."""


@app.command()
def show() -> None:
    """Show every setting: its value, where it comes from, and what it is for.

    The output is a valid configuration file, but for secrets: they are masked.
    """
    typer.echo(commented(settings(), sources(invocation.config, os.environ)), nl=False)


@app.command()
def schema() -> None:
    """Print the JSON schema of the configuration file, for editors and checks."""
    found = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Settings.model_json_schema()}
    found["title"] = "squall.yaml"
    typer.echo(json.dumps(found, indent=2))


def sources(file: Path | None, environ: Mapping[str, str]) -> dict[str, str]:
    """Return where each key was set: the name of a variable or of a file. A key left at its default is not there.

    Args:
        file: the file given by `--config`, if one was.
        environ: the process's variables.
    """
    named = file or (Path(environ[FILE_VARIABLE]) if environ.get(FILE_VARIABLE) else None)
    path = named or DEFAULT_FILE
    found: dict[str, str] = {}
    if named is not None or path.exists():
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        found = {f"{section}.{name}": str(path) for section, values in content.items() for name in values or {}}
    variables = {variable.upper(): variable for variable in environ}
    return found | {key: variables[variable] for key, variable, *_ in keys() if variable in variables}


def commented(current: Settings, where: Mapping[str, str]) -> str:
    """Write settings as YAML, with each key's help above it and its source beside it. Secrets are masked.

    Args:
        current: what to show.
        where: the source of each key that is not at its default, as `sources` finds it.
    """
    values = shown(current)
    helps = {key: text for key, _, _, text in keys()}
    lines = ["# Settings of Squall. Any key can also be set by a variable: SQUALL_SECTION__KEY=value"]
    for section, content in values.items():
        purpose = " ".join((Settings.model_fields[section].annotation.__doc__ or "").split())
        lines += ["", f"# {purpose}", f"{section}:"]
        for name, value in content.items():
            key = f"{section}.{name}"
            source = where.get(key, "default")
            if key == "kafka.bootstrap_servers" and current.uses_local_broker:
                source = "the local broker: broker.port"
            if key == "delivery.external_url" and key not in where:
                source = "this worker: worker.port"
            lines += [f"  # {line}" for line in _wrapped(helps[key])]
            lines += [f"  {name}: {_inline(value)}  # {source}"]
    return "\n".join(lines) + "\n"


def _inline(value: Any) -> str:
    """Write one value as YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000)
    return text.removesuffix("...\n").strip()


def _wrapped(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, WIDTH)
