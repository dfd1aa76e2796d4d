"""What a replay leaves behind: the files of its folder, and how they are read again.

alerts.jsonl        a line per alert transition, in the order (event time, id, transition)
summary.json        counts, versions, and what went in: `Summary`
timeline.jsonl.gz   a `TimelinePoint` per company and hour, by company and then by time
rules.yaml          the rules that were applied, as they were read
mentions.jsonl.gz   of a replay that scored raw messages: the mentions, for another replay `--as-scored`
report.html         all of it to look at, offline
run.json            when and how fast it ran; all other files hold event times only, so that two runs on the same
                    input are the same bytes
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, cast

import msgspec

from streams.deliver.payload import rfc3339
from streams.errors import InputError, RecordError
from streams.records import Alert, decode_alert, encode

FORMAT = 1
"""Version of the shape of these files."""

ALERTS = "alerts.jsonl"
SUMMARY = "summary.json"
TIMELINE = "timeline.jsonl.gz"
RULES = "rules.yaml"
MENTIONS = "mentions.jsonl.gz"
DEAD_LETTERS = "dead-letters.jsonl"
REPORT = "report.html"
RUN = "run.json"

_TICKER = "ticker"


class SourceSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What went in; see `streams.replay.sources.source.SourceFacts`."""

    kind: str
    """`files` or `kafka`."""
    text: str
    """As it was named on the command line."""
    identity: str
    """Hash of all that decides its records."""
    parts: list[dict[str, Any]]
    """One per file (name, bytes, sha256) or per partition (topic, partition, start, end)."""


class RuleSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One rule, and what came of it."""

    alert: str
    """Its name."""
    type: str
    version: str
    transitions: dict[str, int]
    """Transitions by state: pending, firing, resolved, inactive."""
    alerts: dict[str, int]
    """Alerts that fired by the highest severity that they reached."""


class CompanySummary(msgspec.Struct, frozen=True, kw_only=True):
    """A company and how many of its alerts fired."""

    entity: str
    name: str | None
    alerts: int


class Versions(msgspec.Struct, frozen=True, kw_only=True):
    """Everything whose change may change an alert."""

    squall: str
    python: str
    records: dict[str, int]
    """Schema version by kind of record."""
    rules: str
    """Version of the rule set: the hash of its meaning."""
    rules_file: str
    """Name of the rule file."""
    rules_sha256: str
    """Hash of its bytes."""
    models: dict[str, int]
    """Mentions by the model that scored them, `name@version`."""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """`summary.json`. It holds nothing of the wall clock, so the same input gives the same bytes."""

    format: int = FORMAT
    mode: Literal["as-scored", "rescored"]
    source: SourceSummary
    options: dict[str, Any]
    """What decided the results beside the source and the rules: the range, the company, the monitor's options, ..."""
    report_from: datetime | None
    """First event time of a transition that is reported; None: from the beginning."""
    report_until: datetime | None
    """Last event time of a transition that is reported; None: to the end."""
    first_event: datetime | None
    """Least event time of the mentions that were read, those of the warm-up included."""
    last_event: datetime | None
    mentions: int
    """Mentions that were read, those of the warm-up included."""
    companies: int
    """Companies that were mentioned in the range."""
    late: int
    """Mentions later than the allowed lateness: outside the alerts."""
    duplicates: int
    """Mentions that had been read before, by their id."""
    suppressed: int
    """Firings that a cooldown kept back."""
    bad: dict[str, int]
    """Rows and records that could not be used, by reason."""
    messages: dict[str, int] | None = None
    """Of a replay that scored raw messages: how many were read, scored, about no known company, repeated, ..."""
    transitions: int
    """Lines of `alerts.jsonl`."""
    fired: int
    """Alerts that fired in the range; one whose severity rises later is still one."""
    fired_by_severity: dict[str, int]
    fired_per_day: dict[str, int]
    """Alerts by the day (UTC, YYYY-MM-DD) on which they fired first; days without any are left out."""
    most_alerts: list[CompanySummary]
    """Companies by alerts that fired, at most twenty."""
    rules: list[RuleSummary]
    versions: Versions


class TimelinePoint(msgspec.Struct, frozen=True, kw_only=True):
    """One company and hour of event time in which a bin with mentions closed; UTC."""

    entity: str
    at: datetime
    """Start of the hour."""
    mentions: int
    """All of them, copies included."""
    votes: int
    """Those that counted: one per story, capped per author."""
    negative: float
    """Sum of P(negative) over the votes; `negative / votes` is the share."""
    baseline: float | None
    """Usual share of the first spike rule (or the first rule, if there is none), as of the hour's last bin."""
    low: float | None
    """`low` to `high` is the 90 % interval of the usual share."""
    high: float | None
    margin: float | None = None
    """How far above the usual share was still nothing for that rule; None for a rule without a margin."""


