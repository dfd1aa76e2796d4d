from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models import Classifier, Prediction
from models.errors import ModelFilesError, TrainingDataError
from models.files import CONFIG, MANIFEST, TOKENIZER, WEIGHTS
from retrain.card import CARD, METRICS, CardFacts
from retrain.data import read_examples
from retrain.job import TrainedModel, TrainingJob
from retrain.settings import TrainingSettings
from retrain.train import train_model

SETTINGS = TrainingSettings(
    epochs=4, batch_size=16, learning_rate=3e-3, head_learning_rate=1e-2, average_decay=0.9, bf16=False, dev_share=0.2,
    seed=4, threads=1,
)  # fmt: skip


@pytest.fixture(autouse=True)
def same_threads() -> object:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def train(
    sentiment: Path,
    topic: Path,
    base: Path | str,
    out: Path,
    settings: TrainingSettings = SETTINGS,
    teachers: tuple[Path, ...] = (),
) -> TrainedModel:
    facts = CardFacts("invented/base", "Apache-2.0", "MIT", ("Only a test.",))
    job = TrainingJob((sentiment,), (topic,), str(base), out, "tiny-test", facts, teachers, device="cpu")
    return train_model(job, settings, progress=lambda line: None)


def test_training_learns_and_leaves_a_complete_loadable_folder(
    sentiment_file: Path, topic_file: Path, tiny_base: Path, tmp_path: Path
) -> None:
    trained = train(sentiment_file, topic_file, tiny_base, tmp_path / "out" / "model")
    losses = [epoch["train_loss"] for epoch in trained.metrics["history"]]
    assert losses[-1] < 0.6 * losses[0]
    files = {file.name for file in trained.folder.iterdir()}
    assert files == {MANIFEST, CONFIG, TOKENIZER, WEIGHTS, METRICS, CARD}
    assert [path.name for path in trained.folder.parent.iterdir()] == ["model"], "scratch files were left behind"
    metrics = json.loads((trained.folder / METRICS).read_text())
    assert metrics == json.loads(json.dumps(trained.metrics))
    assert metrics["dev"]["sentiment"]["sentiment.csv"]["accuracy"] >= 0.8
    assert metrics["dev"]["topic"]["topic.csv"]["accuracy"] >= 0.8
    classifier = Classifier.load(trained.folder)
    assert classifier.model == trained.manifest.model
    assert classifier.max_length == 48, "the base has no more positions"
    down, up = classifier.predict(["northa plunge southb midc", "easta westb climb midd"])
    assert (down.label, up.label) == ("negative", "positive")
    card = (trained.folder / CARD).read_text()
    for fact in (
        "invented/base",
        "Apache-2.0",
        "MIT",
        "- Only a test.",
        trained.manifest.version,
        "`topic.csv`: 120 rows",
    ):
        assert fact in card
    assert str(tmp_path) not in card + (trained.folder / MANIFEST).read_text()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(
    sentiment_file: Path, topic_file: Path, tiny_base: Path, tmp_path: Path
) -> None:
    short = replace(SETTINGS, epochs=1)
    first = train(sentiment_file, topic_file, tiny_base, tmp_path / "first", short)
    again = train(sentiment_file, topic_file, tiny_base, tmp_path / "again", short)
    other = train(sentiment_file, topic_file, tiny_base, tmp_path / "other", replace(short, seed=5))
    for file in (WEIGHTS, TOKENIZER, CONFIG, MANIFEST, METRICS, CARD):
        assert (first.folder / file).read_bytes() == (again.folder / file).read_bytes(), file
    assert other.manifest.version != first.manifest.version


def test_adversarial_training_learns_too_and_takes_another_way(
    sentiment_file: Path, topic_file: Path, tiny_base: Path, tmp_path: Path
) -> None:
    plain = train(sentiment_file, topic_file, tiny_base, tmp_path / "plain", replace(SETTINGS, epochs=1))
    trained = train(sentiment_file, topic_file, tiny_base, tmp_path / "moved", replace(SETTINGS, adversarial=0.05))
    assert trained.metrics["dev"]["sentiment"]["sentiment.csv"]["accuracy"] >= 0.8
    first = [run.metrics["history"][0]["train_loss"] for run in (plain, trained)]
    assert first[0] != first[1]


