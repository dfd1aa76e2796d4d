"""A first tier for a finished model: it learns the model's own answers, and is proved on texts that it did not learn.

Texts are put into groups of near-duplicates (`retrain.split`) and each group goes to one side: most to learn from, some
to tune with (temperatures, the confidence, the grid of thresholds), the rest to prove the thresholds on. For tuning and
proof one text of each group counts. The labelled texts that the model was trained on are only learned from, as it
answers them more surely than others; the held-out ones are in no side, and tell what all of it is worth.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.calibration import UNCALIBRATED, calibrate
from models.classifier import Classifier
from models.errors import TrainingDataError
from models.first_tier.features import TextFeatures, hash_texts
from models.first_tier.guarantee import UNPROVED
from models.first_tier.linear import CONFIDENCE_INPUTS, HASH_BITS, LinearTier, TierWeights, confidence_inputs
from models.labels import SENTIMENTS, TOPICS
from models.prediction import softmax
from retrain.data import Example
from retrain.first_tier_proof import count_curve, fit_confidence, fit_soft_temperature
from retrain.first_tier_report import describe_tier
from retrain.first_tier_settings import TierSettings
from retrain.soft_regression import Bags, fit_regression
from retrain.split import Split, group_texts, normalise_text

LEAST_TEXTS = 200
"""Fewer on the side of proof could bear out no threshold worth having: 299 answers without an error prove 99 %."""

_ASKED_AT_ONCE = 4096
_MOST_WEIGHT = 127


@dataclass(frozen=True, slots=True)
class Held:
    """Labelled texts of the model's own training and how they were split: `retrain.split.split_examples`."""

    examples: Sequence[Example]
    split: Split


@dataclass(frozen=True, slots=True)
class MadeTier:
    """A tier and what is known of it, as plain values."""

    tier: LinearTier
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sides:
    """Texts to learn from, to tune with, and to prove on."""

    learning: list[str]
    tuning: list[str]
    proof: list[str]


def make_tier(
    folder: Path, texts: Sequence[str], held: Held | None, settings: TierSettings, progress: Callable[[str], None]
) -> MadeTier:
    """Make a first tier for the model of a folder; nothing is written.

    Args:
        folder: the model.
        texts: unlabelled ones, like those that it is going to meet.
        held: the model's own training data, which is learned from too; None does without.
        settings: how.
        progress: receives a line now and then.

    Raises:
        ModelFilesError: the folder holds no sound model.
        TrainingDataError: too few distinct texts.
    """
    classifier = Classifier.load(folder)
    calibration = classifier.manifest.calibration or UNCALIBRATED
    sides = divide(texts, held, settings)
    progress(
        f"{len(texts)} texts and their groups: {len(sides.learning)} to learn from (with those of the model's own "
        f"training), {len(sides.tuning)} to tune with, {len(sides.proof)} to prove on"
    )
    if min(len(sides.tuning), len(sides.proof)) < LEAST_TEXTS:
        raise TrainingDataError(
            f"only {len(sides.tuning)} distinct texts to tune with and {len(sides.proof)} to prove on, and each needs "
            f"{LEAST_TEXTS}; give more texts"
        )
    targets = ask(classifier, sides.learning, progress)
    weights = learn(sides.learning, targets, settings, progress)
    tuning = ask(classifier, sides.tuning, progress)
    weights = _tuned(weights, sides.tuning, tuning)
    bare = LinearTier(weights, UNPROVED, calibration)
    curve = count_curve(
        (bare.answer(sides.tuning), calibrated(tuning, calibration)),
        (bare.answer(sides.proof), calibrated(ask(classifier, sides.proof, progress), calibration)),
    )
    tier = LinearTier(weights, curve, calibration)
    facts = describe_tier(tier, classifier, held.examples if held else (), held.split.dev if held else ())
    facts["texts"] = {
        "given": len(texts),
        "learning": len(sides.learning),
        "tuning": len(sides.tuning),
        "proof": len(sides.proof),
    }
    facts["texts_per_cpu_s"] = round(_speed(tier, sides.proof))
    return MadeTier(tier, facts)


def divide(texts: Sequence[str], held: Held | None, settings: TierSettings) -> Sides:
    """Put each group of near-duplicates on one side; a group with a text of the model's training is learned from.

    A group with a held-out text is on no side.
    """
    known = [example.text for example in held.examples] if held else []
    unlabelled = list(dict.fromkeys(texts))
    groups = group_texts([*known, *unlabelled]).tolist()
    learned = {groups[at] for at in held.split.train} if held else set()
    out = {groups[at] for at in held.split.dev} if held else set()
    learning = list(dict.fromkeys(known[at] for at in held.split.train if groups[at] not in out)) if held else []
    first: dict[int, str] = {}
    for text, group in zip(unlabelled, groups[len(known) :], strict=True):
        first.setdefault(group, text)
    tuning: list[str] = []
    proof: list[str] = []
    side = {group: _unit(f"{settings.seed}:{normalise_text(text)}") for group, text in first.items()}
    for text, group in zip(unlabelled, groups[len(known) :], strict=True):
        if group in out:
            continue
        if group in learned or side[group] >= settings.tuning_share + settings.proof_share:
            learning.append(text)
        elif first[group] is text:
            (tuning if side[group] < settings.tuning_share else proof).append(text)
    return Sides(learning, tuning, proof)


