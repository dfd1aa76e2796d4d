"""A model per language: each text goes to the model of its language, and to no other one.

A model that never saw a language still answers in it, with numbers that look like any others. So a text in a language
without a model gets no numbers: it is returned as `NoModel`, counted, and the caller's to keep.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from models.errors import LanguagesError
from models.prediction import ModelId, Prediction, Scorer

UNDETERMINED = "und"
"""ISO 639-2 for a text whose language is not known."""

_CODE = re.compile(r"[a-z]{2,3}")


@dataclass(frozen=True, slots=True)
class NoModel:
    """There is no model for the language of a text; it was not scored."""

    language: str


@dataclass(frozen=True, slots=True)
class LanguageFigures:
    """Texts by language since the router was made."""

    scored: dict[str, int]
    unscored: dict[str, int]


@dataclass(frozen=True, slots=True)
class Route:
    """The texts of a batch that one model answers: their positions, in order."""

    scorer: Scorer
    positions: tuple[int, ...]


class LanguageRouter:
    """Sends texts to the model of their language. Thread-safe, if the scorers are.

    It is a `models.prediction.Scorer` where it has one model, for callers whose texts are all in its language.

    Args:
        scorers: by ISO 639 code, such as `en`; a model of several languages stands under each of them.
        undetermined: whose model reads texts of which the language is not known (`und`); None: they are not scored.

    Raises:
        LanguagesError: there is no model, or none for `undetermined`, or a code is no language's.
    """

    def __init__(self, scorers: Mapping[str, Scorer], *, undetermined: str | None = None) -> None:
        if not scorers:
            raise LanguagesError("no language has a model; name one at least, such as en")
        for language in scorers:
            check_code(language)
        if undetermined is not None and undetermined not in scorers:
            known = ", ".join(sorted(scorers))
            raise LanguagesError(
                f"texts without a known language shall be read as {undetermined!r}, which has no model; "
                f"choose one of {known}, or none"
            )
        self._scorers = dict(scorers)
        self._undetermined = undetermined
        self._counts: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
        self._lock = threading.Lock()

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that have a model, by name."""
        return tuple(sorted(self._scorers))

    @property
    def models(self) -> dict[str, ModelId]:
        """Which model answers in each language."""
        return {language: self._scorers[language].model for language in self.languages}

    @property
    def figures(self) -> LanguageFigures:
        """How many texts `predict_in` had in each language, scored and not; `und` is counted as such."""
        with self._lock:
            return LanguageFigures(dict(self._counts[True]), dict(self._counts[False]))

    def scorer_of(self, language: str) -> Scorer | None:
        """Return the model that reads texts of this language (`zh`, `zh-Hans-CN`, `und`), or None."""
        code = primary_language(language)
        if code == UNDETERMINED:
            return None if self._undetermined is None else self._scorers[self._undetermined]
        return self._scorers.get(code)

    def routes(self, languages: Sequence[str]) -> list[Route]:
        """Return which model is to read which texts; positions that are in no route have no model.

        For callers that score in their own way, such as text by text after an error; `predict_in` is the plain one.
        """
        by_scorer: dict[int, tuple[Scorer, list[int]]] = {}
        for position, language in enumerate(languages):
            scorer = self.scorer_of(language)
            if scorer is not None:
                by_scorer.setdefault(id(scorer), (scorer, []))[1].append(position)
        return [Route(scorer, tuple(positions)) for scorer, positions in by_scorer.values()]

    def predict_in(self, texts: Sequence[str], languages: Sequence[str]) -> list[Prediction | NoModel]:
        """Return for each text the prediction of its language's model, or that there is none; in order.

        Each prediction says which model it comes from.

        Args:
            texts: any strings.
            languages: the language of each; what is no language's code counts as `und`.

        Raises:
            ValueError: there are not as many languages as texts.
        """
        if isinstance(texts, str):
            raise TypeError("predict_in takes a list of texts, got one string; write predict_in([text], [language])")
        if len(texts) != len(languages):
            raise ValueError(f"{len(texts)} texts, and {len(languages)} languages; each text needs its own")
        answers: list[Prediction | NoModel] = [NoModel(primary_language(language)) for language in languages]
        for route in self.routes(languages):
            predictions = _stamped(route.scorer, [texts[at] for at in route.positions])
            for position, prediction in zip(route.positions, predictions, strict=True):
                answers[position] = prediction
        with self._lock:
            for language, answer in zip(languages, answers, strict=True):
                self._counts[isinstance(answer, Prediction)][primary_language(language)] += 1
        return answers

    @property
    def model(self) -> ModelId:
        """The model, where there is one. Raises LanguagesError where there are several."""
        return self._only().model

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Return one prediction per text, all by the one model: the texts are taken to be in its language.

        Raises:
            LanguagesError: there are several models; say the language of each text to `predict_in`.
        """
        return _stamped(self._only(), texts)

    def _only(self) -> Scorer:
        if len({id(scorer) for scorer in self._scorers.values()}) > 1:
            raise LanguagesError(
                f"there are models for {', '.join(self.languages)}: the language of each text decides; use predict_in"
            )
        return next(iter(self._scorers.values()))


def primary_language(tag: str) -> str:
    """Return the language of a BCP 47 tag (`zh-Hans-CN` -> `zh`), or `und` if it names none."""
    code = re.split(r"[-_]", tag.strip(), maxsplit=1)[0].lower()
    return code if _CODE.fullmatch(code) else UNDETERMINED


def check_code(language: object) -> str:
    """Return a language's code as it has to be written.

    Raises:
        LanguagesError: it is none, or no language's.
    """
    if isinstance(language, bool):  # YAML 1.1 takes a bare `no` for false, and Norwegian is a language
        raise LanguagesError("a language reads as yes or no; write its code in quotes, such as 'no' for Norwegian")
    if not isinstance(language, str) or not _CODE.fullmatch(language):
        raise LanguagesError(f"{language!r} is no language's code; use ISO 639 in lower case, such as en or zh")
    if language == UNDETERMINED:
        raise LanguagesError("und is no language; say whose model reads texts of unknown language by undetermined")
    return language


def _stamped(scorer: Scorer, texts: Sequence[str]) -> list[Prediction]:
    """Return the scorer's answers, each with its model."""
    model = scorer.model
    return [
        answer if answer.model is not None else replace(answer, model=model)
        for answer in (scorer.predict(texts) if texts else [])
    ]
