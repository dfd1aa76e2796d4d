"""`squall rules`: check and test a rule file, and try rules on history."""

from __future__ import annotations

import json as json_text
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.padding import Padding
from rich.text import Text

from deploy.cli.columns import named_columns
from deploy.cli.frame import err, out, settings
from deploy.cli.history_options import Entity, Fresh, KnownAt, symbol_of
from deploy.cli.nab import nab
from deploy.cli.rules_bench import bench
from deploy.cli.rules_explain import explain
from deploy.cli.rules_reach import check_seasons
from deploy.cli.rules_test import test
from deploy.cli.rules_use import use
from deploy.cli.stopping import sigterm_tidies
from deploy.cli.times import length, moment
from streams.errors import RuleError
from streams.monitor import load_rules
from streams.monitor.rule_files import json_schema
from streams.replay.differences.rule_words import rule_sentence

if TYPE_CHECKING:
    from streams.replay.differences.backtest import Bounds
    from streams.replay.differences.comparison import Comparison

app = typer.Typer(no_args_is_help=True)

app.command()(nab)
app.command()(test)
app.command()(explain)
app.command()(use)
app.command()(bench)

_RANGE = "Range"
_READING = "Reading the source"
_BOUNDS = "Bounds: exit status 1 if one is broken"
_RESULTS = "Results"


@app.callback()
def rules() -> None:
    """Check and test a rule file, or try rules on history, before they are put in force."""


@app.command()
def check(file: Annotated[Path, typer.Argument(help="Rule file, YAML.")]) -> None:
    """Read a rule file as the worker would, and say what each rule does.

    Exit status: 0 the file is valid, 1 it is not, 2 wrong use.
    """
    try:
        found = load_rules(file)
        check_seasons(found)
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
    for number, one in enumerate(found.inhibit_rules, 1):
        console.print(f"Inhibit rule {number}: {one.in_words()}", markup=False, highlight=False, soft_wrap=True)
    noun = "rule" if len(found.rules) == 1 else "rules"
    console.print(f"{file}: {len(found.rules)} {noun}, version {found.version}", markup=False, soft_wrap=True)


@app.command()
def schema() -> None:
    """Print the JSON Schema of a rule file: an editor then completes keys and marks what is wrong.

    With the YAML extension of VS Code, the first line of a rule file says where it is:
    `# yaml-language-server: $schema=rules.schema.json`.
    """
    typer.echo(json_text.dumps(json_schema(), indent=2))


