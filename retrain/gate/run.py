"""Asks both models, and puts the verdict together."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from models.classifier import Classifier
from models.errors import TrainingDataError
from models.labels import SENTIMENTS
from retrain.data import HEADS, TASKS, Task
from retrain.datasets.assign import trust_key
from retrain.datasets.rows import LABELS, Row
from retrain.datasets.snapshot import Snapshot
from retrain.gate.alerts import compare_alerts
from retrain.gate.bounds import Bounds
from retrain.gate.figures import Answers, Difference, accuracy_difference, by_slice, macro_f1_difference
from retrain.gate.judge import Measured, judge
from retrain.gate.robust import changed_texts, consistency
from retrain.gate.verdict import Verdict
from streams.monitor import MonitorOptions, RuleSet
from streams.replay.sources.source import MentionSource

_ROUNDS = 5
_TIMED_TEXTS = 256


class Stretch:
    """A stretch of history that both models are to be replayed on.

    Args:
        source: mentions as they were scored.
        rules: the rules in force.
        options: of the monitor.
    """

    def __init__(self, source: MentionSource, rules: RuleSet, options: MonitorOptions) -> None:
        self.source = source
        self.rules = rules
        self.options = options


def run_gate(
    champion: Path,
    challenger: Path,
    snapshot: Snapshot,
    *,
    bounds: Bounds,
    at: datetime,
    trusted: Collection[str] = (),
    stretch: Stretch | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: Callable[[str], None] = lambda _: None,
) -> Verdict:
    """Judge a challenger against the champion.

    Both are loaded from their files as a worker loads them, on the same device and in the same number format.

    Args:
        champion: model folder.
        challenger: model folder.
        snapshot: the data set whose holdout is answered; neither model may have been trained on it.
        bounds: what is asked for.
        at: what time it is, UTC.
        trusted: labels of people that a champion rests on already, by `trust_key`; all other ones are new, however
            often a run has seen them. Training files are trusted.
        stretch: history for the alert difference; without it alerts are not judged.
        seed: of draws and changes.
        device: where both compute.
        progress: told what is under way.

    Raises:
        ModelFilesError: a folder is no model.
        TrainingDataError: the holdout has no sentiment rows.
        InputError, BrokerError: the history cannot be read.
    """
    holdout = {task: snapshot.of("holdout", task) for task in TASKS}
    if not holdout["sentiment"]:
        raise TrainingDataError(f"data set {snapshot.version} holds out no sentiment rows: nothing can be judged")
    models = [Classifier.load(folder, device=device) for folder in (champion, challenger)]
    progress(f"answering {sum(map(len, holdout.values())):,} held-out rows with both models")
    answers = {task: [_answers(model, rows, task) for model in models] for task, rows in holdout.items() if rows}
    texts = [row.text for row in holdout["sentiment"]]
    progress("changing texts, and asking again")
    changed = changed_texts(texts, seed=seed)
    steadiness = {one.name: [consistency(partial(_labels, model), one) for model in models] for one in changed}
    progress("measuring speed")
    speed = _speed(models, texts)
    found = None
    if stretch is not None:
        progress("replaying history with both models")
        found = compare_alerts(
            stretch.source, models[0].predict, models[1].predict, rules=stretch.rules, options=stretch.options
        )
    first, second = answers["sentiment"]
    measured = Measured(
        macro_f1={task: macro_f1_difference(*pair, seed=seed) for task, pair in answers.items()},
        before=_on_older_rows(answers["sentiment"], holdout["sentiment"], trusted, seed),
        label_agreement=_agreement(models[0], snapshot, trusted),
        slices={
            task: by_slice(one, other, [row.slices() for row in holdout[task]], seed=seed)
            for task, (one, other) in answers.items()
        },
        calibration_error=(first.calibration_error, second.calibration_error),
        speed=speed,
        consistency={
            name: None if one is None or other is None else (one, other) for name, (one, other) in steadiness.items()
        },
        alerts=found,
    )
    return Verdict(
        champion=models[0].model,
        challenger=models[1].model,
        at=at,
        data_set=snapshot.version,
        seed=seed,
        bounds=bounds,
        checks=tuple(judge(measured, bounds)),
        measured=measured,
        stretch=None if stretch is None else stretch.source.facts.text,
    )


def _on_older_rows(
    pair: Sequence[Answers], rows: Sequence[Row], trusted: Collection[str], seed: int
) -> Difference | None:
    older = [index for index, row in enumerate(rows) if row.origin != LABELS or trust_key(row) in trusted]
    if not older:
        return None
    one, other = (Answers(found.probabilities[older], found.truth[older]) for found in pair)
    return accuracy_difference(one, other, seed=seed)


def _agreement(champion: Classifier, snapshot: Snapshot, trusted: Collection[str]) -> tuple[int, float] | None:
    """How many sentiment labels are new, and the share of them that the champion agrees with: it has not seen them."""
    rows = [
        one.row
        for one in snapshot.rows
        if one.row.task == "sentiment" and one.row.origin == LABELS and trust_key(one.row) not in trusted
    ]
    if not rows:
        return None
    answers = _answers(champion, rows, "sentiment")
    return len(rows), float((answers.predicted == answers.truth).mean())


def _answers(model: Classifier, rows: Sequence[Row], task: Task) -> Answers:
    predictions = model.predict([row.text for row in rows])
    if task == "sentiment":
        probabilities = np.array([(one.negative, one.neutral, one.positive) for one in predictions])
    else:
        probabilities = np.array([one.topics for one in predictions])
    return Answers(probabilities, np.array([HEADS[task].index(row.label) for row in rows], dtype=np.int64))


def _labels(model: Classifier, texts: Sequence[str]) -> NDArray[np.int64]:
    return np.array([SENTIMENTS.index(one.label) for one in model.predict(texts)], dtype=np.int64)


def _speed(models: Sequence[Classifier], texts: Sequence[str]) -> tuple[float, float]:
    """Texts per second of either model: the middle one of some rounds, in turns, so that a busy moment hits both."""
    some = list(texts[:_TIMED_TEXTS])
    rates: list[list[float]] = [[], []]
    for model in models:
        model.predict(some)  # the first call of a shape is slower than all others
    for _ in range(_ROUNDS):
        for model, found in zip(models, rates, strict=True):
            began_s = time.perf_counter()
            model.predict(some)
            found.append(len(some) / (time.perf_counter() - began_s))
    first, second = map(median, rates)
    return first, second
