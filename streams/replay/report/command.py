"""The command that makes a run again, as far as its summary tells. Pure."""

from __future__ import annotations

import shlex

from streams.deliver.payload import rfc3339
from streams.replay.results import RULES, Summary

_SHIPPED_RULES = "default_rules.yaml"


def command(summary: Summary) -> str:
    """Return the command for a shell.

    The rules are those that lie beside the report.
    """
    options = summary.options
    words = ["squall", "replay", *_source(summary)]
    if summary.mode == "as-scored":
        words.append("--as-scored")
    if options.get("trust_stories"):
        words.append("--trust-stories")
    if "@" in str(options.get("model", "")):
        words += ["--model", str(options["model"]).rpartition("@")[2]]
    for name, time in (("--from", summary.report_from), ("--to", summary.report_until)):
        if time is not None:
            words += [name, rfc3339(time)]
    for name in ("warm_up", "known_at", "entity"):
        if options.get(name) is not None:
            words += [f"--{name.replace('_', '-')}", str(options[name])]
    columns = options.get("columns")
    for field, column in columns.items() if isinstance(columns, dict) else ():
        words += ["--column", f"{field}={column}"]
    if options.get("default_source") is not None:
        words += ["--source", str(options["default_source"])]
    words += [f"--{name.replace('_', '-')}" for name in ("assume_utc", "sort") if options.get(name)]
    if summary.versions.rules_file != _SHIPPED_RULES:
        words += ["--rules", RULES]
    return shlex.join([*words, "--out", "again"])


def _source(summary: Summary) -> list[str]:
    """Return the source as it was named; several files were named one by one."""
    files = [str(part.get("name", "")) for part in summary.source.parts]
    return files if " ".join(files) == summary.source.text else [summary.source.text]
