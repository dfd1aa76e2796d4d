"""A whole replay: from what the user named to a folder of results. Goes on where a killed one has stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from streams.assembly import company_names, monitor_options
from streams.config import Settings
from streams.errors import InputError, ReplayError
from streams.records import Silence
from streams.replay.finish import Rescored, finish
from streams.replay.journal import Journal
from streams.replay.plan import Mode, Plan, RulesRead
from streams.replay.rescoring.refusals import NothingScored
from streams.replay.results import DEAD_LETTERS, RunResult
from streams.replay.run import RunProgress, run_monitor
from streams.replay.sources.open_source import open_mentions, open_messages
from streams.replay.sources.options import FileOptions, Window
from streams.replay.sources.source import BadRecord, MentionSource, MessageSource, Numbered, OnBad, SourceFacts
from streams.replay.workdir import WorkFolder

WARM_UP = timedelta(days=30)
"""By default so much before the range is read, so that baselines are what they would have been."""


def begin_reading(since: datetime | None, warm_up: timedelta | None) -> datetime | None:
    """Return the first event time that is read for a range; None for the beginning of the source.

    Args:
        since: first event time of the range; None is the beginning.
        warm_up: how much before it is read; None is all there is.
    """
    if since is None or warm_up is None:
        return None
    try:
        return since - warm_up
    except OverflowError:
        return None


@dataclass(frozen=True, slots=True)
class Request:
    """A replay, as it is asked for.

    Attributes:
        texts: the sources, as they were named; see `streams.replay.sources.spec`.
        rules: the rules to apply.
        as_scored: the source holds mentions with their scores; otherwise messages that are scored now.
        report_from: first event time of a transition that is reported, UTC.
        report_until: last one.
        warm_up: how much before `report_from` is read; None is all there is.
        known_at: what arrived or was learned after this is left out.
        entity: this company only.
        trust_stories: take the stories that the source names.
        model: which model scores; None is the configured or the shipped one.
        workers: processes that score; None is one per core.
        files: how files are read.
    """

    texts: tuple[str, ...]
    rules: RulesRead
    as_scored: bool = False
    report_from: datetime | None = None
    report_until: datetime | None = None
    warm_up: timedelta | None = WARM_UP
    known_at: datetime | None = None
    entity: str | None = None
    trust_stories: bool = False
    model: str | None = None
    workers: int | None = None
    files: FileOptions = field(default_factory=FileOptions)

    @property
    def since(self) -> datetime | None:
        """First event time that is read."""
        return begin_reading(self.report_from, self.warm_up)


@dataclass(frozen=True, slots=True)
class Watch:
    """Whom a replay tells how it gets on.

    Attributes:
        on_step: told the name of each step when it begins, and about how many records it has.
        on_progress: told how far the step is.
        on_bad: told of each row or record that cannot be used; after a kill, of some of them again.
        clock: seconds that only go forward, for `run.json`.
        now: the time of day, for `run.json`.
    """

    on_step: Callable[[str, int | None], None] = lambda name, total: None
    on_progress: Callable[[RunProgress], None] = lambda progress: None
    on_bad: OnBad = lambda bad: None
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


def execute(request: Request, settings: Settings, work: WorkFolder, watch: Watch | None = None) -> RunResult:
    """Run a replay to its end, and let its results appear.

    Args:
        request: what is asked for.
        settings: the configuration: companies, the monitor's options, Kafka, the classifier.
        work: the run's folder, held by this process.
        watch: told how it gets on.

    Raises:
        InputError: the source, or a file of the settings, cannot be used, or the range holds nothing.
        ReplayError: the folder holds something else, or cannot be written.
        BrokerError: Kafka cannot be reached, or stops answering.
        TopicError: a topic is missing.
        ModelError: the model cannot be used.
    """
    try:
        return _execute(request, settings, work, watch or Watch())
    except InputError as error:
        # The message says what to do, such as --sort: that command is another run, and would be refused for this one.
        if isinstance(error, NothingScored) or not _has_begun(work):
            work.forget()
        raise


def _has_begun(work: WorkFolder) -> bool:
    """Whether anything was scored or watched, so that going on from it saves time. Yes if it cannot be told."""
    try:
        with Journal(work.journal) as journal:
            return bool(journal.tally().records) or any(work.path.rglob("*.gz"))
    except (ReplayError, OSError):
        return True


def run_plan(
    source: MentionSource,
    plan: Plan,
    journal: Journal,
    *,
    on_progress: Callable[[RunProgress], None] | None = None,
    on_bad: OnBad | None = None,
) -> None:
    """Run the monitor over a source as a plan says, into a journal; it raises what `run_monitor` does."""
    run_monitor(
        source,
        rules=plan.rules.rules,
        options=plan.options,
        journal=journal,
        names=plan.names,
        report_from=plan.report_from,
        report_until=plan.report_until,
        entity=plan.entity,
        on_progress=on_progress,
        on_bad=on_bad,
        silences=plan.silences,
    )


def _execute(request: Request, settings: Settings, work: WorkFolder, watch: Watch) -> RunResult:
    started, started_s = watch.now(), watch.clock()
    with Journal(work.journal) as journal:
        run = _as_scored if request.as_scored else _rescored
        plan, facts, source, scored = run(request, settings, work, journal, watch)
        before = journal.tally().records
        watch.on_step("replaying", source.total)
        monitor_s = watch.clock()
        run_plan(source, plan, journal, on_progress=watch.on_progress, on_bad=watch.on_bad)
        ended_s = watch.clock()
        records = journal.tally().records - before
        ran = {
            "started": started,
            "finished": watch.now(),
            "seconds": round(ended_s - started_s, 3),
            "resumed": before > 0,
            "records": records,
            "records_per_s": round(records / max(ended_s - monitor_s, 1e-3)),
        }
        watch.on_step("writing the report", None)
        kept = [] if scored is None else [scored.mentions, scored.mentions.with_name(DEAD_LETTERS)]
        figures = None if scored is None else scored.figures
        return finish(work, journal, plan, facts, kept=kept, rescored=figures, ran=ran)


@dataclass(frozen=True, slots=True)
class _Scored:
    mentions: Path
    figures: Rescored


_Prepared = tuple[Plan, SourceFacts, MentionSource, "_Scored | None"]


def _as_scored(request: Request, settings: Settings, work: WorkFolder, journal: Journal, watch: Watch) -> _Prepared:
    # No upper bound: what comes after the range moves the clock, so that the range's last bins close as they did live.
    window = Window(since=request.since, known_at=request.known_at)
    source = open_mentions(
        request.texts,
        settings,
        options=replace(request.files, scratch=work.path),
        window=window,
        trust_stories=request.trust_stories,
        resume=journal.facts(),
    )
    silences = _silences(settings) if source.facts.kind == "kafka" else ()
    said = {"silences": len(silences)} if silences else {}
    plan = plan_of(request, settings, "as-scored", {"trust_stories": request.trust_stories, **said})
    plan = replace(plan, silences=silences)
    journal.adopt(plan.identity(source.facts), source.facts)
    return plan, source.facts, of_entity(source, request), None


def _silences(settings: Settings) -> tuple[Silence, ...]:
    """What the desk had silenced, where the log itself is read: the alerts come out as they did live."""
    from streams.silences import applicable, read_silences

    return tuple(applicable(read_silences(settings)))


def _rescored(request: Request, settings: Settings, work: WorkFolder, journal: Journal, watch: Watch) -> _Prepared:
    # Only here: the classifier takes seconds to import, and memory that a replay of scores has no use for.
    from models.files import read_manifest
    from streams.models_known import find_model
    from streams.replay.rescoring.rescore import RescoreProgress, require_mentions, rescore
    from streams.replay.rescoring.segments import RescoreCounters

    source: MessageSource = open_messages(
        request.texts,
        settings,
        options=replace(request.files, scratch=work.path),
        window=Window(since=request.since, until=request.report_until, known_at=request.known_at),
        resume=journal.facts(),
    )
    model = find_model(request.model, settings, request.known_at)
    scorer = read_manifest(model).model
    plan = plan_of(request, settings, "rescored", {"model": f"{scorer.name}@{scorer.version}"})
    journal.adopt(plan.identity(source.facts), source.facts)
    watch.on_step("scoring", source.total)

    def on_progress(progress: RescoreProgress) -> None:
        watch.on_progress(RunProgress(progress.messages, progress.total, None))

    counters = RescoreCounters()
    mentions = rescore(
        source,
        settings=settings,
        model=model,
        folder=work.path,
        workers=request.workers,
        on_progress=on_progress,
        on_bad=watch.on_bad,
        counters=counters,
    )
    require_mentions(source.facts.text, counters)
    counts: dict[str, Any] = msgspec.structs.asdict(counters)
    refused = counts.pop("refused")
    scored = _Scored(mentions, Rescored(counts, refused))
    return plan, source.facts, open_mentions([str(mentions)], settings), scored


def warm_up_words(span: timedelta | None) -> str:
    """Return a warm-up as a run's options name it, and as --warm-up takes it; None is all that there is."""
    return "all" if span is None else f"{span // timedelta(hours=1)}h"


