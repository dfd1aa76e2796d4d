"""The language comes from the publisher, the script, or the model; and is `und` where nothing is sure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.ingest.language import LANGUAGES, LanguageDetector, declared_language


@pytest.fixture(scope="module")
def detector() -> LanguageDetector:
    return LanguageDetector()


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("en", "en"), ("EN-us", "en"), ("zh-Hans-CN", "zh"), ("pt_BR", "pt"), ("iw", "he"), (" de ", "de"),
        ("und", None), ("zxx", None), ("qme", None), ("english", None), ("", None), (None, None), ("e", None),
        ("1", None), ("en-", None),
    ],
)  # fmt: skip
def test_a_declared_language_is_reduced_to_its_primary_code(tag: str | None, expected: str | None) -> None:
    assert declared_language(tag) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Acme Widgets shares fall after the company cuts its outlook for the year", "en"),
        ("Die Aktie von Acme fällt nach einer Gewinnwarnung deutlich", "de"),
        ("Las acciones de Acme caen tras el recorte de previsiones", "es"),
        ("L'action Acme chute après un avertissement sur résultats", "fr"),
        ("Акции рухнули, инвесторы были недовольны новым отчётом", "ru"),
        ("云海钢铁公告称业绩下滑", "zh"),
        ("$ACME Acme 财报不及预期，股价大跌", "zh"),
        ("アクメ電機の株価が大幅に下落した", "ja"),
        ("애크미 주가가 급락했다", "ko"),
        ("补仓", "zh"),
    ],
)
def test_the_language_of_a_sentence_is_found(detector: LanguageDetector, text: str, expected: str) -> None:
    assert detector.detect(text) == expected


@pytest.mark.parametrize("text", ["", "$ACME $BLX 5.2% @desk", "lol", "📉📉📉", "12,345,678 10.5", "Q"])
def test_a_text_without_enough_words_is_undetermined(detector: LanguageDetector, text: str) -> None:
    assert detector.detect(text) == "und"


def test_a_declared_language_wins_and_an_invalid_one_does_not(detector: LanguageDetector) -> None:
    text = "Die Aktie von Acme fällt nach einer Gewinnwarnung deutlich"
    assert detector.detect(text, declared="sv-SE") == "sv"
    assert detector.detect(text, declared="und") == "de"
    assert detector.detect(text, declared="???") == "de"


def test_more_confidence_asked_for_is_more_undetermined() -> None:
    text = "Acme Widgets raises its outlook"
    assert LanguageDetector(min_confidence=1.0).detect(text) == "und"
    with pytest.raises(ValueError, match="min_confidence"):
        LanguageDetector(min_confidence=1.5)


@given(text=st.text(max_size=200))
def test_any_text_has_a_known_language_and_the_same_one_twice(detector: LanguageDetector, text: str) -> None:
    found = detector.detect(text)
    assert found in {*LANGUAGES, "und"}
    assert detector.detect(text) == found
