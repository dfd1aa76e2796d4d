from __future__ import annotations

import json
import os
import random
import socket
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch

from models.device import has_fast_bfloat16
from models.errors import LabelsError
from models.foreign.scorer import ForeignScorer
from models.labels import TOPIC_IDS, UNKNOWN_TOPIC
from models.prediction import Scorer
from tests.models.foreign.foreign_models import NAMED, UNNAMED, write_chinese_classifier, write_classifier

TEXTS = ["", "shares of the bank fall", "profit rise!", "loss of the bank " * 5, "🙈", "abc " * 40, "the $ bank."]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_classifier(tmp_path_factory.mktemp("foreign") / "some-finbert")


@pytest.fixture(scope="module")
def scorer(folder: Path) -> ForeignScorer:
    return ForeignScorer.load(folder, device="cpu", dtype="float32")


def load(folder: Path, **options: Any) -> ForeignScorer:
    return ForeignScorer.load(folder, device="cpu", dtype="float32", **options)


def test_a_folder_of_hugging_face_is_a_scorer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    scorer: Scorer = load(folder)
    rows = scorer.predict(TEXTS)
    assert scorer.model.name == "some-finbert"
    assert len(scorer.model.version) == 12
    assert [round(row.negative + row.neutral + row.positive, 4) for row in rows] == [1.0] * len(TEXTS)
    assert len({row.negative for row in rows}) > 3


def test_without_a_topic_model_the_topic_is_unknown_as_in_scored_history(scorer: ForeignScorer) -> None:
    assert not scorer.has_topics
    for row in scorer.predict(TEXTS):
        assert (row.topic, row.topics, row.topic_probability) == (UNKNOWN_TOPIC, (), 0.0)


def test_it_answers_as_transformers_does(folder: Path, scorer: ForeignScorer) -> None:
    from tokenizers import Tokenizer
    from transformers import AutoModelForSequenceClassification

    network = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    for text in TEXTS[:4]:
        with torch.inference_mode():
            logits = network(torch.tensor([tokenizer.encode(text.strip()).ids])).logits
        expected = torch.softmax(logits.double(), dim=-1)[0]
        (row,) = scorer.predict([text])
        assert (row.negative, row.neutral, row.positive) == pytest.approx(expected.tolist(), abs=1e-4)


def test_an_order_of_labels_that_is_another_gives_the_same_answers_once_it_is_told(tmp_path: Path) -> None:
    straight = load(write_classifier(tmp_path / "straight", NAMED))
    turned = load(
        write_classifier(tmp_path / "turned", UNNAMED),
        labels={"negative": "LABEL_2", "neutral": "LABEL_1", "positive": "LABEL_0"},
    )
    for one, other in zip(straight.predict(TEXTS), turned.predict(TEXTS), strict=True):
        assert (one.negative, one.neutral, one.positive) == (other.positive, other.neutral, other.negative)
    assert straight.model.version != turned.model.version


def test_labels_without_meaning_are_refused_with_the_labels_and_an_example(tmp_path: Path) -> None:
    folder = write_classifier(tmp_path / "m", UNNAMED)
    with pytest.raises(LabelsError, match="LABEL_0, LABEL_1, LABEL_2") as caught:
        load(folder)
    assert str(folder / "config.json") in str(caught.value)
    assert "labels: {negative: <label>, neutral: <label>, positive: <label>}" in str(caught.value)


def test_the_mapping_may_stand_in_a_file_beside_the_model(tmp_path: Path) -> None:
    folder = write_classifier(tmp_path / "m", UNNAMED)
    (folder / "squall.yaml").write_text("labels: {negative: LABEL_1, neutral: LABEL_0, positive: LABEL_2}\n")
    by_file = load(folder)
    told = {"negative": "LABEL_1", "neutral": "LABEL_0", "positive": "LABEL_2"}
    assert load(folder, labels=told).predict(TEXTS) == by_file.predict(TEXTS)
    for content in ("labels: [", "label: {}", "labels: none", "- a"):
        (folder / "squall.yaml").write_text(content)
        with pytest.raises(LabelsError, match=r"squall\.yaml"):
            load(folder)


def test_two_classes_need_a_word_on_neutral_which_is_then_nought(tmp_path: Path) -> None:
    folder = write_classifier(tmp_path / "m", ("NEGATIVE", "POSITIVE"))
    with pytest.raises(LabelsError, match="no label for neutral") as caught:
        load(folder)
    assert "neutral: none" in str(caught.value)
    scorer = load(folder, labels={"negative": "NEGATIVE", "neutral": "none", "positive": "POSITIVE"})
    assert {row.neutral for row in scorer.predict(TEXTS)} == {0.0}
    assert {row.label for row in scorer.predict(TEXTS)} <= {"negative", "positive"}


