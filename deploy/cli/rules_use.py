"""`squall rules use`: all workers apply other rules, without a restart."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.frame import out, settings
from deploy.cli.rules_reach import check_seasons

MOST_BYTES = 512 * 1024
"""Half of what Kafka takes by default."""


def use(
    file: Annotated[Path, typer.Argument(help="Rule file, YAML.")],
    by: Annotated[str | None, typer.Option(help="Who decides; without it, your login name.", metavar="NAME")] = None,
    note: Annotated[str | None, typer.Option(help="Why, for whoever reads the log later.")] = None,
) -> None:
    """Let all workers apply another rule file, without a restart; also those that start later.

    The file is read here first, and refused if it is not valid. Each worker reads it again and takes it between two
    batches; one that cannot stays with the old rules and says so in its log and in squall_rules_reloads_total.

    A rule that has not changed keeps all that it has learned; one that is new or has changed begins afresh, and its
    open alerts are closed at the company's next mention. To go back, use the old file.

    Workers no longer look at monitor.rules then; replays, backtests and explanations do, unless --rules says otherwise.
    """
    from streams.control import tell_workers
    from streams.errors import RuleError
    from streams.records import RulesInUse
    from streams.replay.plan import read_rules

    read = read_rules(file)
    check_seasons(read.rules)
    size = len(read.text.encode())
    if size > MOST_BYTES:
        msg = f"{file} has {size:,} bytes; a record holds rule files of up to {MOST_BYTES:,}"
        raise RuleError(msg)
    current = settings()
    record = RulesInUse(
        name=read.name,
        text=read.text,
        version=read.rules.version,
        at=datetime.now(UTC),
        by=by or getpass.getuser(),
        note=note,
    )
    tell_workers(current, record)
    out().print(
        f"All workers are told to apply {record.name}, version {record.version}. "
        "squall_rules_info on /metrics shows which rules each of them applies.",
        highlight=False,
    )
