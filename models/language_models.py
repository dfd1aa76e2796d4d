"""Which model reads which language, as a configuration says it, and how these models are opened.

    en: shipped
    de: /srv/models/german                  # a folder of Squall, or of Hugging Face with labels that speak
    zh:
      model: /srv/models/chinese
      labels: {negative: LABEL_2, neutral: LABEL_1, positive: LABEL_0}
      max_length: 256
      topics:                               # optional; without it their topic is unknown
        model: /srv/models/chinese-topics
        labels: {earnings: 业绩, legal: [诉讼, 监管], general-news: 其他}

Importing this loads no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import LanguagesError, ModelError
from models.files import MANIFEST
from models.languages import LanguageRouter, check_code
from models.prediction import Scorer

SHIPPED = "shipped"
"""What a configuration calls the model that ships with Squall."""

_KEYS = ("model", "labels", "max_length", "topics")
_TOPIC_KEYS = ("model", "labels")


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """One model as a configuration names it.

    Attributes:
        model: `shipped`, a folder, or a name on the Hugging Face Hub.
        labels: what a foreign model's labels mean; None: they say it themselves.
        max_length: tokens of a text that are read; None is the model's own limit.
        topic_model: a second foreign model, for topics.
        topic_labels: what its labels mean.
    """

    model: str
    labels: Mapping[str, Any] | None = None
    max_length: int | None = None
    topic_model: str | None = None
    topic_labels: Mapping[str, Any] | None = None


def parse_languages(table: object) -> dict[str, LanguageModel]:
    """Return the models by language that a configuration's table names; nothing is opened.

    Raises:
        LanguagesError: a key or a value cannot be what it says; the message names it.
    """
    if not isinstance(table, Mapping) or not table:
        raise LanguagesError("must be a table from languages to models, such as {en: shipped, zh: /srv/models/chinese}")
    return {check_code(language): _parse_model(str(language), value) for language, value in table.items()}


def open_model(
    wanted: LanguageModel,
    *,
    device: str = "auto",
    dtype: str = "auto",
    backend: str = "torch",
    max_tokens_per_batch: int = 2048,
    allow_download: bool = False,
) -> Scorer:
    """Open a model: a folder of Squall by its manifest, anything else as one of Hugging Face (on torch).

    Args:
        wanted: which one.
        device, dtype, max_tokens_per_batch: as `Classifier.load` takes them.
        backend: what computes a model of Squall.
        allow_download: the Hub may be asked for what is no folder.

    Raises:
        ModelError: it cannot be opened; the message says why and what to do.
        ValueError: `max_length` does not suit the model.
    """
    limits: dict[str, Any] = {
        "device": device,
        "dtype": dtype,
        "max_length": wanted.max_length,
        "max_tokens_per_batch": max_tokens_per_batch,
    }
    folder = None if wanted.model == SHIPPED else Path(wanted.model).expanduser()
    if folder is None or (folder / MANIFEST).is_file():
        if wanted.labels is not None or wanted.topic_model is not None:
            raise LanguagesError(
                f"{wanted.model}: a model of Squall has sentiments and topics by itself; leave labels and topics out"
            )
        from models.classifier import Classifier

        return Classifier.load(folder, backend=backend, **limits)
    from models.foreign.scorer import ForeignScorer

    return ForeignScorer.load(
        wanted.model,
        labels=wanted.labels,
        topic_path=wanted.topic_model,
        topic_labels=wanted.topic_labels,
        allow_download=allow_download,
        **limits,
    )


def load_languages(
    table: Mapping[str, LanguageModel],
    open_one: Callable[[LanguageModel], Scorer] = open_model,
    *,
    undetermined: str | None = None,
) -> LanguageRouter:
    """Open the models of a table and return their router; one that stands under several languages is opened once.

    Args:
        table: as `parse_languages` returns it.
        open_one: opens a model; `functools.partial(open_model, device=...)`, with a cache around it, or otherwise.
        undetermined: whose model reads texts of which the language is not known; None: they are not scored.

    Raises:
        LanguagesError: a model cannot be opened; the message begins with its languages.
    """
    opened: list[tuple[LanguageModel, Scorer]] = []
    scorers: dict[str, Scorer] = {}
    for language, wanted in table.items():
        known = next((scorer for model, scorer in opened if model == wanted), None)
        if known is None:
            try:
                known = open_one(wanted)
            except (ModelError, ValueError) as error:
                raise LanguagesError(f"the model for {language} cannot be used: {error}") from error
            opened.append((wanted, known))
        scorers[language] = known
    return LanguageRouter(scorers, undetermined=undetermined)


def _parse_model(language: str, value: object) -> LanguageModel:
    if isinstance(value, (str, Path)):
        return LanguageModel(_model(language, value))
    if not isinstance(value, Mapping):
        raise LanguagesError(f"{language}: must be a model, or a table with the keys {', '.join(_KEYS)}; got {value!r}")
    _check_keys(language, value, _KEYS)
    length = value.get("max_length")
    if length is not None and (isinstance(length, bool) or not isinstance(length, int) or length < 1):
        raise LanguagesError(f"{language}.max_length: must be a number of tokens, got {length!r}")
    topics = value.get("topics")
    if topics is None:
        topics = {}
    elif isinstance(topics, (str, Path)):
        topics = {"model": topics}
    elif not isinstance(topics, Mapping):
        raise LanguagesError(f"{language}.topics: must be a model, or a table with model and labels; got {topics!r}")
    if topics:
        _check_keys(f"{language}.topics", topics, _TOPIC_KEYS)
    return LanguageModel(
        _model(f"{language}.model", value.get("model")),
        _labels(f"{language}.labels", value.get("labels")),
        length,
        _model(f"{language}.topics.model", topics.get("model")) if topics else None,
        _labels(f"{language}.topics.labels", topics.get("labels")),
    )


def _check_keys(where: str, value: Mapping[Any, Any], known: tuple[str, ...]) -> None:
    strange = [str(key) for key in value if key not in known]
    if strange:
        raise LanguagesError(f"{where}: unknown key {', '.join(strange)}; known are {', '.join(known)}")


def _model(where: str, value: object) -> str:
    if not isinstance(value, (str, Path)) or not str(value).strip():
        raise LanguagesError(f"{where}: must be a folder, {SHIPPED}, or a name on the Hugging Face Hub; got {value!r}")
    return str(value).strip()


def _labels(where: str, value: object) -> Mapping[str, Any] | None:
    if value is not None and not isinstance(value, Mapping):
        raise LanguagesError(f"{where}: must be a table from our names to the model's labels, got {value!r}")
    return value