def ask(
    classifier: Classifier, texts: Sequence[str], progress: Callable[[str], None]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the network's logits of both heads, before its calibration: [texts, sentiments], [texts, topics]."""
    first, second = [np.zeros((0, len(SENTIMENTS)))], [np.zeros((0, len(TOPICS)))]
    for start in range(0, len(texts), _ASKED_AT_ONCE):
        outputs = classifier.outputs(texts[start : start + _ASKED_AT_ONCE])
        first.append(np.asarray(outputs.sentiment, dtype=np.float64))
        second.append(np.asarray(outputs.topic, dtype=np.float64))
        progress(f"asked the network about {min(start + _ASKED_AT_ONCE, len(texts))} of {len(texts)} texts")
    return np.concatenate(first), np.concatenate(second)


def calibrated(
    logits: tuple[NDArray[np.float64], NDArray[np.float64]], calibration: Any
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the probabilities that the model answers with."""
    return (
        softmax(calibrate(logits[0], calibration.sentiment.temperature)),
        softmax(calibrate(logits[1], calibration.topic.temperature)),
    )


def learn(
    texts: Sequence[str],
    logits: tuple[NDArray[np.float64], NDArray[np.float64]],
    settings: TierSettings,
    progress: Callable[[str], None],
) -> TierWeights:
    """Fit both heads on the network's probabilities, and round the weights to 8 bits."""
    found = hash_texts(texts)
    numbers = (found.hashes >> np.uint64(64 - HASH_BITS)).astype(np.int64)
    chosen = _commonest(numbers, found, settings.ngrams)
    place = np.full(1 << HASH_BITS, -1, dtype=np.int64)
    place[chosen] = np.arange(len(chosen))
    items = place[numbers]
    kept = np.concatenate(([0], np.cumsum(items >= 0)))
    bags = Bags(
        items=items[items >= 0],
        starts=kept[found.starts],
        divisors=np.sqrt(np.diff(found.starts)).astype(np.float32),
    )
    fitted = fit_regression(
        bags,
        np.hstack([softmax(logits[0]), softmax(logits[1])]).astype(np.float32),
        (len(SENTIMENTS), len(TOPICS)),
        len(chosen),
        epochs=settings.epochs,
        batch_texts=settings.batch_texts,
        learning_rate=settings.learning_rate,
        dropout=settings.dropout,
        seed=settings.seed,
        progress=progress,
    )
    scales = np.maximum(np.abs(fitted.weights).max(axis=0).astype(np.float64), 1e-9) / _MOST_WEIGHT
    return TierWeights(
        ngrams=chosen.astype(np.uint32),
        weights=np.rint(fitted.weights / scales).astype(np.int8),
        scales=scales,
        bias=fitted.bias.astype(np.float64),
        confidence=np.zeros(CONFIDENCE_INPUTS),
    )


def _commonest(numbers: NDArray[np.int64], found: TextFeatures, most: int) -> NDArray[np.int64]:
    """Return the numbers, rising, of the n-grams that the most texts have, and at least two."""
    texts = np.repeat(np.arange(len(found.starts) - 1), np.diff(found.starts))
    once = np.unique((texts << HASH_BITS) | numbers) & ((1 << HASH_BITS) - 1)
    counts = np.bincount(once, minlength=1 << HASH_BITS)
    ranked = np.argsort(-counts, kind="stable")[:most]
    return np.sort(ranked[counts[ranked] > 1])


def _tuned(
    weights: TierWeights, texts: Sequence[str], logits: tuple[NDArray[np.float64], NDArray[np.float64]]
) -> TierWeights:
    """Return the weights with a temperature per head, and with a confidence, fitted on the tuning texts."""
    found = hash_texts(texts)
    raw, known = LinearTier(weights, UNPROVED).logits(found)
    heads = (slice(0, len(SENTIMENTS)), slice(len(SENTIMENTS), None))
    factors = np.ones(len(weights.bias))
    for head, wanted in zip(heads, logits, strict=True):
        factors[head] = 1.0 / fit_soft_temperature(raw[:, head], softmax(wanted))
    probabilities = [softmax(raw[:, head] * factors[head]) for head in heads]
    agree = np.logical_and.reduce(
        [mine.argmax(axis=1) == theirs.argmax(axis=1) for mine, theirs in zip(probabilities, logits, strict=True)]
    )
    return TierWeights(
        ngrams=weights.ngrams,
        weights=weights.weights,
        scales=weights.scales * factors,
        bias=weights.bias * factors,
        confidence=fit_confidence(confidence_inputs(probabilities[0], probabilities[1], known, found.words), agree),
    )


def _speed(tier: LinearTier, texts: Sequence[str]) -> float:
    """Return texts answered per second of one core's time."""
    sample = list(texts[:_ASKED_AT_ONCE])
    started = time.thread_time()
    tier.answer(sample)
    return len(sample) / max(time.thread_time() - started, 1e-9)


def _unit(text: str) -> float:
    """Return a number in [0, 1) that depends on the text alone."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "replace")).digest()[:8], "big") / 2**64