@app.command()
@sigterm_tidies()
def backtest(
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE", help="Files or folders of messages, or kafka: and a topic.")
    ],
    new: Annotated[Path, typer.Option("--rules", help="The rule file to try.")],
    against: Annotated[Path | None, typer.Option(help="The old rule file. Unset: the configured rules.")] = None,
    as_scored: Annotated[
        bool, typer.Option("--as-scored", help="The source is mentions with their scores: score nothing again.")
    ] = False,
    entity: Entity = None,
    known_at: KnownAt = None,
    since: Annotated[
        str | None,
        typer.Option("--from", help="First event time, such as 2020-02-20T00:00:00Z.", rich_help_panel=_RANGE),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", help="Last event time, inclusive.", rich_help_panel=_RANGE)
    ] = None,
    warm_up: Annotated[
        str,
        typer.Option(
            help="What is read before --from, for the baselines: such as 48h, 30d, 8w, or all.", rich_help_panel=_RANGE
        ),
    ] = "30d",
    max_per_day: Annotated[
        int | None,
        typer.Option(min=0, help="Most alerts on any day under the new rules, all companies.", rich_help_panel=_BOUNDS),
    ] = None,
    max_added: Annotated[
        int | None, typer.Option(min=0, help="Most alerts that only the new rules raise.", rich_help_panel=_BOUNDS)
    ] = None,
    allow_removed: Annotated[
        bool,
        typer.Option(
            "--allow-removed/--no-removed",
            help="May the new rules miss what the old ones raise?",
            rich_help_panel=_BOUNDS,
        ),
    ] = True,
    json: Annotated[
        Path | None,
        typer.Option(help="Write the difference for programs; - is standard output.", rich_help_panel=_RESULTS),
    ] = None,
    markdown: Annotated[
        Path | None,
        typer.Option(help="Write it for a pull request's comment; - is standard output.", rich_help_panel=_RESULTS),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--out", help="Keep both runs in this new folder, with reports.", rich_help_panel=_RESULTS),
    ] = None,
    fresh: Fresh = False,
    model: Annotated[
        str | None,
        typer.Option(
            help="Of messages: model folder, name or version. Unset: as configured.", rich_help_panel=_READING
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Of messages: processes that score.", rich_help_panel=_READING)
    ] = None,
    trust_stories: Annotated[
        bool, typer.Option("--trust-stories", help="Of mentions: take the stories they name.", rich_help_panel=_READING)
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
        bool,
        typer.Option("--skip-bad", help="Leave bad rows out and carry on as if nothing.", rich_help_panel=_READING),
    ] = False,
) -> None:
    """Run two rule sets over the same history, and say what the new one changes for a desk.

    Alerts that were added, removed, shifted in time or changed, by rule and company, each with its evidence, and alerts
    per day. Raw messages are scored once for both. Meant for a terminal, and for the CI of a rules repository.

    Exit status: 0 all bounds hold (without bounds: always), 1 a bound is broken, 2 wrong use, a rule file that is not
    valid, or bad input (also bad rows, unless --skip-bad).
    """
    from deploy.cli.backtest import Trial, run_backtest
    from deploy.cli.differences import require_writable, show_difference, takes_output, write_difference
    from streams.replay.differences.backtest import Bounds, broken
    from streams.replay.execute import Request
    from streams.replay.plan import read_rules
    from streams.replay.sources.options import FileOptions

    begin, end = moment(since, "--from"), moment(until, "--to")
    if begin is not None and end is not None and end < begin:
        raise typer.BadParameter("an empty range: it ends before --from", param_hint="--to")
    if json is not None and json == markdown:
        raise typer.BadParameter("not the same as --json", param_hint="--markdown")
    if model is not None and as_scored:
        raise typer.BadParameter("nothing is scored with --as-scored: leave one of the two out", param_hint="--model")
    if trust_stories and not as_scored:
        raise typer.BadParameter("only scored mentions name a story: add --as-scored", param_hint="--trust-stories")
    require_writable(json, markdown)
    current = settings()
    old = against or current.monitor.rules
    request = Request(
        texts=tuple(sources),
        rules=read_rules(old),
        as_scored=as_scored,
        report_from=begin,
        report_until=end,
        warm_up=length(warm_up),
        known_at=moment(known_at, "--known-at"),
        entity=symbol_of(current, entity),
        trust_stories=trust_stories,
        model=model,
        workers=workers,
        files=FileOptions(columns=named_columns(column or ()), assume_utc=assume_utc, sort=sort),
    )
    bounds = Bounds(max_per_day=max_per_day, max_added=max_added, allow_removed=allow_removed)
    names = (str(old or "the shipped rules"), str(new))
    found = run_backtest(current, Trial(request, read_rules(new), names, bounds, folder, fresh), err())
    if not takes_output(json, markdown):
        show_difference(found, out())
    reasons = broken(found, bounds)
    write_difference(found, json=json, markdown=markdown, verdict=reasons if bounds.any else None)
    left_out = sum(found.new.summary.bad.values())
    if left_out and not skip_bad:
        were, them = ("record was", "it") if left_out == 1 else ("records were", "them")
        words = f"{left_out:,} bad {were} left out: mend {them}, or pass {them} over with --skip-bad"
        err().print(words, style="red", soft_wrap=True)
        raise typer.Exit(2)
    _conclude(found, bounds, reasons)


def _conclude(found: Comparison, bounds: Bounds, reasons: list[str]) -> None:
    console = err()
    for reason in reasons:
        console.print(f"Not within bounds: {reason}", style="red", markup=False, soft_wrap=True)
    if reasons:
        raise typer.Exit(1)
    if bounds.any:
        console.print("All bounds hold", style="green")
    elif found.difference.is_none:
        console.print("A desk would see no difference", style="green")
