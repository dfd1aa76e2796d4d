"""From a finished journal to the files that a run leaves behind."""

from __future__ import annotations

import gzip
import io
import os
import platform
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast, get_args

import msgspec

from streams.errors import InputError
from streams.monitor.bins import from_ms
from streams.records import Severity, alert, encode, mention
from streams.replay import results
from streams.replay.hours import TimelineRow
from streams.replay.journal import Fired, Journal, Tally
from streams.replay.plan import Plan
from streams.replay.results import (
    CompanySummary,
    RuleSummary,
    RunResult,
    SourceSummary,
    Summary,
    TimelinePoint,
    Versions,
    load_run,
)
from streams.replay.sources.source import SourceFacts
from streams.replay.workdir import WorkFolder

MOST_COMPANIES = 20
_PACKED = 3
"""Level of compression: at 9, gzip's own, the hours of two years take three times as long to pack, and are a fifth
smaller."""
_BUFFER_BYTES = 1 << 16
_SEVERITIES: tuple[Severity, ...] = get_args(Severity)


@dataclass(frozen=True, slots=True)
class Rescored:
    """What came of the messages that were scored for a run.

    Attributes:
        counts: messages read, scored, about no known company, repeated, ...
        refused: rows and messages that could not be used, by reason.
    """

    counts: dict[str, int]
    refused: dict[str, int]


def finish(
    work: WorkFolder,
    journal: Journal,
    plan: Plan,
    facts: SourceFacts,
    *,
    kept: Sequence[Path] = (),
    rescored: Rescored | None = None,
    ran: dict[str, Any] | None = None,
) -> RunResult:
    """Write all files, let them appear under their name, and return what they hold. The journal is closed and gone.

    Args:
        work: the run's folder.
        journal: a journal that `run_monitor` has finished.
        plan: the run.
        facts: what went in.
        kept: files of the work that are kept with the results, under their names: the mentions that were scored.
        rescored: the figures of that scoring.
        ran: when and how fast it ran, for `run.json`.

    Raises:
        InputError: a file cannot be written, or the range held nothing.
    """
    tally = journal.tally()
    _require_records(tally, plan, facts)
    folder = work.new_result()
    summary = summarise(journal, plan, facts, rescored=rescored)
    with _explained(folder):
        with _durable(folder / results.ALERTS) as file:
            file.writelines(journal.alert_lines())
        with _durable(folder / results.TIMELINE) as file:
            write_timeline(file, journal.timeline())
        with _durable(folder / results.SUMMARY) as file:
            file.write(msgspec.json.format(encode(summary), indent=2) + b"\n")
        with _durable(folder / results.RULES) as file:
            file.write(plan.rules.text.encode())
        with _durable(folder / results.RUN) as file:
            file.write(msgspec.json.format(msgspec.json.encode(ran or {}), indent=2) + b"\n")
        for path in kept:
            _same_file(path, folder / path.name)
        _report(load_run(folder), folder / results.REPORT)
    journal.close()
    work.publish()
    return load_run(work.out)


def summarise(journal: Journal, plan: Plan, facts: SourceFacts, *, rescored: Rescored | None = None) -> Summary:
    """Return the summary of a finished run."""
    tally = journal.tally()
    fired = list(journal.fired())
    transitions = journal.transitions()
    counts = journal.transition_count()
    reasons = Counter(tally.bad) + Counter(rescored.refused if rescored else {})
    return Summary(
        mode=plan.mode,
        source=SourceSummary(kind=facts.kind, text=facts.text, identity=facts.identity, parts=list(facts.parts)),
        options={
            "entity": plan.entity,
            **{f"monitor.{key}": value for key, value in msgspec.structs.asdict(plan.options).items()},
            **plan.remarks,
        },
        report_from=plan.report_from,
        report_until=plan.report_until,
        first_event=None if tally.first_ms is None else from_ms(tally.first_ms),
        last_event=None if tally.last_ms is None else from_ms(tally.last_ms),
        mentions=tally.mentions,
        companies=journal.companies(),
        late=tally.late,
        duplicates=tally.duplicates,
        suppressed=tally.suppressed,
        bad=dict(sorted(reasons.items())),
        messages=rescored.counts if rescored else None,
        transitions=counts,
        fired=len(fired),
        fired_by_severity=_by_severity(fired),
        fired_per_day=dict(sorted(Counter(f"{from_ms(one.at_ms):%Y-%m-%d}" for one in fired).items())),
        most_alerts=_companies(fired, plan),
        rules=[
            RuleSummary(
                alert=rule.alert,
                type=rule.type,
                version=rule.version,
                transitions=transitions.get(rule.alert, {}),
                alerts=_by_severity([one for one in fired if one.rule == rule.alert]),
            )
            for rule in plan.rules.rules.rules
        ],
        versions=Versions(
            squall=plan.options.squall_version,
            python=platform.python_version(),
            records={"alert": alert.SCHEMA, "mention": mention.SCHEMA},
            rules=plan.rules.rules.version,
            rules_file=plan.rules.name,
            rules_sha256=plan.rules.sha256,
            models=dict(sorted(tally.models.items())),
        ),
    )