def test_a_student_takes_its_teachers_word_where_it_has_no_labels_of_its_own(
    sentiment_file: Path, topic_file: Path, tiny_base: Path, tmp_path: Path
) -> None:
    teacher = train(sentiment_file, topic_file, tiny_base, tmp_path / "teacher")
    settings = replace(SETTINGS, seed=9)
    alone = train(sentiment_file, topic_file, tiny_base, tmp_path / "alone", settings)
    taught = train(sentiment_file, topic_file, tiny_base, tmp_path / "taught", settings, (teacher.folder,))
    assert taught.metrics["teachers"] == [{"name": "tiny-test", "version": teacher.manifest.version}]
    assert f"tiny-test {teacher.manifest.version}" in (taught.folder / CARD).read_text()
    # The topic rows carry no sentiment label: what is learned of it there can only come from the teacher.
    texts = [example.text for example in read_examples([topic_file], "topic")]
    wanted, by_label, by_teacher = (Classifier.load(run.folder).predict(texts) for run in (teacher, alone, taught))

    def gap(told: list[Prediction]) -> float:
        return sum(abs(one.negative - other.negative) for one, other in zip(wanted, told, strict=True))

    assert gap(by_teacher) < 0.5 * gap(by_label)


def test_a_teacher_that_may_know_the_held_out_texts_is_refused(
    sentiment_file: Path, topic_file: Path, tiny_base: Path, tmp_path: Path
) -> None:
    short = replace(SETTINGS, epochs=1)
    teacher = train(sentiment_file, topic_file, tiny_base, tmp_path / "teacher", short)
    with pytest.raises(TrainingDataError, match=r"its split_seed is 20, this run's is 21"):
        other_split = replace(short, split_seed=21)
        train(sentiment_file, topic_file, tiny_base, tmp_path / "a", other_split, (teacher.folder,))
    fewer = tmp_path / "fewer.csv"
    fewer.write_text("".join(topic_file.read_text().splitlines(keepends=True)[:60]))
    with pytest.raises(TrainingDataError, match=r"not trained from exactly sentiment\.csv, fewer\.csv"):
        train(sentiment_file, fewer, tiny_base, tmp_path / "b", short, (teacher.folder,))
    (teacher.folder / METRICS).unlink()
    with pytest.raises(TrainingDataError, match="does not say how its rows were split"):
        train(sentiment_file, topic_file, tiny_base, tmp_path / "c", short, (teacher.folder,))
    with pytest.raises(ModelFilesError, match="no model folder"):
        train(sentiment_file, topic_file, tiny_base, tmp_path / "d", short, (tmp_path,))
    assert not any((tmp_path / name).exists() for name in "abcd")


def test_a_folder_in_use_is_never_overwritten(
    sentiment_file: Path, topic_file: Path, tiny_base: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "kept").write_text("x")
    with pytest.raises(TrainingDataError, match="not an empty folder"):
        train(sentiment_file, topic_file, tiny_base, tmp_path / "out")
    assert (tmp_path / "out" / "kept").read_text() == "x"


def test_an_unusable_base_is_named_and_leaves_nothing_behind(
    sentiment_file: Path, topic_file: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ModelFilesError, match=r"base .*empty.* cannot be used"):
        train(sentiment_file, topic_file, empty, tmp_path / "runs" / "out")
    assert list((tmp_path / "runs").iterdir()) == []


def test_both_heads_need_data_and_file_names_must_differ(sentiment_file: Path, topic_file: Path) -> None:
    job = TrainingJob((sentiment_file,), (), "unused", Path("unused"), "x", CardFacts("x"), device="cpu")
    with pytest.raises(TrainingDataError, match="both heads"):
        train_model(job, SETTINGS, progress=lambda line: None)
    with pytest.raises(TrainingDataError, match=r"two files are called sentiment\.csv"):
        train(sentiment_file, sentiment_file, "unused", Path("unused"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epochs": 0}, "epochs"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"label_smoothing": 1.0}, "label_smoothing"),
        ({"layer_decay": 0.0}, "layer_decay"),
        ({"dev_share": 1.0}, "dev_share"),
        ({"threads": -1}, "threads"),
        ({"adversarial": -0.1}, "adversarial"),
        ({"teacher_weight": 1.1}, "teacher_weight"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replace(SETTINGS, **changes)  # type: ignore[arg-type]
