"""All that is watched, as the scorer meets it: told what was scored and what the desk says, it sets the metrics.

It is called on the event loop, after a batch has been delivered, and takes about a millisecond. Whatever goes wrong in
it stays in it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

from models.errors import ModelError
from models.prediction import ModelId, Prediction, Scorer
from streams.records import Verdict
from streams.verdicts import Subject
from streams.watch import metrics
from streams.watch.drift import DriftWatch
from streams.watch.labels import LabelWatch
from streams.watch.reference import read_reference
from streams.watch.shadow import Shadow
from streams.watch.tier import AuditCounts, tiered
from streams.watch_sections import WatchSettings

_log = logging.getLogger(__name__)

_MOST_OF_A_BATCH = 64
"""Texts of a batch that drift looks at, evenly spread: under load it looks at a sample, and its costs stay bounded."""
_MOST_FAILURES = 5

Answer = Prediction | Exception


class ModelWatch:
    """Watches the model in use.

    Args:
        settings: what is watched, and how closely.
        load_challenger: loads the model of `watch.challenger`; None where there is none.
    """

    def __init__(self, settings: WatchSettings, load_challenger: Callable[[], Scorer] | None = None) -> None:
        self._settings = settings
        self._model: ModelId | None = None
        self._drift: DriftWatch | None = None
        self._labels = LabelWatch(
            remembered=settings.remembered_answers,
            window_labels=settings.window_labels,
            min_labels=settings.min_labels,
        )
        self._tier: Scorer | None = None
        self._audits = AuditCounts()
        self._failures = 0
        self._shadow: Shadow | None = None
        if load_challenger is not None and settings.share > 0:
            self._shadow = Shadow(
                load_challenger,
                settings.share,
                on_outcome=lambda outcome, texts: metrics.SHADOW_TEXTS.labels(outcome).inc(texts),
                on_divergence=lambda bits: metrics.SHADOW_DIVERGENCE.set(metrics.UNKNOWN if bits is None else bits),
                on_model=lambda model, scores: metrics.SHADOW.labels(model.name, model.version).set(scores),
            )

    @property
    def reads_verdicts(self) -> bool:
        """Whether it has any use for the desk's verdicts."""
        return self._settings.remembered_answers > 0

    def start(self) -> None:
        """Let the challenger begin, if there is one."""
        if self._shadow is not None:
            self._shadow.start()

    def stop(self) -> None:
        """Let the challenger end."""
        if self._shadow is not None:
            self._shadow.stop()

    def use(self, scorer: Scorer, folder: Path) -> None:
        """Watch another model from here on, against its own reference.

        Args:
            scorer: what answers.
            folder: the model's.
        """
        self._model = model = scorer.model
        self._tier = scorer
        self._drift = self._drift_of(model, folder)
        metrics.DRIFT_PSI.clear()
        metrics.DRIFT_EMBEDDING.set(metrics.UNKNOWN)
        metrics.DRIFT_TEXTS.set(0)
        if self._shadow is not None:
            self._shadow.champion(model)
        self._show_calibration()

    def scored(self, message_ids: Sequence[str], texts: Sequence[str], answers: Sequence[Answer]) -> None:
        """Look at a batch that has been delivered. It raises nothing: after some failures it looks no more."""
        if self._failures == _MOST_FAILURES:
            return
        try:
            self._look(message_ids, texts, answers)
            self._failures = 0
        except Exception:
            self._failures += 1
            _log.exception("the model could not be watched on a batch of %d texts", len(texts))
            if self._failures == _MOST_FAILURES:
                _log.critical("the model is watched no more, after %d failures in a row", self._failures)

    def judged(self, verdicts: Sequence[Verdict | Subject | str]) -> None:
        """Take in what the desk says.

        Args:
            verdicts: verdicts as they came; of one that has been taken back whose it was and on what, or, where that
                is not known, the id of the message.
        """
        for said in verdicts:
            if isinstance(said, str):
                self._labels.forgotten(said)
            elif isinstance(said, Subject):
                name = said.id if said.kind == "message" else f"alert {said.id}"
                self._labels.withdrawn(name, entity=said.entity, by=said.by)
            elif (outcome := self._labels.judged(said)) is not None:
                metrics.LABELS.labels(said.verdict, outcome).inc()
        self._show_calibration()

    def _look(self, message_ids: Sequence[str], texts: Sequence[str], answers: Sequence[Answer]) -> None:
        self._show_audits()
        own: list[tuple[str, str, Prediction]] = []
        for message_id, text, answer in zip(message_ids, texts, answers, strict=True):
            if isinstance(answer, Exception):
                continue
            model = _network(answer.model or self._model)
            if self.reads_verdicts and model is not None:
                self._labels.answered(message_id, answer, model)
            if model == self._model:  # a model of another language, or the one before this one, is not watched
                own.append((message_id, text, answer))
        if self._drift is not None and own:
            looked_at = own[:: -(-len(own) // _MOST_OF_A_BATCH)]
            self._drift.add([text for _, text, _ in looked_at], [answer for _, _, answer in looked_at])
            self._show_drift(self._drift)
        if self._shadow is not None:
            # What overload has cut short says nothing of the model that a challenger is to beat.
            full = [one for one in own if not one[2].degraded]
            self._shadow.offer([one[0] for one in full], [one[1] for one in full], [one[2] for one in full])

    def _drift_of(self, model: ModelId, folder: Path) -> DriftWatch | None:
        try:
            reference = read_reference(folder, model)
        except ModelError as error:
            _log.error("drift is not measured: %s", error)
            return None
        if reference is None:
            _log.warning(
                "drift is not measured, as %s has no reference: make one with "
                "`squall models reference TEXTS --model %s`",
                folder,
                folder,
            )
            return None
        if reference.embedding is None:
            _log.warning(
                "squall_drift_embedding is not measured, as the reference of %s was made before it was: make it again "
                "with `squall models reference`",
                folder,
            )
        return DriftWatch(reference, window_texts=self._settings.window_texts, min_texts=self._settings.min_texts)

    def _show_drift(self, drift: DriftWatch) -> None:
        metrics.DRIFT_TEXTS.set(drift.texts)
        for signal, index in drift.indices().items():
            metrics.DRIFT_PSI.labels(signal).set(index)
        distance = drift.distance()
        metrics.DRIFT_EMBEDDING.set(metrics.UNKNOWN if distance is None else distance)

    def _show_calibration(self) -> None:
        if self._model is None:
            return
        found = self._labels.calibration(self._model)
        metrics.CALIBRATION_LABELS.set(found.labels)
        metrics.CALIBRATION_ERROR.set(metrics.UNKNOWN if found.error is None else found.error)

    def _show_audits(self) -> None:
        tier = None if self._tier is None else tiered(self._tier)
        agreed, differed = self._audits.since(tier)
        if tier is None:
            return
        metrics.TIER_AUDITS.labels("agreed").inc(agreed)
        metrics.TIER_AUDITS.labels("differed").inc(differed)


@lru_cache(maxsize=64)
def _network(model: ModelId | None) -> ModelId | None:
    """Return the network that a model is or stands before: the first tier's version goes on after a plus sign."""
    return None if model is None else ModelId(model.name, model.version.partition("+")[0])
