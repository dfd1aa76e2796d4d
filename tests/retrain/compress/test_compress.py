"""Smaller models from real folders: tiny ones, with random weights."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from deploy.cli import app
from models.classifier import Classifier
from models.errors import ModelFilesError, TrainingDataError
from models.files import TOKENIZER, read_manifest
from models.storage import load_network
from retrain.compress.layers import spread
from retrain.compress.run import Plan, compress, measure
from retrain.data import Example
from retrain.settings import TrainingSettings
from tests.models.tiny_model import write_tiny_model

TEXTS = ["the bank rise", "shares of the bank fall", "profit of the bank, 5%"]
NEW = ["an unheard of loss", "quartz zebra"]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    write_tiny_model(folder)
    return folder


def silently(_: str) -> None:
    """Say nothing."""


def answers(folder: Path, texts: list[str]) -> list[tuple[float, ...]]:
    return [(one.negative, one.neutral, one.positive, *one.topics) for one in Classifier.load(folder).predict(texts)]


def test_word_pieces_that_are_never_used_are_left_out_and_no_answer_changes(model: Path, tmp_path: Path) -> None:
    manifest = compress(model, Plan(tmp_path / "small", "small", texts=TEXTS), silently)
    assert manifest.name == "small"
    assert manifest.version != read_manifest(model).version
    before, after = (
        load_network(folder).encoder.get_input_embeddings().num_embeddings for folder in (model, tmp_path / "small")
    )  # type: ignore[operator, union-attr]
    assert after < before
    assert answers(tmp_path / "small", TEXTS) == answers(model, TEXTS)


def test_what_is_new_is_spelt_with_shorter_pieces_and_not_unknown(model: Path, tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    compress(model, Plan(tmp_path / "small", "small", texts=TEXTS), silently)
    tokenizer = Tokenizer.from_file(str(tmp_path / "small" / TOKENIZER))
    tokenizer.no_padding()
    for text in NEW:
        assert "[UNK]" not in tokenizer.encode(text).tokens
    assert tokenizer.encode("loss").tokens[1:-1] == ["l", "##o", "##s", "##s"]


def test_layers_are_left_out_evenly(model: Path, tmp_path: Path) -> None:
    compress(model, Plan(tmp_path / "small", "small", layers=1), silently)
    old, new = load_network(model), load_network(tmp_path / "small")
    assert len(new.encoder.encoder.layer) == 1  # type: ignore[union-attr, arg-type]
    kept = new.encoder.encoder.layer[0].state_dict()  # type: ignore[union-attr, index, operator]
    last = old.encoder.encoder.layer[1].state_dict()  # type: ignore[union-attr, index, operator]
    assert all(torch.allclose(kept[name], last[name], atol=1e-6) for name in last)


@given(st.integers(1, 48), st.data())
def test_the_layers_that_stay_are_spread_from_the_first_to_the_last(there: int, data: st.DataObject) -> None:
    kept = data.draw(st.integers(1, there))
    stay = spread(there, kept)
    assert len(set(stay)) == kept
    assert list(stay) == sorted(stay)
    assert stay[-1] == there - 1
    if kept > 1:
        assert stay[0] == 0
        gaps = {later - earlier for earlier, later in pairwise(stay)}
        assert max(gaps) - min(gaps) <= 1


def test_more_layers_than_there_are_cannot_stay(model: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError, match="of 2 layers 1 to 2 can be kept, not 3"):
        compress(model, Plan(tmp_path / "small", "small", layers=3), silently)
    assert not (tmp_path / "small").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_nothing_to_do_and_a_folder_in_the_way_are_told(model: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError, match="nothing is to become smaller"):
        compress(model, Plan(tmp_path / "small", "small"), silently)
    with pytest.raises(TrainingDataError, match="exists already"):
        compress(model, Plan(model, "small", layers=1), silently)


def test_a_tokenizer_that_is_not_made_of_word_pieces_is_told(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models

    from retrain.compress.vocabulary import keep_used

    Tokenizer(models.BPE()).save(str(tmp_path / TOKENIZER))
    with pytest.raises(ModelFilesError, match=r"only word pieces .* this tokenizer is BPE"):
        keep_used(tmp_path / TOKENIZER, TEXTS, max_length=32, pad_id=0)


def test_a_model_is_measured_by_size_speed_and_accuracy(model: Path) -> None:
    labels = [one.label for one in Classifier.load(model).predict(TEXTS)]
    right = [
        Example(text, "sentiment", ("negative", "neutral", "positive").index(label), "t.csv", number)
        for number, (text, label) in enumerate(zip(TEXTS, labels, strict=True))
    ]
    found = measure(model, right, TEXTS)
    assert found.accuracy == {"sentiment": 1.0, "topic": None}
    files = ("config.json", "tokenizer.json", "weights.safetensors")
    assert found.megabytes == sum((model / name).stat().st_size for name in files) / 1e6
    assert found.texts_per_second > 0


def test_the_original_teaches_a_model_of_fewer_layers(beginner: tuple[Path, Path, Path], tmp_path: Path) -> None:
    champion, sentiment, topic = beginner
    settings = TrainingSettings(epochs=1, bf16=False, threads=1, dev_share=0.3)
    plan = Plan(
        tmp_path / "student",
        "student",
        layers=1,
        sentiment=(sentiment,),
        topic=(topic,),
        settings=settings,
        device="cpu",
    )
    manifest = compress(champion, plan, silently)
    assert manifest.name == "student"
    assert len(load_network(tmp_path / "student").encoder.encoder.layer) == 1  # type: ignore[union-attr, arg-type]
    assert "Distilled from 1 model" in (tmp_path / "student" / "MODEL_CARD.md").read_text()


def test_the_command_shows_before_and_after(model: Path, tmp_path: Path) -> None:
    texts = tmp_path / "texts.csv"
    texts.write_text("text\n" + "\n".join(f'"{text}"' for text in TEXTS))
    small = tmp_path / "small"
    result = CliRunner().invoke(
        app, ["models", "compress", str(model), "--out", str(small), "--vocabulary", str(texts)]
    )
    assert result.exit_code == 0, result.output
    assert "megabytes" in result.output
    assert "texts per second" in result.output
    assert read_manifest(small).name == "small"
