from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import Classifier
from models.cache import CachedScorer, PredictionCache
from models.errors import LanguagesError
from models.foreign.scorer import ForeignScorer
from models.language_models import LanguageModel, load_languages, open_model
from models.languages import LanguageRouter, NoModel, primary_language
from models.prediction import Prediction, Scorer
from models.testing import FakeClassifier
from tests.models.foreign.foreign_models import write_chinese_classifier

TEXTS = ["shares of the bank fall", "银行亏损扩大", "Gewinnwarnung", "", "公司盈利上升"]
LANGUAGES = ["en", "zh", "de", "und", "zh-Hans-CN"]


@pytest.fixture(scope="module")
def scorers(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scorer]:
    chinese = write_chinese_classifier(tmp_path_factory.mktemp("languages") / "zh-news")
    return {
        "en": Classifier.load(tiny_model, device="cpu", dtype="float32"),
        "zh": ForeignScorer.load(chinese, device="cpu", dtype="float32"),
    }


def test_each_text_is_read_by_the_model_of_its_language_or_by_none(scorers: dict[str, Scorer]) -> None:
    router = LanguageRouter(scorers)
    rows = router.predict_in(TEXTS, LANGUAGES)
    assert rows[2:4] == [NoModel("de"), NoModel("und")]
    for at, language in ((0, "en"), (1, "zh"), (4, "zh")):
        row = rows[at]
        assert isinstance(row, Prediction)
        assert row.model == scorers[language].model
        (alone,) = scorers[language].predict([TEXTS[at]])
        assert (row.negative, row.tokens, row.topic) == (alone.negative, alone.tokens, alone.topic)
    assert router.languages == ("en", "zh")
    assert {model.name for model in router.models.values()} == {"tiny", "zh-news"}


def test_what_was_not_scored_is_counted_by_language(scorers: dict[str, Scorer]) -> None:
    router = LanguageRouter(scorers)
    for _ in range(2):
        router.predict_in(TEXTS, LANGUAGES)
    assert router.figures.scored == {"en": 2, "zh": 4}
    assert router.figures.unscored == {"de": 2, "und": 2}


def test_texts_of_unknown_language_go_where_that_is_wanted(scorers: dict[str, Scorer]) -> None:
    router = LanguageRouter(scorers, undetermined="en")
    (row,) = router.predict_in(["profit"], ["und"])
    assert isinstance(row, Prediction)
    assert row.model == scorers["en"].model
    assert router.predict_in(["Gewinn"], ["de"]) == [NoModel("de")]
    assert router.figures.scored == {"und": 1}
    with pytest.raises(LanguagesError, match="read as 'fr', which has no model; choose one of en, zh, or none"):
        LanguageRouter(scorers, undetermined="fr")


@pytest.mark.parametrize("language", ["EN", "en-GB", "en_US", " en "])
def test_a_tag_is_read_by_its_language(scorers: dict[str, Scorer], language: str) -> None:
    assert LanguageRouter(scorers).scorer_of(language) is scorers["en"]


@pytest.mark.parametrize("language", ["", "e", "english", "e1", "x-own", "🇬🇧", "en" * 50_000, "\x00"])
def test_what_is_no_language_is_undetermined_and_not_guessed(scorers: dict[str, Scorer], language: str) -> None:
    assert LanguageRouter(scorers).predict_in(["profit"], [language]) == [NoModel("und")]


def test_with_one_model_it_is_a_scorer_and_with_several_it_asks_for_the_language(scorers: dict[str, Scorer]) -> None:
    one: Scorer = LanguageRouter({"en": scorers["en"]})
    assert one.model == scorers["en"].model
    assert one.predict(TEXTS[:1])[0].model == one.model
    shared = LanguageRouter({"en": scorers["en"], "de": scorers["en"]})
    assert shared.model == scorers["en"].model
    several = LanguageRouter(scorers)
    with pytest.raises(LanguagesError, match="models for en, zh"):
        several.predict(TEXTS)
    with pytest.raises(LanguagesError, match="use predict_in"):
        _ = several.model


def test_a_model_of_several_languages_gets_their_texts_in_one_call() -> None:
    shared, other = FakeClassifier(), FakeClassifier(name="other")
    router = LanguageRouter({"en": shared, "de": shared, "fr": other})
    router.predict_in(["a", "b", "c", "d"], ["en", "fr", "de", "en"])
    assert (shared.calls, other.calls) == ([3], [1])
    assert [route.positions for route in router.routes(["en", "fr", "xx", "de"])] == [(0, 3), (1,)]


