"""Scores for texts, whatever goes wrong with one of them: each gets its answer or its own error."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from models.languages import LanguageRouter, Route
from models.prediction import Prediction, Scorer, predict_quickly

_log = logging.getLogger(__name__)


def score_in_languages(
    scorer: Scorer, texts: Sequence[str], languages: Sequence[str], *, quickly: Sequence[bool] | None = None
) -> list[Prediction | Exception]:
    """Score texts, each by the model of its language; one that cannot be scored gets its error.

    Args:
        scorer: the classifier, or a `LanguageRouter` of several.
        texts: any strings.
        languages: the language of each.
        quickly: for each, whether a quick answer will do; None is no for all.

    Raises:
        Exception: a classifier scores nothing at all: it is broken, and the texts are not to blame.
    """
    routes = [Route(scorer, tuple(range(len(texts))))]
    if isinstance(scorer, LanguageRouter):
        routes = scorer.routes(languages)
    answers: list[Prediction | Exception | None] = [None] * len(texts)
    for route in routes:
        for quick in (False, True):
            places = [at for at in route.positions if (quickly is not None and quickly[at]) is quick]
            found = score_texts(route.scorer, [texts[at] for at in places], quickly=quick)
            for at, answer in zip(places, found, strict=True):
                answers[at] = answer
    return [
        LookupError(f"no model reads a text in {language!r}") if answer is None else answer
        for answer, language in zip(answers, languages, strict=True)
    ]


def score_texts(scorer: Scorer, texts: Sequence[str], *, quickly: bool = False) -> list[Prediction | Exception]:
    """Score texts; one that the classifier cannot score gets its error, and the others their scores.

    Args:
        scorer: the classifier.
        texts: any strings.
        quickly: the scorer's quick answers will do, as it is overloaded.

    Raises:
        Exception: the classifier scores nothing at all: it is broken, and the texts are not to blame.
    """
    if not texts:
        return []
    try:
        return list(predict_quickly(scorer, texts) if quickly else scorer.predict(texts))
    except Exception as error:
        _log.warning("a batch of %d could not be scored (%r); trying its messages one by one", len(texts), error)
    return _one_by_one(scorer, texts)


def _one_by_one(scorer: Scorer, texts: Sequence[str]) -> list[Prediction | Exception]:
    results: list[Prediction | Exception] = []
    last: Exception | None = None
    for text in texts:
        try:
            results.append(scorer.predict([text])[0])
        except Exception as error:
            results.append(error)
            last = error
    if last is not None and all(isinstance(result, Exception) for result in results) and not _works(scorer):
        raise last
    return results


def _works(scorer: Scorer) -> bool:
    try:
        scorer.predict(["The company reported its results."])
    except Exception:
        _log.exception("the classifier scores not even a plain sentence")
        return False
    return True
