"""`squall warm SOURCE...`: baselines from history for the live monitor, so that nothing starts cold."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.columns import named_columns
from deploy.cli.frame import err, out, settings
from deploy.cli.history_options import symbols_of
from deploy.cli.replay_progress import RunDisplay
from deploy.cli.replay_words import BadRows
from deploy.cli.stopping import sigterm_tidies
from deploy.cli.times import moment
from deploy.cli.warm_history import History, Learned, learn_history
from deploy.cli.warm_words import print_proposals
from streams.config import Settings
from streams.replay.plan import read_rules
from streams.replay.sources.options import FileOptions, Window
from streams.replay.warming.warm import Proposal, propose, read_live, require_past, send_seeds
from streams.topics import require_topics

_READING = "Reading the source"


@sigterm_tidies()
def warm(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE", help="CSV, TSV, JSON lines (also .gz), Parquet, a folder of them, or kafka:[TOPIC]."
        ),
    ],
    as_scored: Annotated[
        bool, typer.Option("--as-scored", help="The source holds scored mentions: take the scores as they were.")
    ] = False,
    since: Annotated[
        str | None, typer.Option("--from", help="First event time that is learned from, such as 2020-02-20T00:00:00Z.")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", help="Last event time, inclusive.")] = None,
    rules: Annotated[
        Path | None, typer.Option(help="Rule file of the live monitor. Unset: the configured or the shipped rules.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Folder, name or version of the model. Unset: the configured or the shipped one.")
    ] = None,
    entity: Annotated[
        list[str] | None, typer.Option(help="This company alone (its symbol); repeat it for several.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite baselines that are fresher than the history.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Learn and compare, send nothing.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes that score. Unset: one per core.")] = None,
    trust_stories: Annotated[
        bool,
        typer.Option("--trust-stories", help="Take the stories that scored mentions name.", rich_help_panel=_READING),
    ] = False,
    sort: Annotated[
        bool, typer.Option("--sort", help="Put the rows in the order of time first.", rich_help_panel=_READING)
    ] = False,
    assume_utc: Annotated[
        bool, typer.Option("--assume-utc", help="Take times without an offset as UTC.", rich_help_panel=_READING)
    ] = False,
    column: Annotated[
        list[str] | None,
        typer.Option(help="FIELD=COLUMN, for a column of another name; repeat it.", rich_help_panel=_READING),
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Exit with 0 although there were bad rows.", rich_help_panel=_READING)
    ] = False,
) -> None:
    """Learn from history what is usual for each company, and load it into the live monitor.

    For a new deployment, or a new company: without it the first weeks rest on a prior. The baselines travel on the
    mentions topic, so a running worker takes them at once, one that is started later when it gets there, and a replay
    of that topic sees them too. A baseline that has learned from later news is left alone, unless --force is given, and
    one that an open alert rests on in any case. Messages are scored first; to be able to stop and go on, make a
    `squall replay SOURCE --out DIR`, and then warm from DIR/mentions.jsonl.gz with --as-scored.

    Exit status: 0 all is well, 1 something was not overwritten (without --force), or there were bad rows, or nothing
    was learned, 2 wrong use or an error.
    """
    begin, end = moment(since, "--from"), moment(until, "--to")
    if begin is not None and end is not None and end < begin:
        raise typer.BadParameter(f"{until} is before --from {since}: the range is empty", param_hint="--to")
    if model is not None and as_scored:
        raise typer.BadParameter("nothing is scored with --as-scored: leave one of the two out", param_hint="--model")
    if trust_stories and not as_scored:
        raise typer.BadParameter("only scored mentions name a story: add --as-scored", param_hint="--trust-stories")
    current = settings()
    history = History(
        texts=tuple(sources),
        window=Window(since=begin, until=end),
        files=FileOptions(columns=named_columns(column or ()), assume_utc=assume_utc, sort=sort),
        as_scored=as_scored,
        trust_stories=trust_stories,
        model=model,
        workers=workers,
        entities=frozenset(symbols_of(current, entity or [])),
    )
    learned, proposals, bad = _prepare(current, history, rules, force=force)
    if learned.why_nothing is not None:
        told = f"Nothing was learned, and nothing was sent: {learned.why_nothing}"
        err().print(told, style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1)
    sending = [proposal.sending for proposal in proposals if proposal.sending is not None]
    if sending and not dry_run:
        send_seeds(current, sending)
    print_proposals(out(), proposals, force=force, dry_run=dry_run)
    if (any(proposal.is_refused for proposal in proposals) and not force) or (bad and not skip_bad):
        raise typer.Exit(1)


_Prepared = tuple[Learned, list[Proposal], int]
"""What was learned, what is proposed, and how many bad rows there were."""


def _prepare(current: Settings, history: History, rules: Path | None, *, force: bool) -> _Prepared:
    """Learn, look at what is live, and compare."""
    read = read_rules(rules or current.monitor.rules)
    console = err()
    bad = BadRows(console, counted=False)
    try:
        with tempfile.TemporaryDirectory(prefix="squall-warm-") as scratch, RunDisplay(console) as display:
            # The topics first: an hour of scoring is long to learn that there is no broker.
            display.begin("looking for the topics")
            require_topics(current)
            learned = learn_history(
                current, history, read.rules, Path(scratch), display=display, on_bad=bad, now=datetime.now(UTC)
            )
            seeds = learned.seeds
            if not seeds:
                return learned, [], bad.count
            require_past(seeds, datetime.now(UTC))
            display.begin("reading the live state")
            live = read_live(current, {seed.entity for seed in seeds}, on_progress=display.update)
    finally:
        bad.conclude()
    return learned, propose(seeds, live, read.rules, force=force), bad.count
