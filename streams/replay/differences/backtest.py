"""Two rule sets over the same mentions: what the new one would have done to a desk, and whether that is acceptable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from streams.deliver.words import plural
from streams.errors import InputError
from streams.replay.differences.comparison import Comparison, compare_results
from streams.replay.execute import run_plan
from streams.replay.finish import Rescored, finish, summarise
from streams.replay.journal import Journal
from streams.replay.plan import Plan
from streams.replay.results import RunResult, alert_from_line
from streams.replay.run import RunProgress
from streams.replay.sources.source import MentionSource, OnBad, SourceFacts
from streams.replay.workdir import WorkFolder

SIDES = ("old", "new")
"""Names of the two runs' folders."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a change of rules may do; what is None is not looked at.

    Attributes:
        max_per_day: alerts on any one day (UTC) under the new rules, over all companies.
        max_added: alerts that only the new rules raise.
        allow_removed: the new rules may miss alerts that the old ones raise.
    """

    max_per_day: int | None = None
    max_added: int | None = None
    allow_removed: bool = True

    @property
    def any(self) -> bool:
        """Whether anything is bounded."""
        return self.max_per_day is not None or self.max_added is not None or not self.allow_removed


def broken(comparison: Comparison, bounds: Bounds) -> list[str]:
    """Return the bounds that a backtest breaks, in words; empty if all hold."""
    found = []
    day = comparison.new.per_day
    if bounds.max_per_day is not None and day.most > bounds.max_per_day:
        on = f" on {day.most_on}" if day.most_on else ""
        found.append(f"{plural(day.most, 'alert')}{on} under the new rules, at most {bounds.max_per_day:,} may be")
    added, removed = len(comparison.difference.added), len(comparison.difference.removed)
    if bounds.max_added is not None and added > bounds.max_added:
        found.append(f"{plural(added, 'alert')} added, at most {bounds.max_added:,} may be")
    if not bounds.allow_removed and removed:
        found.append(f"{plural(removed, 'alert')} removed, none may be")
    return found


@dataclass(frozen=True, slots=True)
class Scored:
    """What the mentions of a backtest were scored from.

    Attributes:
        facts: the raw messages.
        model: `name@version` of the model.
        files: what came of it, to be kept with each run's results.
        figures: its figures.
    """

    facts: SourceFacts
    model: str
    files: Sequence[Path]
    figures: Rescored


OnProgress = Callable[[str, RunProgress], None]
"""Told which run is under way, `old` or `new`, and how far it is."""


def backtest(
    source: MentionSource,
    *,
    old: Plan,
    new: Plan,
    names: tuple[str, str],
    work: Path,
    scored: Scored | None = None,
    keep: bool = False,
    on_progress: OnProgress | None = None,
    on_bad: OnBad | None = None,
) -> Comparison:
    """Run two plans over one source, one after the other, and compare what came of them.

    Args:
        source: the mentions; read twice, as it was when it was opened.
        old: the plan with the rules that are in force.
        new: the plan with the other rules.
        names: what a person calls them.
        work: a folder to work in.
        scored: what the mentions were scored from, where they were scored for this backtest.
        keep: leave both runs' results in `work/old` and `work/new`, as folders of finished replays.
        on_progress: told how far it is.
        on_bad: told of each record that cannot be used, once.

    Raises:
        InputError: the source breaks off or holds nothing of the range, or `work` cannot be written.
        BrokerError: Kafka stops answering.
    """
    done = []
    for side, plan in zip(SIDES, (old, new), strict=True):
        listening = on_bad if side == SIDES[0] else None  # the second run meets the same bad records again
        tell = _teller(on_progress, side)
        run = _kept if keep else _counted
        done.append(run(source, plan, scored, work / side, tell, listening))
    return compare_results(done[0], done[1], names=names)


def _teller(on_progress: OnProgress | None, side: str) -> Callable[[RunProgress], None] | None:
    return None if on_progress is None else lambda progress: on_progress(side, progress)


Tell = Callable[[RunProgress], None] | None


def _kept(
    source: MentionSource, plan: Plan, scored: Scored | None, folder: Path, tell: Tell, on_bad: OnBad | None
) -> RunResult:
    with WorkFolder(folder, fresh=True, force=True) as place, Journal(place.journal) as journal:
        run_plan(source, plan, journal, on_progress=tell, on_bad=on_bad)
        if scored is None:
            return finish(place, journal, plan, source.facts)
        return finish(place, journal, plan, scored.facts, kept=scored.files, rescored=scored.figures)


def _counted(
    source: MentionSource, plan: Plan, scored: Scored | None, folder: Path, tell: Tell, on_bad: OnBad | None
) -> RunResult:
    """Run without leaving anything but the journal, which is the caller's to remove."""
    facts = source.facts if scored is None else scored.facts
    folder.mkdir(parents=True)
    with Journal(folder / "journal.sqlite") as journal:
        run_plan(source, plan, journal, on_progress=tell, on_bad=on_bad)
        summary = summarise(journal, plan, facts, rescored=None if scored is None else scored.figures)
        alerts = [alert_from_line(line) for line in journal.alert_lines()]
    result = RunResult(folder=folder, summary=summary, alerts=alerts, rules_text=plan.rules.text)
    _require_mentions(result, facts)
    return result


def _require_mentions(result: RunResult, facts: SourceFacts) -> None:
    """Refuse to call it a difference of nothing when nothing was read: a wrong path must not pass in CI."""
    summary = result.summary
    whom = f" of {entity}" if (entity := summary.options.get("entity")) else ""
    if summary.first_event is None or summary.last_event is None:
        msg = f"there are no mentions{whom} in {facts.text}"
        raise InputError(msg)
    begin = summary.report_from or summary.first_event
    if summary.last_event < begin or summary.first_event > (summary.report_until or summary.last_event):
        read = (
            f"those that were read are from {summary.first_event:%Y-%m-%d %H:%M} to {summary.last_event:%Y-%m-%d %H:%M}"
        )
        msg = f"there are no mentions{whom} of the range in {facts.text}: {read}"
        raise InputError(msg)