def test_a_cache_shared_by_languages_keeps_their_answers_apart(scorers: dict[str, Scorer]) -> None:
    cache = PredictionCache(100)
    router = LanguageRouter({language: CachedScorer(scorer, cache) for language, scorer in scorers.items()})
    first = router.predict_in(["ACME", "ACME"], ["en", "zh"])
    again = router.predict_in(["ACME", "ACME"], ["en", "zh"])
    assert [row.model for row in first if isinstance(row, Prediction)] == [scorers[name].model for name in ("en", "zh")]
    assert [row.model for row in again if isinstance(row, Prediction)] == [scorers[name].model for name in ("en", "zh")]
    assert [row.cached for row in again if isinstance(row, Prediction)] == [True, True]


def test_calls_that_make_no_sense_are_refused(scorers: dict[str, Scorer]) -> None:
    router = LanguageRouter(scorers)
    assert router.predict_in([], []) == []
    with pytest.raises(ValueError, match="2 texts, and 1 languages"):
        router.predict_in(["a", "b"], ["en"])
    with pytest.raises(TypeError, match="one string"):
        router.predict_in("ab", ["en", "en"])
    with pytest.raises(LanguagesError, match="no language has a model"):
        LanguageRouter({})
    for code in ("EN", "english", "", "zh-CN", "und"):
        with pytest.raises(LanguagesError):
            LanguageRouter({code: FakeClassifier()})


def test_counts_of_many_threads_add_up() -> None:
    router = LanguageRouter({"en": FakeClassifier()})
    threads = [threading.Thread(target=router.predict_in, args=(["a", "b"] * 50, ["en", "xx"] * 50)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (router.figures.scored, router.figures.unscored) == ({"en": 400}, {"xx": 400})


@given(st.lists(st.tuples(st.text(max_size=9), st.sampled_from(["en", "zh", "de", "und", "EN-us"])), max_size=20))
def test_answers_come_in_the_order_of_the_texts(pairs: list[tuple[str, str]]) -> None:
    doubles = {"en": FakeClassifier(name="en"), "zh": FakeClassifier(name="zh")}
    router = LanguageRouter(doubles)
    rows = router.predict_in([text for text, _ in pairs], [language for _, language in pairs])
    assert len(rows) == len(pairs)
    for row, (text, language) in zip(rows, pairs, strict=True):
        code = primary_language(language)
        if code in doubles:
            assert isinstance(row, Prediction)
            assert row.model == doubles[code].model
            assert row.negative == doubles[code].predict([text])[0].negative
        else:
            assert row == NoModel(code)


def test_a_table_of_folders_becomes_a_router(tiny_model: Path, tmp_path: Path) -> None:
    chinese = write_chinese_classifier(tmp_path / "zh", ("LABEL_0", "LABEL_1", "LABEL_2"))
    told = {"negative": "LABEL_0", "neutral": "LABEL_1", "positive": "LABEL_2"}
    table = {
        "en": LanguageModel(str(tiny_model)),
        "de": LanguageModel(str(tiny_model)),
        "zh": LanguageModel(str(chinese), told, max_length=16),
    }
    opened: list[LanguageModel] = []

    def open_one(wanted: LanguageModel) -> Scorer:
        opened.append(wanted)
        return open_model(wanted, device="cpu", dtype="float32")

    router = load_languages(table, open_one, undetermined="en")
    assert opened == [table["en"], table["zh"]]
    assert router.scorer_of("en") is router.scorer_of("de")
    (row,) = router.predict_in(["银行亏损" * 9], ["zh"])
    assert isinstance(row, Prediction)
    assert (row.tokens, row.truncated, row.topic) == (16, True, "unknown")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "LABEL_0, LABEL_1"),
        ({"model": "/no/such/folder"}, "no such folder"),
        ({"model": "kestrel/finbert"}, "allow the download"),
        ({"max_length": 9_999, "labels": {"negative": "LABEL_0", "neutral": "none", "positive": "LABEL_1"}}, "3 to 64"),
    ],
    ids=str,
)
def test_a_model_that_cannot_be_used_is_told_with_its_language(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    folder = write_chinese_classifier(tmp_path / "zh", ("LABEL_0", "LABEL_1"))
    wanted = LanguageModel(**({"model": str(folder)} | changes))
    with pytest.raises(LanguagesError, match="the model for zh cannot be used") as caught:
        load_languages({"zh": wanted})
    assert words in str(caught.value)


def test_a_model_of_squall_takes_no_labels(tiny_model: Path) -> None:
    wanted = LanguageModel(str(tiny_model), {"negative": "a", "neutral": "b", "positive": "c"})
    with pytest.raises(LanguagesError, match="leave labels and topics out"):
        open_model(wanted)


def test_the_shipped_model_goes_by_its_name() -> None:
    scorer = open_model(LanguageModel("shipped"), device="cpu")
    assert scorer.model.name == "squall-minilm-v1"
