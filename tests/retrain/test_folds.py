from __future__ import annotations

import statistics
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import TrainingDataError
from retrain.card import CARD
from retrain.data import Example
from retrain.folds import fold_examples
from retrain.split import group_texts
from tests.retrain.test_train import SETTINGS, train

WORDS = tuple(f"w{number}" for number in range(12))


@given(
    st.lists(st.lists(st.sampled_from(WORDS), min_size=2, max_size=6).map(" ".join), min_size=4, max_size=40),
    st.integers(2, 5),
    st.integers(0, 9),
)
def test_each_row_is_in_one_fold_and_near_duplicates_in_the_same(texts: list[str], folds: int, seed: int) -> None:
    examples = [Example(text, "sentiment", 0, "file.csv", 1) for text in texts]
    found = fold_examples(examples, folds, seed)
    assert sorted(index for fold in found for index in fold) == list(range(len(texts)))
    fold_of = {index: number for number, fold in enumerate(found) for index in fold}
    groups = group_texts(texts).tolist()
    by_group: dict[int, set[int]] = {}
    for index, group in enumerate(groups):
        by_group.setdefault(group, set()).add(fold_of[index])
    assert all(len(where) == 1 for where in by_group.values()), (
        "a text would be judged by a model that learned its twin"
    )
    sizes = [len({groups[index] for index in fold}) for fold in found]
    assert max(sizes) - min(sizes) <= 1


def test_folds_do_not_depend_on_the_order_of_rows() -> None:
    examples = [Example(f"{WORDS[at % 12]} {WORDS[at // 12]} text", "topic", 0, "f", at) for at in range(60)]
    first = [{examples[index].text for index in fold} for fold in fold_examples(examples, 3, 7)]
    back = examples[::-1]
    assert first == [{back[index].text for index in fold} for fold in fold_examples(back, 3, 7)]
    assert first != [{examples[index].text for index in fold} for fold in fold_examples(examples, 3, 8)]


def test_figures_of_folds_come_with_mean_and_spread_and_the_model_is_trained_as_without(
    sentiment_file: Path, topic_file: Path, tiny_base: Path, tmp_path: Path
) -> None:
    plain = train(sentiment_file, topic_file, tiny_base, tmp_path / "plain")
    trained = train(sentiment_file, topic_file, tiny_base, tmp_path / "folds", replace(SETTINGS, folds=3))
    assert trained.manifest.version == plain.manifest.version
    told = trained.metrics["cross_validation"]
    accuracies = [fold["topic"]["topic.csv"]["accuracy"] for fold in told["folds"]]
    summary = told["summary"]["topic"]["topic.csv"]
    assert len(accuracies) == 3 == summary["folds"]
    assert summary["accuracy"] == pytest.approx(statistics.fmean(accuracies))
    assert summary["accuracy_spread"] == pytest.approx(statistics.stdev(accuracies))
    assert summary["accuracy"] > 0.7
    assert summary["rows"] == 120, "every row was held out once"
    assert "### Cross-validation" in (trained.folder / CARD).read_text()


def test_too_many_folds_for_the_rows_are_refused(
    sentiment_file: Path, topic_file: Path, tiny_base: Path, tmp_path: Path
) -> None:
    few = tmp_path / "few.csv"
    few.write_text("".join(topic_file.read_text().splitlines(keepends=True)[:30]))
    with pytest.raises(TrainingDataError, match=r"fewer folds|no topic rows|all topic rows"):
        train(sentiment_file, few, tiny_base, tmp_path / "out", replace(SETTINGS, epochs=1, folds=200))
    assert not (tmp_path / "out").exists()
