"""Tokens become words, and each word lies on the characters that the reader sees."""

from __future__ import annotations

import pytest

from models.explain import Explainer
from models.explain.explanation import Word, group_words
from models.spans import align
from models.tokens import Place


@pytest.fixture(scope="module")
def shipped() -> Explainer:
    return Explainer.load(device="cpu", tolerance=10.0, most_steps=1)  # places are at stake here, not amounts


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("$OSTM plunges 12%!", ["$OSTM", "plunges", "12%", "!"]),
        ("🙈🙈 $KTLC falls 🙈", ["🙈🙈", "$KTLC", "falls", "🙈"]),
        ("公司股价下跌 S&amp;P", ["公", "司", "股", "价", "下", "跌", "S&amp;P"]),
        ("see https://t.co/aB9x now", ["see", "https://t.co/aB9x", "now"]),
        ("Moody's cuts\n\n 1,200.50 …", ["Moody's", "cuts", "1,200.50", "…"]),
        ("naïve cafe\u0301", ["naïve", "cafe\u0301"]),
        ("zero\u200bwidth \u202eright", ["zero\u200bwidth", "right"]),
        ("&lt;b&gt;up&lt;/b&gt;", ["&lt;", "b", "&gt;", "up", "&lt;", "/", "b", "&gt;"]),
        ("[MASK] [CLS]", ["[MASK]", "[CLS]"]),
        ("\ud800 loss", ["\ud800", "loss"]),
    ],
)
def test_words_lie_on_the_characters_that_were_given(shipped: Explainer, text: str, words: list[str]) -> None:
    found = shipped.explain(text)
    assert [word.text for word in found.words] == words
    at = 0
    for word in found.words:
        assert word.start == text.index(word.text, at)
        assert text[word.start : word.end] == word.text
        at = word.end


def test_a_negative_word_of_a_negative_headline_stands_out() -> None:
    found = Explainer.load(device="cpu").explain("Kestrel Telecom plunges to a record low")
    assert found.label == "negative"
    assert found.probability > 0.8
    assert found.strongest[0].text == "plunges"
    assert found.strongest[0].contribution > 1.0


def test_a_space_that_a_tokenizer_counts_to_the_next_word_is_left_out() -> None:
    places = [Place(0, 4, 0), Place(4, 5, 1), Place(4, 9, 1), Place(9, 9, None)]
    assert group_words(align("bank fell"), places) == [Word(0, 4, (0,)), Word(5, 9, (2,))]


def test_tokens_that_share_an_original_stretch_are_one_word() -> None:
    aligned = align("a &fjlig;")
    assert aligned.text == "a fj"
    places = [Place(0, 1, 0), Place(2, 3, 1), Place(3, 4, 2)]
    assert group_words(aligned, places) == [Word(0, 1, (0,)), Word(2, 9, (1, 2))]


def test_bytes_of_one_character_are_one_word() -> None:
    assert group_words(align("☃"), [Place(0, 1, 0), Place(0, 1, 1), Place(0, 1, 2)]) == [Word(0, 1, (0, 1, 2))]
