"""What a report is made of, and how it is taken from a finished run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from streams.records import Alert
from streams.replay.report.command import command
from streams.replay.results import RunResult, Summary, TimelinePoint


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What was replayed: enough to do it again."""

    source: str
    """As it was named on the command line."""
    parts: tuple[str, ...] = ()
    """The files or partitions behind it, a line each."""
    input_hash: str
    """Hash of all that decides the source's records."""
    scoring: str
    """In words: with the scores as they were, or scored again."""
    asked_from: datetime | None = None
    """First event time that was asked for, UTC; None: from the beginning."""
    asked_until: datetime | None = None
    first_event: datetime | None
    """Event time of the first mention that was read, UTC; None if there was none."""
    last_event: datetime | None
    rules_version: str
    models: tuple[str, ...]
    """`name@version` of the models behind the scores."""
    command: str | None = None
    """The command that makes this report again."""
    options: dict[str, str] = {}
    """What else decided the results, by name."""

    @property
    def start(self) -> datetime | None:
        """Where the reported range begins: as asked, but not before the first mention."""
        if self.first_event is None or self.asked_from is None:
            return self.first_event
        return max(self.asked_from, self.first_event)

    @property
    def end(self) -> datetime | None:
        """Where it ends, inclusive: as asked, but not after the last mention and not before its begin."""
        if self.last_event is None or self.start is None:
            return self.last_event
        last = self.last_event if self.asked_until is None else min(self.asked_until, self.last_event)
        return max(self.start, last)


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What the run counted; what follows from alerts and timeline is counted by the report itself."""

    mentions_read: int
    """Mentions that were read, those of a warm-up included."""
    companies: int
    """Companies that were mentioned in the range."""
    late: int
    duplicates: int
    suppressed: int
    """Firings that a cooldown kept back."""
    bad: dict[str, int]
    """Rows and records that could not be used, by reason."""
    messages: dict[str, int] | None = None
    """Of a replay that scored raw messages: what became of them, by name."""


class ReportOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How much the page shows: a browser must open it within a second or two."""

    alerts_in_full: int = 150
    """This many alerts, the strongest, are shown with all their evidence."""
    alert_rows: int = 3_000
    """This many further ones have a row of a table."""
    companies: int = 1_000
    """This many companies, by alerts and then by mentions, have a row and a timeline."""
    points_per_company: int = 750
    """A day each over two years; more than a screen's pixels would hide the usual share behind the observed one."""
    points_in_all: int = 200_000
    """With many companies each has fewer points."""


class ReportData(msgspec.Struct, frozen=True, kw_only=True):
    """All that `write_report` needs."""

    facts: Facts
    figures: Figures
    names: dict[str, str]
    """Display names by entity, as far as they are known."""
    timeline: Iterable[TimelinePoint]
    """By company and hour, in any order; read once, so that it need not fit in memory."""
    alerts: Sequence[Alert]
    """All transitions, in any order."""
    rules_text: str
    """The rules that were applied, as they were read."""
    rules: tuple[str, ...] = ()
    """Names of the rules in force, in their order."""
    versions: dict[str, str]
    """Everything whose change may change an alert, by name."""
    notes: tuple[str, ...] = ()
    """Further sentences on the quality of the run."""
    options: ReportOptions = ReportOptions()


def report_data(run: RunResult) -> ReportData:
    """Take a report's contents from a finished run.

    Raises:
        InputError: while the report is written, if the run's timeline is damaged.
    """
    summary = run.summary
    return ReportData(
        facts=_facts(summary),
        figures=Figures(
            mentions_read=summary.mentions,
            companies=summary.companies,
            late=summary.late,
            duplicates=summary.duplicates,
            suppressed=summary.suppressed,
            bad=dict(summary.bad),
            messages=summary.messages,
        ),
        names=_names(run),
        timeline=run.timeline(),
        alerts=run.alerts,
        rules_text=run.rules_text,
        rules=tuple(rule.alert for rule in summary.rules),
        versions=_versions(summary),
    )


def _facts(summary: Summary) -> Facts:
    scoring = "with the scores that the mentions came with" if summary.mode == "as-scored" else "scored again"
    return Facts(
        source=summary.source.text,
        parts=tuple(_part(part) for part in summary.source.parts),
        input_hash=summary.source.identity,
        scoring=scoring,
        asked_from=summary.report_from,
        asked_until=summary.report_until,
        first_event=summary.first_event,
        last_event=summary.last_event,
        rules_version=summary.versions.rules,
        models=tuple(sorted(summary.versions.models)),
        command=command(summary),
        options=dict(_flat(summary.options)),
    )


def _part(part: dict[str, Any]) -> str:
    """Return a file or partition in one line, its name first."""
    rest = {key: value for key, value in part.items() if value is not None}
    name = [str(rest.pop(key)) for key in ("name", "topic") if key in rest]
    if isinstance(size := rest.get("bytes"), int):
        rest["bytes"] = f"{size:,}"
    return ", ".join([*name, *(f"{key} {value}" for key, value in sorted(rest.items()))])


def _flat(value: dict[str, Any], path: str = "") -> Iterable[tuple[str, str]]:
    """Yield settings as lines; what was not set is left out."""
    for key, item in value.items():
        name = f"{path}.{key}" if path else str(key)
        if isinstance(item, dict):
            yield from _flat(item, name)
        elif item is not None:
            yield name, item if isinstance(item, str) else msgspec.json.encode(item).decode()


def _names(run: RunResult) -> dict[str, str]:
    names = {company.entity: company.name for company in run.summary.most_alerts if company.name}
    for alert in run.alerts:
        entity, name = alert.labels.get("entity"), alert.annotations.get("name")
        if entity and name:
            names[entity] = name
    return names


def _versions(summary: Summary) -> dict[str, str]:
    versions = summary.versions
    return {
        "Squall": versions.squall,
        "Python": versions.python,
        "rule set": versions.rules,
        "rule file": f"{versions.rules_file} (sha256 {versions.rules_sha256})",
        **{f"rule {rule.alert}": rule.version for rule in summary.rules},
        **{f"model {model}": f"{count:,} mentions" for model, count in sorted(versions.models.items())},
        **{f"schema of {kind}": str(version) for kind, version in sorted(versions.records.items())},
    }
