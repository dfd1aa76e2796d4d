"""What a first tier is worth: coverage by level, and accuracy on held-out rows alone and before the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.classifier import Classifier
from models.first_tier.linear import LinearTier
from models.prediction import Prediction
from retrain.data import Example
from retrain.evaluation import Report, report_by_file

LEVELS = (0.999, 0.995, 0.99, 0.98, 0.97, 0.95, 0.9)


def describe_tier(
    tier: LinearTier, classifier: Classifier, examples: Sequence[Example], dev: Sequence[int]
) -> dict[str, Any]:
    """Return the certificates by level and, where there are held-out rows, the figures on them; plain values."""
    certificates = {level: tier.certificate(level) for level in LEVELS}
    facts: dict[str, Any] = {
        "certificates": [asdict(found) if found else {"level": level} for level, found in certificates.items()]
    }
    if dev:
        rows = [examples[at] for at in dev]
        facts["dev"] = _held_out(tier, classifier.predict([row.text for row in rows]), rows)
    return facts


def _held_out(tier: LinearTier, network: Sequence[Prediction], rows: Sequence[Example]) -> dict[str, Any]:
    answers = tier.answer([row.text for row in rows])
    theirs = (
        np.asarray([(row.negative, row.neutral, row.positive) for row in network]),
        np.asarray([row.topics for row in network]),
    )
    same = (answers.sentiment.argmax(axis=1) == theirs[0].argmax(axis=1)) & (
        answers.topic.argmax(axis=1) == theirs[1].argmax(axis=1)
    )
    apart = answers.sentiment[:, 0] - theirs[0][:, 0]
    found: dict[str, Any] = {
        "rows": len(rows),
        "network": _short(report_by_file(rows, *theirs)),
        "tier_alone": _short(report_by_file(rows, answers.sentiment, answers.topic)),
        "levels": [],
    }
    for level in LEVELS:
        certificate = tier.certificate(level)
        taken = answers.confidence >= (np.inf if certificate is None else certificate.threshold)
        entry: dict[str, Any] = {"level": level, "coverage": float(taken.mean())}
        if taken.any():
            entry |= {
                "agreement": float(same[taken].mean()),
                "deviation": float(np.abs(apart[taken]).mean()),
                "signed_deviation": float(apart[taken].mean()),
                "together": _short(report_by_file(rows, *_mixed(taken, answers.sentiment, answers.topic, theirs))),
            }
        found["levels"].append(entry)
    return found


def _mixed(
    taken: NDArray[np.bool_],
    sentiment: NDArray[np.float64],
    topic: NDArray[np.float64],
    theirs: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    chosen = taken[:, np.newaxis]
    return np.where(chosen, sentiment, theirs[0]), np.where(chosen, topic, theirs[1])


def _short(report: Report) -> dict[str, dict[str, float]]:
    """Keep accuracy and macro F1 of each head, over its files by the number of their rows."""
    short: dict[str, dict[str, float]] = {}
    for head, files in report.items():
        rows = sum(figures["rows"] for figures in files.values())
        short[head] = {
            name: sum(figures[name] * figures["rows"] for figures in files.values()) / rows
            for name in ("accuracy", "macro_f1")
        }
    return short
