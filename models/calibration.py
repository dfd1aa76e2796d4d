"""Probabilities that mean what they say: one temperature per head, and a band of sentiments too unsure to be acted on.

Dividing the logits by a temperature makes a head surer (below 1) or less sure (above 1) and never changes which class
is the most probable. It is fitted on held-out texts by minimising the log loss: Guo, Pleiss, Sun and Weinberger, "On
Calibration of Modern Neural Networks" (2017), section 4.2. `models.reliability` measures what came of it.

A sentiment is *abstained* when its most probable class, after calibration, lies under a threshold. Such a label is
not to be acted on by itself: a reader who sorts messages by label leaves it out. The monitor works with probabilities
and not with labels, and a calibrated 0.5 is worth exactly that to it; so abstained messages count there as they are,
and how many there were stays visible.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.prediction import softmax

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.25, 4.0
"""Outside of these the rows say too little (all of them right) or the network is broken; no fit goes there."""

TEMPERATURE_DECIMALS = 4
_HALVINGS = 60


@dataclass(frozen=True, slots=True)
class HeadCalibration:
    """One head's temperature, and what it was fitted on.

    Attributes:
        temperature: what the logits are divided by.
        rows: held-out rows that it was fitted on.
        error_before: expected calibration error on them without it.
        error_after: the same with a temperature fitted on other rows: on one half of the text groups, measured on the
            other, and the other way round.
    """

    temperature: float
    rows: int = 0
    error_before: float = 0.0
    error_after: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature > 0.0):
            raise ValueError(f"a temperature must be above 0, got {self.temperature}")


@dataclass(frozen=True, slots=True)
class Calibration:
    """What stands in a model's manifest; the temperatures and the threshold decide answers, the rest is told.

    Attributes:
        sentiment, topic: the two heads.
        abstain_below: a sentiment whose most probable class lies under this is abstained; 0.0 abstains from none.
        kept_accuracy: what share of the others is right at least, as held-out rows bear out; 0.0 states nothing.
        kept_confidence: how sure that statement is.
    """

    sentiment: HeadCalibration
    topic: HeadCalibration
    abstain_below: float = 0.0
    kept_accuracy: float = 0.0
    kept_confidence: float = 0.0

    def __post_init__(self) -> None:
        for name in ("abstain_below", "kept_accuracy", "kept_confidence"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} must lie between 0 and 1, got {getattr(self, name)}")

    @property
    def deciding(self) -> tuple[float, float, float]:
        """What of it decides an answer, and so enters the model's version."""
        return self.sentiment.temperature, self.topic.temperature, self.abstain_below

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Calibration:
        """Build it from what `dataclasses.asdict` made of one.

        Raises:
            ValueError: a key is missing or unknown, or a value is impossible.
        """
        values = _numbers(cls, content, {"sentiment", "topic"})
        return cls(
            HeadCalibration(**_numbers(HeadCalibration, content["sentiment"], set())),
            HeadCalibration(**_numbers(HeadCalibration, content["topic"], set())),
            **values,
        )


def _numbers(kind: type, content: Any, nested: set[str]) -> dict[str, Any]:
    """Return the plain numbers of one object, after checking its keys."""
    names = {field.name for field in fields(kind)}
    if not isinstance(content, Mapping) or set(content) != names:
        found = ", ".join(sorted(content)) if isinstance(content, Mapping) else type(content).__name__
        raise ValueError(f"calibration needs {', '.join(sorted(names))}, got {found}")
    for name in names - nested:
        if isinstance(content[name], bool) or not isinstance(content[name], int | float):
            raise ValueError(f"calibration: {name} must be a number, got {content[name]!r}")
    return {name: content[name] for name in names - nested}


UNCALIBRATED = Calibration(HeadCalibration(1.0), HeadCalibration(1.0))
"""What a model without calibration is scored with: it changes no bit and abstains from nothing."""


def calibrate(logits: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Return logits [rows, classes] divided by the temperature; a temperature of 1 changes no bit."""
    return logits / temperature


def fit_temperature(logits: NDArray[np.float64], labels: Sequence[int] | NDArray[np.int64]) -> float:
    """Return the temperature that minimises the log loss of logits [rows, classes] against labels [rows].

    In b = 1 / temperature the log loss is convex and its slope is the mean over the rows of (what the probabilities
    expect of the logit - the logit of the label), so the one place where the slope changes its sign is found by
    halving. The result is rounded to four decimals and stays between `MIN_TEMPERATURE` and `MAX_TEMPERATURE`.

    Raises:
        ValueError: there are no rows, the shapes do not agree, or a logit is not finite.
    """
    truth = np.asarray(labels, dtype=np.int64)
    if logits.ndim != 2 or len(logits) != len(truth) or not len(truth):
        raise ValueError(f"expected logits of {len(truth)} rows (at least 1), got the shape {logits.shape}")
    if not np.isfinite(logits).all():
        raise ValueError("a logit is not finite; the network is broken")
    # Only differences between logits of a row matter; the best one as zero keeps the sums small.
    shifted = logits - logits.max(axis=1, keepdims=True)
    wanted = float(shifted[np.arange(len(truth)), truth].mean())
    low, high = math.log(1.0 / MAX_TEMPERATURE), math.log(1.0 / MIN_TEMPERATURE)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        expected = float((softmax(shifted * math.exp(middle)) * shifted).sum(axis=1).mean())
        if expected > wanted:
            high = middle
        else:
            low = middle
    return round(math.exp(-(low + high) / 2.0), TEMPERATURE_DECIMALS)


def log_loss(logits: NDArray[np.float64], labels: Sequence[int] | NDArray[np.int64]) -> float:
    """Return the mean of -log(probability of the label) over logits [rows, classes] and labels [rows], in nats."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    chosen = shifted[np.arange(len(shifted)), np.asarray(labels, dtype=np.int64)]
    return float((np.log(np.exp(shifted).sum(axis=1)) - chosen).mean())
