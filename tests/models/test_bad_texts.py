"""Texts that break or slow down what reads them: each gets an answer, none costs the others theirs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import Classifier
from models.bounds import MOST_CHARACTERS, is_shortened, shorten
from models.files import DEFAULT_MODEL, TOKENIZER
from models.text import prepare
from models.tokens import TextTokenizer
from streams.ingest.normalise import normalise

MEGABYTE = 1_000_000

NO_WORDS = {
    "empty": "",
    "white space": " \t\r\n\u3000",
    "NUL bytes": "\x00" * 300,
    "control characters": "\x01\x02\x08\x1b\x7f\x9f",
    "zero-width characters": "\u200b\u200c\u200d\u2060\ufeff" * 40,
    "right-to-left marks": "\u200f\u202e\u2067\u202c" * 40,
    "a megabyte of white space": " " * MEGABYTE,
    "a megabyte of zero-width spaces": "\u200b" * MEGABYTE,
}
"""Nothing in them is for a model to read."""

ODD_WORDS = {
    "only emoji": "🙈🚀📉" * 30,
    "lone surrogates": "\ud83d" * 30 + " Larkspur " + "\ude80",
    "one token 100,000 times": "loss " * 100_000,
    "one letter a million times": "a" * MEGABYTE,
    "a megabyte of news": "Kestrel Telecom falls on weak guidance. " * 25_000,
    "a megabyte of Chinese": "银行亏损扩大" * 166_667,
    "a megabyte of accents": "a" + "\u0301" * MEGABYTE,
    "a megabyte of entities": "&amp;" * 200_000,
    "a number that Python refuses to read": "Bracken &#" + "1" * 5_000 + "; rises",
    "a megabyte of such a number": "&#" + "9" * MEGABYTE,
    "links without end": "http://a " * 110_000,
    "the tokenizer's own words": "[CLS] [SEP] [PAD] [MASK] [UNK]",
    "NUL bytes between words": "Larkspur\x00 Pharma\x00 slumps",
}

BAD = NO_WORDS | ODD_WORDS

GOOD = ["Larkspur Pharma slumps after its recall", "Kestrel Telecom raises its outlook", "shares of the bank fall"]


@pytest.fixture(scope="module")
def tiny(tiny_model: Path) -> Classifier:
    return Classifier.load(tiny_model, device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def shipped() -> Classifier:
    return Classifier.load(device="cpu", dtype="float32")


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the least of three: other processes make it more, never less."""
    spent = []
    for _ in range(3):
        before = time.process_time()
        work()
        spent.append(time.process_time() - before)
    return min(spent)


@pytest.mark.parametrize("name", BAD)
def test_each_bad_text_gets_probabilities(tiny: Classifier, name: str) -> None:
    (row,) = tiny.predict([BAD[name]])
    assert round(row.negative + row.neutral + row.positive, 4) == 1.0
    assert round(sum(row.topics), 4) == 1.0
    assert 2 <= row.tokens <= 113, "four windows of 32 tokens that share three"


def test_bad_texts_leave_the_others_of_their_batch_as_they_are(shipped: Classifier) -> None:
    alone = shipped.predict(GOOD)
    bad = list(BAD.values())
    mixed = shipped.predict([GOOD[0], *bad[:10], GOOD[1], *bad[10:], GOOD[2]])
    assert len(mixed) == len(bad) + 3
    assert [mixed[0], mixed[11], mixed[-1]] == alone


@pytest.mark.parametrize("name", NO_WORDS)
def test_a_text_without_words_is_read_as_the_empty_text(shipped: Classifier, name: str) -> None:
    empty, row = shipped.predict(["", NO_WORDS[name]])
    assert (row.tokens, row.negative, row.topics) == (2, empty.negative, empty.topics)
    assert row.truncated == is_shortened(NO_WORDS[name])


def test_what_was_left_out_of_a_long_text_is_said(tiny: Classifier) -> None:
    long = [text for text in ODD_WORDS.values() if len(text) > MOST_CHARACTERS]
    assert len(long) >= 8
    assert all(row.truncated for row in tiny.predict(long))