class _Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What stands beside an alert's own fields, in the words of Alertmanager."""

    status: str
    startsAt: str  # noqa: N815 - the field's name in the file
    endsAt: str | None  # noqa: N815
    detectedAt: str  # noqa: N815


@dataclass(frozen=True, slots=True)
class RunResult:
    """A finished replay.

    Attributes:
        folder: where it lies.
        summary: its summary.
        alerts: all transitions, in the order (event time, id, transition).
        rules_text: the rules, as they were read.
    """

    folder: Path
    summary: Summary
    alerts: list[Alert]
    rules_text: str

    @property
    def timeline_path(self) -> Path:
        """File of the timeline."""
        return self.folder / TIMELINE

    def timeline(self) -> Iterator[TimelinePoint]:
        """Yield the timeline's points, by company and then by time. Raises InputError if the file is damaged."""
        return read_timeline(self.timeline_path)


def alert_line(alert: Alert) -> bytes:
    """Return an alert's line of `alerts.jsonl`, with its end of line.

    The record's own fields, `labels` with `ticker` (the company), and beside them `status`, `startsAt` (when it fired,
    or when it was opened), `endsAt` (null until it is over) and `detectedAt` (the event time of this transition).
    """
    labels = {_TICKER: alert.labels["entity"], **alert.labels} if "entity" in alert.labels else alert.labels
    ended = alert.state in ("resolved", "inactive")
    reading = _Reading(
        status=alert.state,
        startsAt=rfc3339(alert.fired_at or alert.starts_at),
        endsAt=rfc3339(alert.ends_at or alert.at) if ended else None,
        detectedAt=rfc3339(alert.at),
    )
    record = encode(msgspec.structs.replace(alert, labels=labels))
    return record[:-1] + b"," + encode(reading)[1:] + b"\n"


def alert_from_line(line: bytes) -> Alert:
    """Return the alert of a line of `alerts.jsonl` as it was raised. Raises RecordError."""
    alert = decode_alert(line)
    if alert.labels.get(_TICKER) != alert.labels.get("entity"):
        return alert
    labels = {key: value for key, value in alert.labels.items() if key != _TICKER}
    return msgspec.structs.replace(alert, labels=labels)


def load_run(folder: Path) -> RunResult:
    """Read a finished replay.

    Raises:
        InputError: the folder is no finished replay, or a file of it cannot be read.
    """
    if not (folder / SUMMARY).is_file():
        partial = folder.with_name(folder.name + ".partial")
        state = f": {partial} was never finished; run the same command again" if partial.exists() else ""
        msg = f"{folder} is not the folder of a finished replay{state}"
        raise InputError(msg)
    summary = _summary(folder / SUMMARY)
    alerts = []
    try:
        with (folder / ALERTS).open("rb") as file:
            for number, line in enumerate(file, 1):
                alerts.append(_alert(line, f"{folder / ALERTS}: line {number}"))
        rules_text = (folder / RULES).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{folder} cannot be read: {error}"
        raise InputError(msg) from error
    return RunResult(folder=folder, summary=summary, alerts=alerts, rules_text=rules_text)


def _alert(line: bytes, where: str) -> Alert:
    try:
        return alert_from_line(line)
    except RecordError as error:
        msg = f"{where}: {error}"
        raise InputError(msg) from error


def _summary(path: Path) -> Summary:
    try:
        summary = msgspec.json.decode(path.read_bytes(), type=Summary)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        msg = f"{path}: cannot be read: {error}"
        raise InputError(msg) from error
    if summary.format > FORMAT:
        msg = f"{path}: format {summary.format} is newer than the newest this version reads ({FORMAT}): upgrade"
        raise InputError(msg)
    return summary


def read_timeline(path: Path) -> Iterator[TimelinePoint]:
    """Yield the points of a timeline file. Raises InputError if it cannot be read."""
    decoder = msgspec.json.Decoder(TimelinePoint)
    number = 0
    try:
        with gzip.open(path, "rb") as gzipped, io.BufferedReader(cast("io.RawIOBase", gzipped), 1 << 16) as file:
            for line in file:
                number += 1
                yield decoder.decode(line)
    except (OSError, EOFError, msgspec.MsgspecError) as error:
        msg = f"{path}: line {number}: {error}"
        raise InputError(msg) from error
