"""`squall replay`: any stretch of history through the same code again."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from deploy.cli.columns import named_columns
from deploy.cli.frame import err, out, settings
from deploy.cli.history_options import RUN_PANEL, Entity, Fresh, KnownAt, symbol_of
from deploy.cli.replay_progress import RunDisplay
from deploy.cli.replay_words import BadRows, pace_words, print_alert, print_summary
from deploy.cli.stopping import STOPPED, sigterm_tidies
from deploy.cli.times import length, moment
from streams.config import Settings
from streams.ingest.decode import Limits
from streams.records import Alert
from streams.replay.compare import compare_alerts
from streams.replay.execute import Request, Watch, begin_reading, execute
from streams.replay.log import read_alerts
from streams.replay.pace import paced, parse_speed
from streams.replay.plan import read_rules
from streams.replay.rehearsals.to_kafka import Play
from streams.replay.results import RunResult
from streams.replay.sources.options import FileOptions, Window
from streams.replay.workdir import WorkFolder

_FILES = "Reading files"
_TO_KAFKA = "Rehearsal"


@sigterm_tidies()
def replay(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            help="CSV, TSV, JSON lines (also .gz), Parquet, a folder of them, or kafka:[TOPIC][?from=&to=]."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Folder to make, with the report. Unset, or with --speed: alerts are printed."
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--from", help="First event time of an alert, such as 2020-02-20T00:00:00Z.")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", help="Last event time of an alert.")] = None,
    warm_up: Annotated[
        str, typer.Option(help="How much before --from is read to learn what is usual: 48h, 30d, 8w, or all.")
    ] = "30d",
    rules: Annotated[Path | None, typer.Option(help="Rule file. Unset: the configured or the shipped rules.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Folder, name or version of the model. Unset: the configured or the shipped one.")
    ] = None,
    as_scored: Annotated[
        bool, typer.Option("--as-scored", help="The source holds scored mentions: take the scores as they were.")
    ] = False,
    trust_stories: Annotated[
        bool, typer.Option("--trust-stories", help="Take the stories that scored mentions name.")
    ] = False,
    entity: Entity = None,
    known_at: KnownAt = None,
    speed: Annotated[
        str | None,
        typer.Option(
            help="Print alerts, or play to Kafka, at the pace of history: 1x, 60x (an hour a minute), or max."
        ),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes that score. Unset: one per core.")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Compare with the alerts that Kafka holds; exit with 1 if they differ.")
    ] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="Compare two finished replays: squall replay --compare OLD NEW.")
    ] = False,
    to_kafka: Annotated[
        bool,
        typer.Option(
            "--to-kafka",
            help="Play into topics of its own, with the original times, for a worker to rehearse on.",
            rich_help_panel=_TO_KAFKA,
        ),
    ] = False,
    prefix: Annotated[
        str | None,
        typer.Option(help="First part of these topics' names, such as replay-x.", rich_help_panel=_TO_KAFKA),
    ] = None,
    fresh: Fresh = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Replace the results of an earlier replay; --to-kafka: go on behind what was played.",
            rich_help_panel=RUN_PANEL,
        ),
    ] = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Exit with 0 although there were bad rows.", rich_help_panel=_FILES)
    ] = False,
    sort: Annotated[
        bool, typer.Option("--sort", help="Put rows in the order of time first.", rich_help_panel=_FILES)
    ] = False,
    assume_utc: Annotated[
        bool, typer.Option("--assume-utc", help="Take times without an offset as UTC.", rich_help_panel=_FILES)
    ] = False,
    source: Annotated[
        str | None, typer.Option(help="Source of rows that name none. Unset: the file's name.", rich_help_panel=_FILES)
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(help="FIELD=COLUMN, such as text=body, for a column of another name.", rich_help_panel=_FILES),
    ] = None,
) -> None:
    """Replay history: messages are scored and watched as if they came now, and the clock is theirs.

    With --out, DIR holds alerts.jsonl, summary.json, timeline.jsonl.gz and report.html when all of them are complete.
    A run that was stopped goes on where it was when the same command is given again. Nothing on Kafka is changed.
    With --to-kafka the history is played into topics of its own under --prefix instead; the live ones are refused.

    Exit status: 0 all is well, 1 there were bad rows or a comparison found a difference, 2 wrong use.
    """
    texts = tuple(sources or ())
    if compare:
        _compare(texts)
    if not texts:
        raise typer.BadParameter("name what to replay: a file, a folder, or kafka:", param_hint="SOURCE")
    current = settings()
    begin, end = moment(since, "--from"), moment(until, "--to")
    if begin is not None and end is not None and end < begin:
        raise typer.BadParameter(f"{until} is before --from {since}: the range is empty", param_hint="--to")
    _check_combination(as_scored=as_scored, check=check, trust_stories=trust_stories, model=model, since=since)
    times = parse_speed(speed) if speed is not None else None
    named = named_columns(column or ())
    files = _file_options(current, named, source, sort=sort, assume_utc=assume_utc)
    if to_kafka or prefix is not None:
        others = {"--out": output, "--rules": rules, "--model": model, "--entity": entity, "--workers": workers}
        others |= {"--check": check or None, "--fresh": fresh or None}
        play = Play(
            texts=texts,
            prefix=_prefix(to_kafka, prefix, others),
            as_scored=as_scored,
            speed=times,
            window=Window(
                since=begin_reading(begin, length(warm_up)), until=end, known_at=moment(known_at, "--known-at")
            ),
            paced_from=begin,
            files=files,
            trust_stories=trust_stories,
            add=force,
        )
        _play(play, current, skip_bad=skip_bad)
        return
    request = Request(
        texts=texts,
        rules=read_rules(rules or current.monitor.rules),
        as_scored=as_scored,
        report_from=begin,
        report_until=end,
        warm_up=length(warm_up),
        known_at=moment(known_at, "--known-at"),
        entity=symbol_of(current, entity),
        trust_stories=trust_stories,
        model=model,
        workers=workers,
        files=files,
    )
    # Raised ones first: what a worker raises in the meantime is then not missed in the log.
    raised = list(read_alerts(current, entity=request.entity, until=end)) if check else []
    with tempfile.TemporaryDirectory(prefix="squall-replay-") as scratch:
        run = _run(request, current, output or Path(scratch) / "run", fresh=fresh, force=force, kept=output is not None)
        _show(run, times=times, alerts=output is None or speed is not None, kept=output is not None)
    if check:
        _check(run, raised)
    if run.summary.bad and not skip_bad:
        raise typer.Exit(1)


def _run(request: Request, current: Settings, folder: Path, *, fresh: bool, force: bool, kept: bool) -> RunResult:
    console = err()
    bad = BadRows(console)
    try:
        with WorkFolder(folder, fresh=fresh, force=force) as work, RunDisplay(console) as display:
            watch = Watch(
                on_step=display.begin,
                on_progress=lambda progress: display.update(progress.records, progress.total, progress.event_time),
                on_bad=bad,
            )
            run = execute(request, current, work, watch)
    except STOPPED:
        if kept:
            console.print("Stopped. The same command goes on from here.", soft_wrap=True)
        raise
    finally:
        bad.conclude()
    return run


def _prefix(to_kafka: bool, prefix: str | None, others: Mapping[str, object | None]) -> str:
    if not to_kafka:
        raise typer.BadParameter("names the topics to play into: add --to-kafka", param_hint="--prefix")
    if prefix is None:
        raise typer.BadParameter(
            "needs --prefix, under which its topics are made, such as replay-x", param_hint="--to-kafka"
        )
    given = [name for name, value in others.items() if value is not None]
    if given:
        msg = f"plays the history and makes no results of its own: leave out {', '.join(given)}"
        raise typer.BadParameter(msg, param_hint="--to-kafka")
    return prefix


def _play(play: Play, current: Settings, *, skip_bad: bool) -> None:
    from deploy.cli.replay_to_kafka import run_play

    if run_play(play, current).bad and not skip_bad:
        raise typer.Exit(1)


def _show(run: RunResult, *, times: float | None, alerts: bool, kept: bool) -> None:
    console = out()
    summary = run.summary
    if alerts:
        since = summary.report_from or summary.first_event
        if run.alerts and times is not None:
            # The first may be hours away: nothing on the screen would look like a pace that is not kept.
            err().print(pace_words(run, times, kept=kept), markup=False, soft_wrap=True)
        for alert in paced(run.alerts, speed=times, since=since):
            print_alert(console, alert)
    print_summary(err() if not kept else console, run, kept=kept)


def _check(run: RunResult, raised: list[Alert]) -> None:
    difference = compare_alerts(run.alerts, raised)
    console = err()
    if difference is None:
        console.print(f"The same as the {len(run.alerts):,} that were raised, byte for byte", style="green")
        return
    console.print(f"Not the same: {difference}.", style="red", markup=False, soft_wrap=True)
    if difference.kind == "missing":
        console.print("A monitor that has not read everything yet may still raise it.", soft_wrap=True)
    elif difference.kind == "unexpected":
        console.print("Were other rules in force, or is the log cut off by its retention?", soft_wrap=True)
    raise typer.Exit(1)


def _compare(texts: tuple[str, ...]) -> NoReturn:
    if len(texts) != 2:
        msg = f"takes two folders of finished replays, the old one and the new one; got {len(texts)}"
        raise typer.BadParameter(msg, param_hint="--compare")
    # Only here: matching the alerts of two runs takes scipy, which a replay has no use for.
    from deploy.cli.differences import show_difference
    from streams.replay.differences.comparison import compare_folders

    comparison = compare_folders(Path(texts[0]), Path(texts[1]))
    show_difference(comparison, out())
    raise typer.Exit(0 if comparison.difference.is_none else 1)


def _check_combination(
    *, as_scored: bool, check: bool, trust_stories: bool, model: str | None, since: str | None
) -> None:
    if check and not as_scored:
        raise typer.BadParameter("compares what the scores as they were lead to: add --as-scored", param_hint="--check")
    if check and since is not None:
        msg = "needs the history from its beginning, as the live monitor had it: leave out --from"
        raise typer.BadParameter(msg, param_hint="--check")
    if trust_stories and not as_scored:
        raise typer.BadParameter("only scored mentions name a story: add --as-scored", param_hint="--trust-stories")
    if model is not None and as_scored:
        raise typer.BadParameter("nothing is scored with --as-scored: leave one of the two out", param_hint="--model")


def _file_options(
    current: Settings, named: Mapping[str, str], source: str | None, *, sort: bool, assume_utc: bool
) -> FileOptions:
    ingest = current.ingest
    return FileOptions(
        columns=named,
        default_source=source,
        assume_utc=assume_utc,
        limits=Limits(max_bytes=ingest.max_bytes, oldest=ingest.oldest, max_future_s=ingest.max_future_s),
        sort=sort,
    )
