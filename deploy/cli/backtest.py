"""What `squall rules backtest` does between its options and its table: opens, scores, runs twice, keeps."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from deploy.cli.differences import write_difference
from deploy.cli.replay_progress import RunDisplay
from deploy.cli.replay_words import BadRows
from deploy.cli.scored_history import score_history
from streams.config import Settings
from streams.errors import InputError
from streams.replay.differences.backtest import Bounds, Scored, backtest, broken
from streams.replay.differences.comparison import Comparison
from streams.replay.execute import Request, of_entity, plan_of
from streams.replay.finish import Rescored
from streams.replay.plan import Plan, RulesRead
from streams.replay.results import DEAD_LETTERS
from streams.replay.run import RunProgress
from streams.replay.sources.open_source import open_mentions
from streams.replay.sources.options import Window
from streams.replay.sources.source import MentionSource
from streams.replay.workdir import WorkFolder

DIFFERENCE_JSON = "difference.json"
DIFFERENCE_MARKDOWN = "difference.md"


@dataclass(frozen=True, slots=True)
class Trial:
    """What is asked for.

    Attributes:
        request: the source, its range, and the rules that are in force.
        rules: the rules to try.
        names: what a person calls the two.
        bounds: what the new rules may do.
        out: folder for both runs' results and their difference; None: nothing is kept.
        fresh: forget what an unfinished backtest has left beside `out`.
    """

    request: Request
    rules: RulesRead
    names: tuple[str, str]
    bounds: Bounds
    out: Path | None = None
    fresh: bool = False


def run_backtest(current: Settings, trial: Trial, console: Console) -> Comparison:
    """Run both rule sets and compare.

    Args:
        current: the settings.
        trial: what is asked for.
        console: for progress, and what cannot be used.

    Raises:
        SquallError: a source, the model or a folder cannot be used.
        ModelError: the model cannot be used.
    """
    bad = BadRows(console)
    try:
        with _place(trial.out, fresh=trial.fresh) as (folder, scratch), RunDisplay(console) as display:
            found = _run(current, trial, folder, scratch, display, bad)
            if trial.out is not None:
                verdict = broken(found, trial.bounds) if trial.bounds.any else None
                files = {"json": folder / DIFFERENCE_JSON, "markdown": folder / DIFFERENCE_MARKDOWN}
                write_difference(found, **files, verdict=verdict)
            return found
    finally:
        bad.conclude()


def _run(current: Settings, trial: Trial, folder: Path, scratch: Path, display: RunDisplay, bad: BadRows) -> Comparison:
    request = replace(trial.request, files=replace(trial.request.files, scratch=scratch))
    source, scored = _mentions(current, request, scratch, display, bad)
    old = _plan(current, request, scored)
    told: set[str] = set()

    def on_progress(side: str, progress: RunProgress) -> None:
        if side not in told:
            told.add(side)
            display.begin(f"replaying with the {side} rules", progress.total)
        display.update(progress.records, progress.total, progress.event_time)

    return backtest(
        source,
        old=old,
        new=replace(old, rules=trial.rules),
        names=trial.names,
        work=folder,
        scored=scored,
        keep=trial.out is not None,
        on_progress=on_progress,
        on_bad=bad,
    )


@contextmanager
def _place(out: Path | None, *, fresh: bool) -> Iterator[tuple[Path, Path]]:
    """Yield a folder for results and one for work; `out` appears when the block has ended well, and not before."""
    if out is None:
        with tempfile.TemporaryDirectory(prefix="squall-backtest-") as name:
            scratch = Path(name) / "scratch"
            scratch.mkdir()
            yield Path(name), scratch
        return
    if out.exists():
        msg = f"{out} is there already: name another folder with --out, or remove it"
        raise InputError(msg)
    with WorkFolder(out, fresh=fresh) as work:
        # What has been scored stays if this is stopped: the same command goes on from there.
        yield work.new_result(), work.path
        work.publish()


def _mentions(
    current: Settings, request: Request, scratch: Path, display: RunDisplay, bad: BadRows
) -> tuple[MentionSource, Scored | None]:
    """Open the mentions, scoring them first where the sources are raw messages."""
    if request.as_scored:
        # No upper bound: what comes after the range closes its last bins as they did live.
        window = Window(since=request.since, known_at=request.known_at)
        mentions = open_mentions(
            request.texts, current, options=request.files, window=window, trust_stories=request.trust_stories
        )
        return of_entity(mentions, request), None
    found = score_history(
        current,
        request.texts,
        files=request.files,
        window=Window(since=request.since, until=request.report_until, known_at=request.known_at),
        model=request.model,
        workers=request.workers,
        scratch=scratch,
        display=display,
        on_bad=bad,
    )
    counts: dict[str, Any] = msgspec.structs.asdict(found.counters)
    refused = counts.pop("refused")
    files = (found.mentions, found.mentions.with_name(DEAD_LETTERS))
    scorer = f"{found.scorer.name}@{found.scorer.version}"
    scored = Scored(found.facts, scorer, files, Rescored(counts, refused))
    return open_mentions([str(found.mentions)], current), scored


def _plan(current: Settings, request: Request, scored: Scored | None) -> Plan:
    if scored is None:
        return plan_of(request, current, "as-scored", {"trust_stories": request.trust_stories})
    return plan_of(request, current, "rescored", {"model": scored.model})
