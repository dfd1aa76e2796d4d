from __future__ import annotations

import random

import pytest

from retrain.data import Example
from retrain.split import fingerprints, group_texts, normalise_text, split_examples

BASE = "Ironfield Steel closes its oldest furnace and moves two hundred jobs to the coast next spring"


def examples(texts: list[str], task: str = "topic") -> list[Example]:
    return [Example(text, task, 0, "file.csv", line) for line, text in enumerate(texts, 2)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "twin",
    [
        BASE + " https://t.example/a1B2",
        BASE.upper(),
        "@desk " + BASE + " &amp;",
        BASE.replace("two hundred", "300"),
        "Update: " + BASE,
    ],
)
def test_reposts_and_one_changed_word_fall_into_one_group(twin: str) -> None:
    first, second, third = group_texts([BASE, twin, "Ironfield Steel names a new head of finance"]).tolist()
    assert first == second != third


def test_likeness_is_carried_along_a_chain() -> None:
    words = [f"word{index}" for index in range(24)]
    chain = [" ".join(words[start : start + 12]) for start in range(0, 13, 2)]
    assert len(set(group_texts(chain).tolist())) == 1
    assert len(set(group_texts([chain[0], chain[-1]]).tolist())) == 2


def test_a_fingerprint_stands_for_its_text() -> None:
    pick = random.Random(3)
    words = [f"w{index}" for index in range(30)]
    texts = [" ".join(pick.choices(words, k=pick.randint(2, 9))) for _ in range(120)]
    texts += [f"{text} {pick.choice(words)}" for text in texts]
    with_texts = group_texts(texts).tolist()
    with_some = group_texts(texts[:70], fingerprints(texts[70:])).tolist()
    same_groups = {(one, other) for one, other in zip(with_texts, with_some, strict=True)}
    assert len(same_groups) == len(set(with_texts)) == len(set(with_some))
    assert fingerprints(["one", ""]) == [(), ()]


def test_texts_that_are_empty_once_normalised_share_a_group() -> None:
    assert normalise_text("@you https://t.example/x !!") == ""
    assert len(set(group_texts(["@you !!", "https://t.example/x", "..."]).tolist())) <= 2


def test_no_group_stands_on_both_sides_and_no_text_twice_in_development() -> None:
    pick = random.Random(1)
    words = [f"w{index}" for index in range(400)]
    stems = [" ".join(pick.sample(words, 14)) for _ in range(150)]
    texts = [stem + suffix for stem in stems for suffix in ("", " https://t.example/1", " end")]
    rows = examples(texts)
    split = split_examples(rows, 0.3, seed=9)
    groups = group_texts(texts)
    in_train, in_dev = {groups[index] for index in split.train}, [groups[index] for index in split.dev_firsts]
    assert not in_train & {groups[index] for index in split.dev}
    assert len(in_dev) == len(set(in_dev))
    assert set(in_dev) == {groups[index] for index in split.dev}
    told = [normalise_text(texts[index]) for index in split.dev]
    assert len(told) == len(set(told)) == 2 * len(in_dev), "a link makes no other text, another word does"
    assert len(split.train) + len(split.dev) + split.dev_duplicates == len(texts)
    assert split.groups == 150
    assert 0.15 < len(in_dev) / split.groups < 0.45


def test_a_text_keeps_its_side_when_rows_are_shuffled_and_moves_with_the_seed() -> None:
    rows = examples([f"company {index} does thing {index * 7} at place {index * 3}" for index in range(200)])
    shuffled = random.Random(2).sample(rows, len(rows))

    def dev_texts(order: list[Example], seed: int) -> set[str]:
        return {order[index].text for index in split_examples(order, 0.2, seed).dev}

    assert dev_texts(rows, 1) == dev_texts(shuffled, 1)
    assert dev_texts(rows, 1) != dev_texts(rows, 2)


def test_one_text_may_serve_both_tasks_on_the_same_side() -> None:
    rows = examples([BASE]) + examples([BASE], "sentiment")
    split = split_examples(rows, 0.999999, seed=0)
    assert (split.dev, split.dev_firsts, split.train, split.dev_duplicates) == ((0, 1), (0, 1), (), 0)
