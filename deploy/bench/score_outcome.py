"""From what the contenders showed to the figures of `squall bench score`, and their JSON."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from deploy.bench.score_contenders import Answer, Contender, Kind
from models.labels import SENTIMENTS
from retrain.evaluation import evaluate_head

FP32 = "squall, torch float32"
"""What the accuracy of the others is held against."""

BOUND_POINTS: dict[Kind, float] = {"ours": 0.3, "first tier": 0.5}
"""Percentage points of accuracy under float32 beyond which a configuration of ours does not count in a ratio."""


class Missing(msgspec.Struct, frozen=True):
    """A contender that could not be measured."""

    name: str
    reason: str


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A contender's figures."""

    name: str
    messages_per_s: float
    tokens_per_s: float
    accuracy: float | None
    macro_f1: float | None
    kind: Kind
    peak_mib: float
    points_against_float32: float | None
    """Accuracy less that of our network in float32, in percentage points; None where either is unknown."""
    rounds_messages_per_s: list[float]
    about: dict[str, Any]
    """Batch size, backend, and the like."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """All figures; the JSON."""

    contenders: list[Row]
    ratio_vs_pipeline: float | None
    """Our fastest network alone, by the faster pipeline."""
    ratio_vs_best_other: float | None
    """The same, by the fastest of the other engines, pipelines left out."""
    ratio_first_tier_vs_pipeline: float | None
    ratio_cache_vs_pipeline: float | None
    best: dict[Kind, str]
    """The fastest of each kind; of ours, of those within `BOUND_POINTS`."""
    missing: list[Missing]
    data: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Run:
    """What a contender showed.

    Attributes:
        contender: who.
        seconds: for one pass over its texts, by round.
        answer: of its last turn.
        about: what it said when it was ready.
        tokens: of all its texts.
        labels: true sentiments; None where they are not known.
    """

    contender: Contender
    seconds: Sequence[float]
    answer: Answer
    about: dict[str, Any]
    tokens: int
    labels: Sequence[int] | None


def outcome(runs: Sequence[Run], missing: Sequence[Missing]) -> Outcome:
    """Return the figures: medians over the rounds, and ratios of them."""
    reference = next((_quality(run)[0] for run in runs if run.contender.name == FP32), None)
    rows = [_row(run, reference) for run in runs]
    best: dict[Kind, Row] = {}
    for row in rows:
        lost = -(row.points_against_float32 or 0.0)
        if lost > BOUND_POINTS.get(row.kind, 100.0):
            continue
        if row.kind not in best or row.messages_per_s > best[row.kind].messages_per_s:
            best[row.kind] = row

    def ratio(ours: Kind, theirs: Kind) -> float | None:
        return best[ours].messages_per_s / best[theirs].messages_per_s if ours in best and theirs in best else None

    return Outcome(
        contenders=rows,
        ratio_vs_pipeline=ratio("ours", "pipeline"),
        ratio_vs_best_other=ratio("ours", "other"),
        ratio_first_tier_vs_pipeline=ratio("first tier", "pipeline"),
        ratio_cache_vs_pipeline=ratio("cache", "pipeline"),
        best={kind: row.name for kind, row in best.items()},
        missing=list(missing),
    )


def _row(run: Run, reference: float | None) -> Row:
    messages = len(run.answer.labels)
    median_s = statistics.median(run.seconds)
    accuracy, macro_f1 = _quality(run)
    points = None
    # On the stream with reposts other texts count twice, so its accuracy is no matter of the network.
    if accuracy is not None and reference is not None and run.contender.kind != "cache":
        points = 100 * (accuracy - reference)
    return Row(
        name=run.contender.name,
        messages_per_s=messages / median_s,
        tokens_per_s=run.tokens / median_s,
        accuracy=accuracy,
        macro_f1=macro_f1,
        kind=run.contender.kind,
        peak_mib=run.answer.peak_mib,
        points_against_float32=points,
        rounds_messages_per_s=[messages / seconds for seconds in run.seconds],
        about={key: value for key, value in run.about.items() if key != "ready"} | run.answer.more,
    )


def _quality(run: Run) -> tuple[float | None, float | None]:
    """Return accuracy and macro F1 of the sentiments."""
    if run.labels is None:
        return None, None
    said = np.eye(len(SENTIMENTS))[np.asarray(run.answer.labels, dtype=np.int64)]
    report = evaluate_head(said, run.labels, SENTIMENTS)
    return report.accuracy, report.macro_f1