def write_timeline(file: IO[bytes], rows: Iterable[TimelineRow]) -> None:
    """Write a timeline, packed; equal rows are equal bytes: no time and no name in the head of the file."""
    with (
        gzip.GzipFile(filename="", mode="wb", compresslevel=_PACKED, fileobj=file, mtime=0) as gzipped,
        io.BufferedWriter(cast("io.RawIOBase", gzipped), _BUFFER_BYTES) as packed,  # line by line takes twice as long
    ):
        for row in rows:
            point = TimelinePoint(
                entity=row.entity,
                at=from_ms(row.at_ms),
                mentions=row.mentions,
                votes=row.votes,
                negative=_rounded(row.negative),
                baseline=_rounded(row.baseline),
                low=_rounded(row.low),
                high=_rounded(row.high),
                margin=_rounded(row.margin),
            )
            packed.write(encode(point) + b"\n")


def _rounded(value: Any) -> Any:
    """Six significant digits, as in an alert's evidence."""
    return None if value is None else float(f"{value:.6g}")


def _require_records(tally: Tally, plan: Plan, facts: SourceFacts) -> None:
    whom = f" of {plan.entity}" if plan.entity else ""
    if tally.first_ms is None or tally.last_ms is None:
        what = f"; {sum(tally.bad.values()):,} rows could not be used" if tally.bad else ""
        msg = f"there are no mentions{whom} in {facts.text}{what}"
        raise InputError(msg)
    first, last = from_ms(tally.first_ms), from_ms(tally.last_ms)
    begin, end = plan.report_from or first, plan.report_until or last
    if last < begin or first > end:
        since = "" if plan.report_from is None else f" from {_said(begin)}"
        until = "" if plan.report_until is None else f" {'up ' if not since else ''}to {_said(end)}"
        # Reading ends soon after the range: what was read says nothing of the end of the source.
        there = f"the first is from {_said(first)}" if first > end else f"the last is from {_said(last)}"
        raise InputError(f"there are no mentions{whom}{since}{until} in {facts.text}: {there}")


def _said(time: Any) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"


def _by_severity(fired: Iterable[Fired]) -> dict[str, int]:
    counts = Counter(one.severity for one in fired)
    return {severity: counts[severity] for severity in _SEVERITIES if counts[severity]}


def _companies(fired: Iterable[Fired], plan: Plan) -> list[CompanySummary]:
    counts = sorted(Counter(one.entity for one in fired).items(), key=lambda item: (-item[1], item[0]))
    return [
        CompanySummary(entity=entity, name=plan.names.get(entity), alerts=count)
        for entity, count in counts[:MOST_COMPANIES]
    ]


def _report(run: RunResult, path: Path) -> None:
    # Only here: not every use of this module writes a report, and its chart library takes a moment.
    from streams.replay.report import report_data, write_report

    write_report(report_data(run), path)


@contextmanager
def _durable(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that is on the disk when it is closed: the folder's rename must not come before its files."""
    with path.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def _same_file(path: Path, target: Path) -> None:
    try:
        target.hardlink_to(path)
    except OSError:  # not every file system has them
        shutil.copyfile(path, target)


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        msg = (
            f"cannot write into {folder}: {error.strerror or error}; the run goes on from there if it is started again"
        )
        raise InputError(msg) from error
