"""Which model is meant: by its folder, its name or its version, among those that are there and were known in time."""

from __future__ import annotations

import logging
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from models.errors import ModelFilesError
from models.files import DEFAULT_MODEL, MANIFEST, Manifest, iso_utc, peek_manifest
from streams.config import Settings, nearest
from streams.errors import ConfigError

_log = logging.getLogger(__name__)

_LEAST_VERSION_CHARS = 6
"""Fewer characters of a version would too often mean several models, sooner or later."""


class KnownModel(NamedTuple):
    """A model folder and what its manifest says."""

    folder: Path
    manifest: Manifest

    def __str__(self) -> str:
        learned_at = self.manifest.learned_at
        learned = "learned at an unknown time" if learned_at is None else f"learned {iso_utc(learned_at)}"
        return f"{self.manifest.name} {self.manifest.version} ({learned})"


def find_model(text: str | None, settings: Settings, known_at: datetime | None = None) -> Path:
    """Return the folder of the model that is meant.

    Its other files are not looked at: loading it checks them.

    Args:
        text: a model folder, a model's name, or the first six or more characters of a version; None is the
            configured model, or the shipped one, and under `known_at` the newest that was known then.
        settings: the configuration.
        known_at: only models that were learned by then, UTC; one that does not say when it was learned is refused.

    Raises:
        ConfigError: there is no such model, several answer to the text, or it was not known then; the message names
            those there are.
        ModelFilesError: the folder that was named is no model folder.
    """
    if text is None:
        folder = settings.classifier.model or DEFAULT_MODEL
        return folder if known_at is None else _newest(known_models(settings), known_at).folder
    if Path(text).is_dir():
        found = KnownModel(Path(text), peek_manifest(Path(text)))
    else:
        found = _one_called(text, known_models(settings), known_at)
    if known_at is not None and not _was_known(found, known_at):
        msg = f"model {found} was not known at {iso_utc(known_at)}"
        if found.manifest.learned_at is None:
            msg = (
                f"{found.folder / MANIFEST} does not say when model {found.manifest.name} {found.manifest.version} was "
                f"learned (learned_at), so that it cannot be said to have been known at {iso_utc(known_at)}"
            )
        raise ConfigError(f"{msg}. {_there_are(known_models(settings))}")
    return found.folder


def known_models(settings: Settings) -> list[KnownModel]:
    """Return the shipped models, those beside the configured one, and those that were registered, each once."""
    places = [DEFAULT_MODEL.parent, settings.retrain.models]
    if settings.classifier.model is not None:
        places.append(settings.classifier.model.resolve().parent)
    found: dict[Path, KnownModel] = {}
    for place in places:
        for manifest in sorted(place.glob(f"*/{MANIFEST}")):
            folder = manifest.parent
            try:
                found.setdefault(folder.resolve(), KnownModel(folder, peek_manifest(folder)))
            except ModelFilesError as error:
                _log.warning("passed over: %s", error)
    return list(found.values())


def _one_called(text: str, models: list[KnownModel], known_at: datetime | None) -> KnownModel:
    named = [model for model in models if model.manifest.name == text]
    if len(text) >= _LEAST_VERSION_CHARS:
        named += [model for model in models if model.manifest.version.startswith(text) and model not in named]
    # Of models that share a name, those that were not known then are not meant.
    timely = [model for model in named if known_at is None or _was_known(model, known_at)] or named
    if len({model.manifest.version for model in timely}) == 1:
        return timely[0]
    if timely:
        listed = ", ".join(sorted(str(model) for model in timely))
        msg = f"{text!r} means several models: {listed}. Give the version of one"
        raise ConfigError(msg)
    hint = nearest(text, [model.manifest.name for model in models])
    short = _is_short_version(text, models)
    if short:
        hint = f"; a version needs at least its first {_LEAST_VERSION_CHARS} characters"
    msg = f"there is no model {text!r}: no folder, name or version{hint}. {_there_are(models)}"
    raise ConfigError(msg)


def _is_short_version(text: str, models: list[KnownModel]) -> bool:
    return len(text) < _LEAST_VERSION_CHARS and any(model.manifest.version.startswith(text) for model in models)


def _newest(models: list[KnownModel], known_at: datetime) -> KnownModel:
    dated = [
        (model.manifest.learned_at, model.manifest.version, model)
        for model in models
        if model.manifest.learned_at is not None and model.manifest.learned_at <= known_at
    ]
    if not dated:
        msg = f"no model says that it was learned by {iso_utc(known_at)}. {_there_are(models)}"
        raise ConfigError(msg)
    return max(dated, key=lambda entry: entry[:2])[2]


def _was_known(model: KnownModel, known_at: datetime) -> bool:
    learned_at = model.manifest.learned_at
    return learned_at is not None and learned_at <= known_at


def _there_are(models: list[KnownModel]) -> str:
    return f"There is {'; '.join(sorted(map(str, models))) or 'no model'}"
