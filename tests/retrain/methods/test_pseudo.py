from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from models import Classifier
from models.errors import TrainingDataError
from retrain.card import CARD, CardFacts
from retrain.job import TrainedModel, TrainingJob
from retrain.methods.pseudo import label
from retrain.settings import TrainingSettings
from retrain.settings_parts import PseudoSettings
from retrain.train import train_model
from tests.retrain.conftest import FILLERS, NEGATIVE, POSITIVE
from tests.retrain.test_train import SETTINGS, train

TEXTS = [
    f"{FILLERS[at]} {word} {FILLERS[-at - 1]} {FILLERS[at // 2]}"
    for at in range(20)
    for word in (NEGATIVE[0], POSITIVE[1])
]


@pytest.fixture
def labeller(sentiment_file: Path, topic_file: Path, tiny_base: Path, tmp_path: Path) -> Path:
    return train(sentiment_file, topic_file, tiny_base, tmp_path / "labeller").folder


@pytest.fixture
def learn(
    sentiment_file: Path, topic_file: Path, tiny_base: Path, tmp_path: Path, labeller: Path
) -> Callable[..., TrainedModel]:
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(TEXTS))

    def run(name: str, settings: TrainingSettings) -> TrainedModel:
        job = TrainingJob(
            (sentiment_file,), (topic_file,), str(tiny_base), tmp_path / name, "tiny", CardFacts("b"), device="cpu",
            unlabelled=(texts,), labeller=labeller,
        )  # fmt: skip
        return train_model(job, settings, progress=lambda line: None)

    return run


def test_only_words_above_the_threshold_count_and_the_surest_first_where_there_is_a_limit(labeller: Path) -> None:
    told = Classifier.load(labeller).predict(TEXTS)
    sure = [max(row.negative, row.neutral, row.positive) for row in told]
    threshold = sorted(sure)[len(sure) // 2]
    found = label(TEXTS, labeller, PseudoSettings(threshold=threshold))
    rows = [row for row in found.rows if row.task == "sentiment"]
    assert [row.text for row in rows] == [text for text, p in zip(TEXTS, sure, strict=True) if p >= threshold]
    names = ("negative", "neutral", "positive")
    by_text = {text: row.label for text, row in zip(TEXTS, told, strict=True)}
    assert all(names[row.label] == by_text[row.text] for row in rows)
    assert sum(found.facts["rows"]["sentiment"].values()) == len(rows)
    few = [row for row in label(TEXTS, labeller, PseudoSettings(threshold, most=3)).rows if row.task == "sentiment"]
    assert {row.text for row in few} == {text for _, text in sorted(zip(sure, TEXTS, strict=True))[-3:]}
    assert label(TEXTS, labeller, PseudoSettings(threshold=1.0)).rows == ()


def test_pseudo_labels_are_learned_and_told_apart_in_metrics_and_card(learn: Callable[..., TrainedModel]) -> None:
    settings = replace(SETTINGS, epochs=1, pseudo=PseudoSettings(threshold=0.5, weight=0.25))
    trained = learn("with", settings)
    facts = trained.metrics["pseudo_labels"]
    assert sum(facts["rows"]["sentiment"].values()) > 10
    assert facts["model"]["name"] == "tiny-test"
    assert trained.metrics["unlabelled"]["files"][0]["name"] == "texts.txt"
    without = learn("without", replace(settings, pseudo=PseudoSettings(threshold=1.0)))
    assert trained.manifest.version != without.manifest.version, "the rows were not learned"
    assert trained.metrics["rows"] == without.metrics["rows"], "labelled rows are counted apart"
    assert "and weigh 0.25 of a labelled row each" in (trained.folder / CARD).read_text()


def test_a_labeller_that_may_know_the_held_out_texts_is_refused(learn: Callable[..., TrainedModel]) -> None:
    with pytest.raises(TrainingDataError, match="its split_seed is 20, this run's is 3"):
        learn("refused", replace(SETTINGS, split_seed=3))