def test_a_second_model_gives_topics(tmp_path: Path, folder: Path, scorer: ForeignScorer) -> None:
    topics = write_classifier(tmp_path / "topics", ("Results", "Court", "Rest"), seed=9)
    told = {"earnings": "Results", "legal": "Court", "general-news": "Rest"}
    both = load(folder, topic_path=topics, topic_labels=told)
    rows = both.predict(TEXTS)
    assert both.has_topics
    assert {row.topic for row in rows} <= set(told)
    for row, alone in zip(rows, scorer.predict(TEXTS), strict=True):
        assert (row.negative, row.neutral, row.positive, row.label) == (
            alone.negative,
            alone.neutral,
            alone.positive,
            alone.label,
        )
        assert round(sum(row.topics), 4) == 1.0
        assert row.topic_probability == row.topics[TOPIC_IDS.index(row.topic)] == max(row.topics)
        assert all(row.topics[TOPIC_IDS.index(other)] == 0 for other in ("macro", "deals"))
    assert both.model.version != scorer.model.version
    with pytest.raises(LabelsError, match="Results, Court, Rest"):
        load(folder, topic_path=topics)


@pytest.mark.parametrize("architecture", ["bert", "roberta", "distilbert", "electra"])
def test_a_prediction_does_not_depend_on_its_batch(tmp_path: Path, architecture: str) -> None:
    folder = write_classifier(tmp_path / architecture, architecture=architecture)
    many = [f"the bank {word} {word * 2}" for word in "abcdefghijklmnopqrstuvwxyz"] + TEXTS
    for dtype in ("float32", "bfloat16") if has_fast_bfloat16() else ("float32",):
        scorer = ForeignScorer.load(folder, device="cpu", dtype=dtype)
        network, mapping = scorer._network, scorer._labels
        alone = np.concatenate([network([text]).probabilities for text in many])
        whole = network(many).probabilities
        order = random.Random(3).sample(range(len(many)), len(many))
        network._max_tokens = 100
        shuffled = network([many[at] for at in order]).probabilities
        assert np.array_equal(whole, alone)
        assert np.array_equal(shuffled, alone[order])
        assert mapping.names == NAMED


def test_what_was_not_read_is_said_and_changes_nothing(scorer: ForeignScorer) -> None:
    assert scorer.max_length == 64
    exact, long, endless = scorer.predict(["the " * 62, "the " * 63, "the " * 300_000])
    assert [row.truncated for row in (exact, long, endless)] == [False, True, True]
    assert {row.tokens for row in (exact, long, endless)} == {64}
    assert exact.negative == long.negative == endless.negative


def test_a_lower_limit_reads_less_and_another_one_is_refused(folder: Path, scorer: ForeignScorer) -> None:
    short = load(folder, max_length=11)
    assert short.predict(["the " * 40])[0].tokens == 11
    assert short.model.version != scorer.model.version
    for length in (2, 65):
        with pytest.raises(ValueError, match="max_length must be 3 to 64"):
            load(folder, max_length=length)
    with pytest.raises(ValueError, match="max_tokens_per_batch"):
        load(folder, max_tokens_per_batch=0)


def test_roberta_reads_less_than_it_has_positions_for(tmp_path: Path) -> None:
    scorer = load(write_classifier(tmp_path / "m", architecture="roberta"))
    assert scorer.max_length == 63
    assert scorer.predict(["the " * 100])[0].truncated


def test_the_version_follows_the_files_and_not_the_name(tmp_path: Path, folder: Path, scorer: ForeignScorer) -> None:
    renamed = tmp_path / "elsewhere"
    renamed.mkdir()
    for file in folder.iterdir():
        os.link(file, renamed / file.name)
    assert load(renamed).model.version == scorer.model.version
    assert load(renamed, name="ours").model.name == "ours"
    assert load(write_classifier(tmp_path / "other", seed=6)).model.version != scorer.model.version
    config = json.loads((folder / "config.json").read_text())
    (renamed / "config.json").unlink()
    (renamed / "config.json").write_text(json.dumps(config | {"layer_norm_eps": 1e-6}))
    assert load(renamed).model.version != scorer.model.version


@pytest.mark.parametrize("mark", ["\u200b", "\u00ad", "\u2060", "\ufeff", "\u202e", "\ufe0f"], ids=ascii)
def test_a_mark_hidden_in_a_word_changes_nothing(scorer: ForeignScorer, mark: str) -> None:
    assert scorer.predict([f"pro{mark}fit of the b{mark}ank"]) == scorer.predict(["profit of the bank"])


def test_bad_texts_get_answers_and_leave_the_others_alone(scorer: ForeignScorer) -> None:
    bad = ["", "\x00" * 9, "\ud800", "🙈" * 99, "\u200f\u202e", "loss " * 100_000, "a" * 10**6, "&#" + "1" * 5_000]
    rows = scorer.predict([*bad, "profit of the bank"])
    assert rows[-1] == scorer.predict(["profit of the bank"])[0]
    assert all(round(row.negative + row.neutral + row.positive, 4) == 1.0 for row in rows)


def test_no_texts_get_no_predictions_and_a_bare_string_is_refused(scorer: ForeignScorer) -> None:
    assert scorer.predict([]) == []
    with pytest.raises(TypeError, match="one string"):
        scorer.predict("shares fall")


def test_a_chinese_model_reads_chinese(tmp_path: Path) -> None:
    scorer = load(write_chinese_classifier(tmp_path / "zh"))
    down, up = scorer.predict(["银行亏损扩大", "公司盈利上升。"])
    assert (down.tokens, up.tokens) == (8, 9)
    assert down.negative != up.negative


def test_loading_leaves_random_numbers_and_the_log_of_transformers_alone(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    load(folder)
    assert torch.equal(torch.rand(1), expected)
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
    assert capfd.readouterr() == ("", "")