def plan_of(request: Request, settings: Settings, mode: Mode, remarks: Mapping[str, Any]) -> Plan:
    """Return the plan of what is asked for.

    Args:
        request: what is asked for.
        settings: the configuration.
        mode: whether the scores are taken as they were.
        remarks: what else decides the records, beside what the request says.

    Raises:
        InputError: a table of companies cannot be used.
    """
    remarks = dict(remarks)
    if request.report_from is not None:
        remarks["warm_up"] = warm_up_words(request.warm_up)
    files = request.files
    for name in ("columns", "default_source", "assume_utc", "sort"):
        if getattr(files, name):
            remarks[name] = getattr(files, name)
    if request.known_at is not None:
        remarks["known_at"] = f"{request.known_at:%Y-%m-%dT%H:%M:%SZ}"
    return Plan(
        rules=request.rules,
        options=monitor_options(settings),
        mode=mode,
        names=company_names(settings),
        report_from=request.report_from,
        report_until=request.report_until,
        entity=request.entity,
        remarks=remarks,
    )


def of_entity(source: MentionSource, request: Request) -> MentionSource:
    """Leave out the partitions that cannot hold the company asked for; only if all of the topic's are there."""
    whole = source.facts.kind == "kafka" and not any("offsets=" in text for text in request.texts)
    if request.entity is None or not whole or len(source.partitions) < 2:
        return source
    partitions = sorted(source.partitions)
    from streams.replay.sources.partitioner import partition_of  # Kafka's, and of no use to files

    return _OnePartition(source, partitions[partition_of(request.entity, len(partitions))])


class _OnePartition:
    """One partition of a source."""

    def __init__(self, source: MentionSource, partition: int) -> None:
        self._source = source
        self._partition = partition

    @property
    def facts(self) -> SourceFacts:
        """What the whole is."""
        return self._source.facts

    @property
    def partitions(self) -> Sequence[int]:
        """The one."""
        return (self._partition,)

    @property
    def total(self) -> int | None:
        """About how many records it has."""
        spans = [part for part in self.facts.parts if part.get("partition") == self._partition]
        return sum(int(part["end"]) - int(part["start"]) for part in spans) if spans else None

    def records(self, partition: int, *, after: int = -1, on_bad: Callable[[BadRecord], None]) -> Iterator[Numbered]:
        """Yield its records."""
        return self._source.records(partition, after=after, on_bad=on_bad)