def test_a_text_of_many_megabytes_costs_no_more_than_one_of_a_megabyte() -> None:
    tokenizer = TextTokenizer(DEFAULT_MODEL / TOKENIZER, 256)
    sentence = "&#1;\u202eKestrel &amp; Sons falls http://example.org/x "
    one, many = (sentence * (size // len(sentence)) for size in (MEGABYTE, 32 * MEGABYTE))
    assert cpu_seconds(lambda: tokenizer([many])) < 3 * cpu_seconds(lambda: tokenizer([one])) + 0.05


@pytest.mark.parametrize("name", [name for name, text in BAD.items() if len(text) > MOST_CHARACTERS])
def test_no_content_makes_a_megabyte_dear(name: str) -> None:
    tokenizer = TextTokenizer(DEFAULT_MODEL / TOKENIZER, 256)
    # Measured at 0.02 s at most; without the bound it was 0.14 s, and grew with the text.
    assert cpu_seconds(lambda: tokenizer([BAD[name]])) < 0.1


HIDDEN = [
    *("\x00", "\x08", "\x1b", "\u00ad", "\u034f", "\u061c", "\u180e", "\u200b", "\u200c", "\u200d", "\u200e", "\u200f"),
    *("\u202a", "\u202e", "\u2060", "\u2066", "\u2069", "\ufe0f", "\ufeff", "\ufff9", "\U000e0041", "\u0301"),
]
"""What an attacker can put into a word so that people see the word and a program does not."""

FILLERS = ["\u115f", "\u1160", "\u180f", "\u2065", "\u2800", "\u3164", "\uffa0", "\U000e0000", "\U000e01f0"]
"""Invisible, and letters or symbols by their class: the shipped tokenizer keeps them, ingest takes them out."""


@pytest.mark.parametrize("mark", HIDDEN, ids=ascii)
def test_a_mark_hidden_in_a_word_does_not_change_the_shipped_models_answer(shipped: Classifier, mark: str) -> None:
    plain, hidden = shipped.predict(
        ["Larkspur plunges on fraud", f"{mark}Larkspur plun{mark}ges on fr{mark}{mark}aud{mark}"]
    )
    assert hidden == plain
    assert plain.label == "negative"


@pytest.mark.parametrize("mark", [*HIDDEN[:-1], *FILLERS], ids=ascii)
def test_ingest_leaves_no_hidden_mark_to_any_model(mark: str) -> None:
    assert normalise(f"Larkspur plun{mark}ges").text == "Larkspur plunges"


def test_an_override_of_the_direction_does_not_change_the_order_that_is_read(shipped: Classifier) -> None:
    plain, turned = shipped.predict(["profit falls at Larkspur", "\u202eprofit falls\u202c at Larkspur"])
    assert turned == plain


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=[]), max_size=200), max_size=8))
def test_any_strings_are_tokenised(tiny_model: Path, texts: list[str]) -> None:
    tokenizer = TextTokenizer(tiny_model / TOKENIZER, 32)
    assert [2 <= len(text.ids) <= 32 for text in tokenizer(texts)] == [True] * len(texts)


@given(st.text(st.characters(codec="utf-8"), max_size=300))
def test_nothing_is_taken_from_a_text_of_usual_length(text: str) -> None:
    assert shorten(text) == text
    assert not is_shortened(text)


@pytest.mark.parametrize("digits", [641, 4_300, 4_301, 60_000])
def test_a_number_of_endless_digits_becomes_one_replacement_character(digits: int) -> None:
    assert prepare(shorten("up &#" + "1" * digits + "; today")) == "up \ufffd today"
    assert prepare(shorten("up &#" + "1" * digits)) == "up \ufffd"


def test_numbers_that_name_characters_stay() -> None:
    assert prepare(shorten("&#66;racken &#38; Sons &#x1F680;")) == "Bracken & Sons 🚀"
