from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrain.methods.augment import CHANGES, augment, augmented_rows, case, links, typos
from retrain.methods.swap import Swapper
from retrain.settings_parts import AUGMENTATIONS, AugmentSettings
from streams.ingest.entities.table import Entity, EntityTable, sp500

TEXT = "$TSLA shares tumble 12.5% after recall, says @desk_42 https://news.example/Quarterly?id=7"
PROTECTED = ("$TSLA", "12.5%", "@desk_42", "https://news.example/Quarterly?id=7")


@given(st.integers(0, 10_000))
def test_a_typo_changes_words_and_nothing_that_carries_the_meaning_of_a_tag_link_or_figure(seed: int) -> None:
    found = typos(TEXT, random.Random(seed))
    for part in PROTECTED:
        assert part in found
    assert abs(len(found) - len(TEXT)) <= 5
    assert len(found.split()) == len(TEXT.split())


def test_some_typo_is_made_in_most_texts_and_none_where_no_word_is_long_enough() -> None:
    changed = sum(typos(TEXT, random.Random(seed)) != TEXT for seed in range(50))
    assert changed > 40
    assert typos("up 3% at 5 pm", random.Random(1)) == "up 3% at 5 pm"


def test_case_is_that_of_all_letters() -> None:
    assert {case("Rise", random.Random(seed)) for seed in range(20)} == {"rise", "RISE"}
    assert case("RISE", random.Random(1)) == "rise"
    assert case("123", random.Random(1)) == "123"


def test_links_and_handles_are_dropped_unless_nothing_would_be_left() -> None:
    dice = random.Random(1)
    assert links("Profit up @desk http://a.example/x www.b.example now", dice) == "Profit up now"
    assert links("https://a.example", dice) == "https://a.example"
    assert links("write to a@b.example", dice) == "write to a@b.example", "an address is no handle"


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("$AAPL falls", r"\$BRKN falls"),
        ("$aapl falls", r"\$brkn falls"),
        ("Apple and AAPL: Apple sinks", r"Bracken Motors and BRKN: Bracken Motors sinks"),
        ("APPLE RECALLS PHONES", r"BRACKEN MOTORS RECALLS PHONES"),
        ("Apple (NASDAQ:AAPL) falls", r"Bracken Motors \(NASDAQ:BRKN\) falls"),
        ("Nobody named here", r"Nobody named here"),
    ],
)
def test_a_swap_exchanges_all_that_names_a_company_in_its_own_form(text: str, pattern: str) -> None:
    table = EntityTable(
        [Entity(symbol="AAPL", name="Apple Inc.", market="US"), Entity(symbol="BRKN", name="Bracken Motors Inc.")]
    )
    assert re.fullmatch(pattern, Swapper(table)(text, random.Random(3)))


def test_two_companies_become_two_others_that_the_text_does_not_name() -> None:
    swapper = Swapper(sp500())
    for seed in range(30):
        found = swapper("$AAPL overtakes $MSFT, $AAPL cheers", random.Random(seed))
        tags = re.findall(r"\$[A-Z.]+", found)
        assert tags[0] == tags[2] != tags[1]
        assert not {"$AAPL", "$MSFT"} & set(tags)


def test_a_table_of_one_company_has_nothing_to_exchange_it_for() -> None:
    with pytest.raises(ValueError, match="at least 2 companies"):
        Swapper(EntityTable([Entity(symbol="AAPL", name="Apple Inc.")]))


@given(st.text(max_size=60), st.integers(0, 99))
def test_any_text_can_be_changed_and_no_text_becomes_empty(text: str, seed: int) -> None:
    for kind in AUGMENTATIONS:
        found = CHANGES[kind](text, random.Random(seed))
        assert bool(found.strip()) == bool(text.strip())


def test_a_text_that_one_kind_cannot_change_is_changed_by_another() -> None:
    assert augment("ab cd", ("links", "case"), random.Random(1)) == "AB CD"
    assert augment("12", ("links", "case", "typos"), random.Random(1)) == "12"


def test_about_the_share_is_changed_others_in_each_epoch_and_the_same_again_with_the_same_seed() -> None:
    texts = [f"Bracken shares rise on day {day} https://a.example/{day}" for day in range(400)]
    settings = AugmentSettings(share=0.3)
    first = augmented_rows(texts, settings, seed=5, epoch=1)
    assert 0.2 < len(first) / len(texts) < 0.4
    assert first == augmented_rows(texts, settings, seed=5, epoch=1)
    assert set(first) != set(augmented_rows(texts, settings, seed=5, epoch=2))
    assert set(first) != set(augmented_rows(texts, settings, seed=6, epoch=1))
    assert augmented_rows(texts, AugmentSettings(), seed=5, epoch=1) == {}
    part = augmented_rows(texts[:100], settings, seed=5, epoch=1)
    assert part == {index: text for index, text in first.items() if index < 100}, "a row depends on no other"
