"""Whether there is a reason to train: enough new labels, or drift. Pure, but for one look at a worker's metrics."""

from __future__ import annotations

import math
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from retrain.registry.audit import Entry, Step

_WITHIN_S = 10.0
_PSI = "squall_drift_psi"
_EMBEDDING = "squall_drift_embedding"
EMBEDDING = "embedding"
"""What the distance of the texts goes by among the signals of drift."""
_ENDED: tuple[Step, ...] = ("promoted", "refused", "passed")
"""Steps of a run that has looked at the labels there were."""


@dataclass(frozen=True, slots=True)
class Due:
    """Whether to train.

    Attributes:
        is_due: there is a reason.
        words: which, or what is missing.
    """

    is_due: bool
    words: str


def labels_seen(entries: Sequence[Entry]) -> int:
    """Return how many labels the last run that came to a verdict had."""
    counts = [int(entry.facts["labels"]) for entry in entries if entry.step in _ENDED and "labels" in entry.facts]
    return counts[-1] if counts else 0


def is_due(
    *,
    labels: int,
    seen: int,
    gone: int = 0,
    min_labels: int,
    drift: dict[str, float],
    max_psi: float,
    max_distance: float,
) -> Due:
    """Decide.

    Args:
        labels: settled labels there are.
        seen: how many of them the last run had.
        gone: labels that the champion rests on and nobody holds any more: taken back or changed.
        min_labels: so many new ones are a reason, and so are as many that are gone.
        drift: population stability index by signal, and of `EMBEDDING` the distance; empty where nobody measures it.
        max_psi: from here on an index is a reason, once there is a new label at all.
        max_distance: from here on the distance is one.
    """
    new = max(0, labels - seen + gone)
    drifted = {
        name: value
        for name, value in sorted(drift.items())
        if value >= (max_distance if name == EMBEDDING else max_psi)
    }
    if new >= min_labels:
        return Due(True, f"{new:,} new labels")
    if gone >= min_labels:
        return Due(True, f"{gone:,} labels of the champion were taken back or changed")
    if drifted and new:
        told = ", ".join(f"{name} {value:.2f}" for name, value in drifted.items())
        return Due(True, f"drift ({told}) and {new:,} new labels")
    missing = f"{new:,} new labels, {min_labels:,} are a reason"
    if drifted:
        return Due(False, f"there is drift, but no new label to learn from it: {missing}")
    return Due(False, missing)


def read_drift(url: str) -> dict[str, float]:
    """Return the drift that a worker shows, by signal.

    Raises:
        OSError: the worker cannot be asked.
        ValueError: the address is none, or what answers are no metrics.
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"retrain.drift_url {url!r} does not begin with http:// or https://")
    with urllib.request.urlopen(url, timeout=_WITHIN_S) as answer:  # noqa: S310 - the scheme was looked at
        text = answer.read().decode("utf-8")
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name in (_PSI, _EMBEDDING) and not math.isnan(sample.value):  # NaN: too few texts so far
                signal = EMBEDDING if sample.name == _EMBEDDING else sample.labels.get("signal", "")
                found[signal] = max(sample.value, found.get(signal, 0.0))
    return found
