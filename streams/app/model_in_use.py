"""The scorer's model: the configured one or the one that `squall.control` names, exchanged while the worker works."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from models.errors import ModelError
from models.files import DEFAULT_MODEL, peek_manifest
from models.prediction import ModelId, Scorer
from models.swap import SwappableScorer
from streams.app import metrics
from streams.config import Settings
from streams.errors import SquallError
from streams.models_known import find_model
from streams.records import ModelInUse as Meant
from streams.scoring.build import load_scorer, new_cache

_log = logging.getLogger(__name__)


class ModelInUse:
    """Loads the model that is meant, and exchanges it for another when told.

    Args:
        settings: the configuration.
        on_use: told each model that answers from then on, and its folder.
    """

    def __init__(self, settings: Settings, on_use: Callable[[Scorer, Path], None]) -> None:
        self._settings = settings
        self._on_use = on_use
        self.cache = new_cache(settings)
        self._scorer: SwappableScorer | None = None

    @property
    def scorer(self) -> SwappableScorer:
        """What answers."""
        if self._scorer is None:
            msg = "the model is not loaded yet: call load first"
            raise RuntimeError(msg)
        return self._scorer

    def load(self, record: Meant | None) -> SwappableScorer:
        """Load the model to begin with; this imports torch and takes seconds.

        Args:
            record: the latest on the control topic. If its model cannot be used, the configured one is, loudly: a
                worker that scores with the model of yesterday is better than none.

        Raises:
            ModelError: the configured model cannot be loaded.
            ConfigError: there is no such model.
        """
        if record is not None:
            try:
                self._use(self._folder_of(ModelId(record.name, record.version)))
            except (ModelError, SquallError, ValueError, OSError) as error:
                metrics.MODEL_SWAPS.labels("failed").inc()
                _log.critical("the model that is meant cannot be used, the configured one is: %s", error)
            else:
                return self.scorer
        self._use(self._settings.classifier.model or DEFAULT_MODEL)
        return self.scorer

    async def change(self, record: Meant) -> None:
        """Exchange the model in the background; if it cannot be used, the old one stays, loudly."""
        meant = ModelId(record.name, record.version)
        before = self.scorer.model
        if meant == before:
            return
        _log.info("loading model %s %s, as %s decided", meant.name, meant.version, record.by)
        try:
            folder = await asyncio.to_thread(self._folder_of, meant)
            await asyncio.to_thread(self.scorer.swap, lambda: self._loaded(folder), expected=meant)
        except Exception as error:  # whatever it is, the worker goes on
            metrics.MODEL_SWAPS.labels("failed").inc()
            _log.critical(
                "model %s %s cannot be used, %s %s stays: %s",
                meant.name, meant.version, before.name, before.version, error,
            )  # fmt: skip
            return
        metrics.MODEL_SWAPS.labels("done").inc()
        _show(before, 0)
        _show(meant, 1)
        _log.info("model %s %s answers from here on", meant.name, meant.version)
        self._on_use(self.scorer, folder)

    def _use(self, folder: Path) -> None:
        self._scorer = SwappableScorer(self._loaded(folder))
        _show(self._scorer.model, 1)
        self._on_use(self._scorer, folder)

    def _loaded(self, folder: Path) -> Scorer:
        return load_scorer(self._settings, folder, cache=self.cache)

    def _folder_of(self, meant: ModelId) -> Path:
        """Find a model by its version among this worker's own folders."""
        folder = find_model(meant.version, self._settings)
        found = peek_manifest(folder).model
        if found != meant:
            msg = f"{folder} is {found.name} {found.version}, not {meant.name} {meant.version}"
            raise ValueError(msg)
        return folder


def _show(model: ModelId, value: int) -> None:
    metrics.MODEL.labels(model.name, model.version).set(value)
