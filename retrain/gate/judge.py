"""The checks of the gate, one by one. Pure: measured figures in, a verdict out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from retrain.data import Task
from retrain.gate.alerts import AlertDifference
from retrain.gate.bounds import Bounds
from retrain.gate.figures import Difference
from retrain.gate.robust import SWAP

_ROUNDING = 1e-9
"""A fall by the very bound is allowed, whatever the last binary digit says."""

Outcome = Literal["passed", "failed", "not judged"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: what.
        outcome: `not judged` is told, and neither for nor against.
        words: what was found, against what.
    """

    name: str
    outcome: Outcome
    words: str


@dataclass(frozen=True, slots=True)
class Measured:
    """All figures that the gate judges by.

    Attributes:
        macro_f1: over all rows, by head.
        before: accuracy of sentiment on the rows that were held out before this run's labels came; None without any.
        label_agreement: new labels, and the share of them that the champion agrees with; None without any.
        slices: accuracy on each slice, by head and then (name, value).
        calibration_error: of sentiment: champion's, challenger's.
        speed: texts per second: champion's, challenger's.
        consistency: by change: champion's, challenger's; None where no text could be changed.
        alerts: on a stretch of history; None where there was none.
    """

    macro_f1: Mapping[Task, Difference]
    before: Difference | None
    label_agreement: tuple[int, float] | None
    slices: Mapping[Task, Mapping[tuple[str, str], Difference]]
    calibration_error: tuple[float, float]
    speed: tuple[float, float]
    consistency: Mapping[str, tuple[float, float] | None]
    alerts: AlertDifference | None


def judge(measured: Measured, bounds: Bounds) -> list[Check]:
    """Return all checks, in the order in which people ask for them."""
    return [
        *_quality(measured, bounds),
        *_labels(measured, bounds),
        *_slices(measured, bounds),
        _calibration(measured, bounds),
        _speed(measured, bounds),
        *_robustness(measured, bounds),
        *_alerts(measured, bounds),
    ]


def passes(checks: list[Check]) -> bool:
    """Whether a challenger with these checks may become champion."""
    return all(check.outcome != "failed" for check in checks)


def _check(name: str, ok: bool, words: str) -> Check:
    return Check(name, "passed" if ok else "failed", words)


def _quality(measured: Measured, bounds: Bounds) -> Iterator[Check]:
    sentiment = measured.macro_f1["sentiment"]
    told = _told(sentiment, "macro F1")
    yield _check("better", sentiment.gain >= bounds.min_gain, f"{told}; asked for is +{100 * bounds.min_gain:.2f}")
    sure = f"the interval may reach down to {-100 * bounds.max_loss:+.2f}"
    yield _check("surely no worse", sentiment.low >= -bounds.max_loss, f"{told}; {sure}")
    topic = measured.macro_f1.get("topic")
    if topic is None:
        yield Check("topics", "not judged", "the holdout has no topics")
    else:
        allowed = f"it may fall by {100 * bounds.max_loss:.2f}"
        yield _check("topics", topic.gain >= -bounds.max_loss, f"{_told(topic, 'macro F1')}; {allowed}")


def _labels(measured: Measured, bounds: Bounds) -> Iterator[Check]:
    before, agreement = measured.before, measured.label_agreement
    if before is None:
        yield Check("no worse on older rows", "not judged", "all held-out rows came with this run")
    else:
        allowed = f"it may fall by {100 * bounds.max_loss_before:.2f}"
        ok = before.gain >= -bounds.max_loss_before
        yield _check("no worse on older rows", ok, f"{_told(before, 'accuracy')}; {allowed}")
    if agreement is None:
        yield Check("labels", "not judged", "no label is new")
        return
    count, share = agreement
    words = f"the champion agrees with {share:.0%} of {count:,} new labels; at least {bounds.min_label_agreement:.0%}"
    hint = "" if share >= bounds.min_label_agreement else ": are they right? squall labels check"
    yield _check("labels", share >= bounds.min_label_agreement, words + hint)


def _slices(measured: Measured, bounds: Bounds) -> Iterator[Check]:
    for task, slices in measured.slices.items():
        for (name, value), found in slices.items():
            called, told = f"{task}, {name} {value}", _told(found, "accuracy")
            if found.rows < bounds.min_slice_rows:
                few = f"{told}; fewer than {bounds.min_slice_rows:,} rows"
                surely_worse = found.high < -bounds.max_slice_loss
                yield (
                    Check(called, "failed", f"{few}, and all the same surely worse")
                    if surely_worse
                    else Check(called, "not judged", few)
                )
            else:
                allowed = f"it may fall by {100 * bounds.max_slice_loss:.2f}"
                yield _check(called, found.gain >= -bounds.max_slice_loss - _ROUNDING, f"{told}; {allowed}")


def _calibration(measured: Measured, bounds: Bounds) -> Check:
    champion, challenger = measured.calibration_error
    most = max(champion, bounds.max_calibration_error)
    words = f"expected calibration error {challenger:.4f}, the champion's {champion:.4f}; at most {most:.4f}"
    return _check("calibration", challenger <= most, words)


def _speed(measured: Measured, bounds: Bounds) -> Check:
    champion, challenger = measured.speed
    ratio = challenger / champion
    words = (
        f"{challenger:,.0f} texts a second, the champion {champion:,.0f}: {ratio:.2f}; at least {bounds.min_speed:.2f}"
    )
    return _check("speed", ratio >= bounds.min_speed, words)


def _robustness(measured: Measured, bounds: Bounds) -> Iterator[Check]:
    for name, found in measured.consistency.items():
        called = f"robust to {'other companies' if name == SWAP else name}"
        if found is None:
            yield Check(called, "not judged", "no text of the holdout could be changed so")
            continue
        champion, challenger = found
        least = champion - bounds.max_consistency_loss
        if name == SWAP:
            least = max(least, bounds.min_swap_consistency)
        words = f"{challenger:.1%} of sentiments stay, of the champion's {champion:.1%}; at least {least:.1%}"
        yield _check(called, challenger >= least, words)


def _alerts(measured: Measured, bounds: Bounds) -> Iterator[Check]:
    found = measured.alerts
    if found is None:
        yield Check("alerts", "not judged", "there was no stretch of history to replay")
        return
    if not found.champion and not found.challenger:
        words = f"neither model raises one on {found.mentions:,} mentions: that says nothing"
        yield Check("alerts", "not judged", words)
        return
    lost, added = len(found.difference.removed), len(found.difference.added)
    on = f"on {found.mentions:,} mentions, of the champion's {found.champion:,}"
    yield _check("alerts lost", lost <= bounds.max_alerts_lost, f"{lost:,} {on}; at most {bounds.max_alerts_lost:,}")
    on = f"on {found.mentions:,} mentions, to the champion's {found.champion:,}"
    yield _check(
        "alerts added", added <= bounds.max_alerts_added, f"{added:,} {on}; at most {bounds.max_alerts_added:,}"
    )


def _told(found: Difference, figure: str) -> str:
    interval = f"{100 * found.low:+.2f} to {100 * found.high:+.2f}"
    return (
        f"{figure} {found.challenger:.4f}, the champion's {found.champion:.4f}: {100 * found.gain:+.2f} points "
        f"({interval}) on {found.rows:,} rows"
    )
