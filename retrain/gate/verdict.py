"""The written verdict on a challenger: Markdown for people, JSON for machines; both, whichever way it goes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from models.files import iso_utc
from models.prediction import ModelId
from retrain.gate.bounds import Bounds
from retrain.gate.judge import Check, Measured, passes
from streams.replay.differences.episodes import Episode

MARKDOWN, JSON = "VERDICT.md", "verdict.json"
_MOST_EPISODES = 20


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says.

    Attributes:
        champion: the model in use.
        challenger: the model that wants to be.
        at: when it was judged, UTC.
        data_set: version of the data set whose holdout was answered.
        seed: of draws and changes.
        bounds: what was asked for.
        checks: one by one.
        measured: the figures.
        stretch: what history was replayed, in words; None where none was.
    """

    champion: ModelId
    challenger: ModelId
    at: datetime
    data_set: str
    seed: int
    bounds: Bounds
    checks: tuple[Check, ...]
    measured: Measured
    stretch: str | None

    @property
    def promoted(self) -> bool:
        """Whether the challenger may become champion."""
        return passes(list(self.checks))

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that speak against it."""
        return tuple(check for check in self.checks if check.outcome == "failed")


def write_verdict(verdict: Verdict, folder: Path) -> None:
    """Write both files into a folder."""
    (folder / MARKDOWN).write_text(as_markdown(verdict), encoding="utf-8")
    (folder / JSON).write_text(json.dumps(as_json(verdict), indent=2) + "\n", encoding="utf-8")


def as_markdown(verdict: Verdict) -> str:
    """Return the verdict for people."""
    return "\n".join(_lines(verdict)) + "\n"


def _lines(verdict: Verdict) -> Iterator[str]:
    said = "passes the gate" if verdict.promoted else "is refused"
    yield f"# {_called(verdict.challenger)} {said}"
    yield ""
    yield f"Against the champion {_called(verdict.champion)}, {iso_utc(verdict.at)}, on the frozen holdout of data set "
    yield f"{verdict.data_set}, seed {verdict.seed}. Differences are in points, with 95 % paired bootstrap intervals."
    yield ""
    if verdict.failed:
        yield from ("What speaks against it:", "")
        yield from (f"- **{check.name}**: {check.words}" for check in verdict.failed)
        yield ""
    yield from ("| check | | found |", "|---|---|---|")
    yield from (f"| {_cell(check.name)} | {check.outcome} | {_cell(check.words)} |" for check in verdict.checks)
    found = verdict.measured.alerts
    if found is not None:
        yield ""
        yield f"History: {verdict.stretch}, {found.mentions:,} mentions. Alerts of the champion {found.champion:,}, of "
        yield f"the challenger {found.challenger:,}; {len(found.difference.shifted):,} fire at another time."
        yield from _episodes("Lost", found.difference.removed)
        yield from _episodes("Added", found.difference.added)


def _episodes(title: str, found: Sequence[Episode]) -> Iterator[str]:
    if not found:
        return
    yield from ("", f"{title}:", "")
    for one in found[:_MOST_EPISODES]:
        share = one.alert.evidence.observed.share
        yield f"- {one.fired:%Y-%m-%d %H:%M} UTC, {_cell(one.entity)}, {one.rule}, {one.severity}, {share:.0%} negative"
    if len(found) > _MOST_EPISODES:
        yield f"- and {len(found) - _MOST_EPISODES:,} more"


def as_json(verdict: Verdict) -> dict[str, Any]:
    """Return the verdict as plain values."""
    measured, alerts = verdict.measured, verdict.measured.alerts
    return {
        "promoted": verdict.promoted,
        "champion": asdict(verdict.champion),
        "challenger": asdict(verdict.challenger),
        "at": iso_utc(verdict.at),
        "data_set": verdict.data_set,
        "seed": verdict.seed,
        "bounds": asdict(verdict.bounds),
        "checks": [asdict(check) for check in verdict.checks],
        "macro_f1": {task: asdict(found) for task, found in measured.macro_f1.items()},
        "older_rows": None if measured.before is None else asdict(measured.before),
        "label_agreement": None
        if measured.label_agreement is None
        else dict(zip(("labels", "share"), measured.label_agreement, strict=True)),
        "slices": [
            {"task": task, "by": name, "value": value, **asdict(found)}
            for task, slices in measured.slices.items()
            for (name, value), found in slices.items()
        ],
        "calibration_error": dict(zip(("champion", "challenger"), measured.calibration_error, strict=True)),
        "texts_per_second": dict(zip(("champion", "challenger"), measured.speed, strict=True)),
        "consistency": {
            name: None if found is None else dict(zip(("champion", "challenger"), found, strict=True))
            for name, found in measured.consistency.items()
        },
        "alerts": None
        if alerts is None
        else {
            "history": verdict.stretch,
            "mentions": alerts.mentions,
            "champion": alerts.champion,
            "challenger": alerts.challenger,
            "lost": [one.id for one in alerts.difference.removed],
            "added": [one.id for one in alerts.difference.added],
            "shifted": [pair.new.id for pair in alerts.difference.shifted],
        },
    }


def _called(model: ModelId) -> str:
    return f"{model.name} {model.version}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
