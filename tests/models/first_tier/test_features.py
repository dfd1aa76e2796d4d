"""N-grams are the same in every process and on every platform, and those of a text are its own."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.first_tier.features import MOST_CHARS, hash_texts

ANY_TEXT = st.text(st.characters(), max_size=80)  # lone surrogates included


def of(text: str) -> list[int]:
    found = hash_texts([text])
    return [int(value) for value in found.hashes]


def test_hashes_are_known_values() -> None:
    # Written down once; whatever changes them makes every tier in the field worthless and needs a new FEATURES_VERSION.
    assert of("Dunmore falls 5%") == KNOWN


def test_another_process_with_another_hash_seed_has_the_same_values() -> None:
    code = "from models.first_tier.features import hash_texts; print(hash_texts(['Dunmore falls 5%']).hashes.tolist())"
    found = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONHASHSEED": "7"}, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == str(KNOWN)


@settings(deadline=None)
@given(st.lists(ANY_TEXT, max_size=6), ANY_TEXT, st.lists(ANY_TEXT, max_size=6))
def test_a_texts_n_grams_do_not_depend_on_the_other_texts(before: list[str], text: str, after: list[str]) -> None:
    found = hash_texts([*before, text, *after])
    at = len(before)
    assert found.hashes[found.starts[at] : found.starts[at + 1]].tolist() == of(text)
    assert found.words[at] == hash_texts([text]).words[0]


def test_texts_that_do_not_fit_one_chunk_are_hashed_as_if_alone() -> None:
    texts = [f"word{place} " * 300 for place in range(80)]
    together = hash_texts(texts)
    for at, text in enumerate(texts):
        assert together.hashes[together.starts[at] : together.starts[at + 1]].tolist() == of(text)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("Profit FALLS", "profit falls"),
        ("ÉLAN Übersee", "élan übersee"),
        ("up 12%", "up 98%"),
        ("see https://a.example/x", "see https://b.example/y?z=1"),
        ("a  b\n\tc", "a b c"),
        ("Smith &amp; Co", "Smith & Co"),
        ("firm’s", "firm's"),
    ],
)
def test_what_does_not_count_is_not_seen(text: str, same: str) -> None:
    assert of(text) == of(same)


@pytest.mark.parametrize(
    ("text", "other"), [("loss", "less"), ("a b", "b a"), ("ab", "a b"), ("up", "up!"), ("not good", "good not")]
)
def test_what_counts_is_seen(text: str, other: str) -> None:
    assert sorted(of(text)) != sorted(of(other))


def test_a_text_without_words_has_one_n_gram_and_no_words() -> None:
    found = hash_texts(["", "   ", "\u200b"])
    assert found.starts.tolist() == [0, 1, 2, 3]
    assert found.words.tolist() == [0, 0, 0]
    assert len(set(found.hashes.tolist())) == 1


def test_no_texts_have_no_n_grams() -> None:
    found = hash_texts([])
    assert (len(found.hashes), found.starts.tolist(), len(found.words), len(found.cut)) == (0, [0], 0, 0)


def test_longer_words_share_their_beginning() -> None:
    assert set(of("downgraded")) & set(of("downgrades")) - set(of(""))


def test_each_pictograph_is_a_word() -> None:
    assert hash_texts(["\U0001f680\U0001f680"]).words.tolist() == [2]


@pytest.mark.parametrize(
    "text", ["x" * 100_000, "go " * 100_000, "\ud800" * 5_000, "&#" + "9" * 9_000 + ";", "é" * 70_000]
)
def test_a_text_of_any_size_is_cut_and_says_so(text: str) -> None:
    found = hash_texts([text, "short"])
    assert found.words[0] <= MOST_CHARS
    assert found.cut.tolist() == [len(text) > 2 * MOST_CHARS and not text.startswith("&#"), False]


def test_hashes_are_spread_over_all_their_bits() -> None:
    found = hash_texts([f"w{chr(97 + place % 26)}{chr(97 + place // 26)}q" for place in range(676)])
    for bit in (0, 13, 31, 44, 63):
        share = np.mean((found.hashes >> np.uint64(bit)) & np.uint64(1))
        assert 0.4 < share < 0.6


KNOWN = [
    2217164318330845861,
    7612914542943789141,
    13484156920272540033,
    1017080029477601717,
    204869399708387666,
    418678279764260758,
    1136575160252542937,
    6834322201605585311,
    3801838782573851393,
    15828885993988682389,
]
