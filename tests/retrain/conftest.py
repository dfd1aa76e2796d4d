"""Invented training files and a tiny random encoder, as a folder that `squall train --base` takes."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pytest
import torch

NEGATIVE = ("fall", "slump", "lose", "plunge", "sink")
POSITIVE = ("rise", "win", "gain", "jump", "climb")
FILLERS = tuple(f"{place}{thing}" for place in ("north", "south", "east", "west", "mid") for thing in "abcdefghij")


def _texts(word_sets: dict[str, tuple[str, ...]], each: int, seed: int) -> list[tuple[str, str]]:
    """Return texts of five random words around one that decides the label; no two are near-duplicates."""
    pick = random.Random(seed)
    rows: list[tuple[str, str]] = []
    for _ in range(each):
        for label, words in word_sets.items():
            text = pick.sample(FILLERS, 5)
            text.insert(pick.randrange(6), pick.choice(words))
            rows.append((" ".join(text), label))
    return rows


def invented_sentiment() -> list[tuple[str, str]]:
    """Return labelled texts in the words of several public sets."""
    return _texts({"bearish": NEGATIVE, "positive": POSITIVE, "Neutral": ("meeting", "plan")}, each=60, seed=1)


def invented_topic() -> list[tuple[str, str]]:
    """Return labelled texts of two topics, named by id and by source name."""
    return _texts({"dividend": ("dividend", "payout"), "Energy | Oil": ("oil", "barrel")}, each=60, seed=2)


def write_csv(path: Path, rows: list[tuple[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label"))
        writer.writerows(rows)
    return path


@pytest.fixture
def sentiment_file(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "sentiment.csv", invented_sentiment())


@pytest.fixture
def topic_file(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "topic.csv", invented_topic())


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("tiny-base"))


@pytest.fixture(scope="session")
def beginner(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> tuple[Path, Path, Path]:
    """A model that was trained for a moment, and the files it was trained from: sentiment, topic."""
    from tests.retrain.beginner import train_beginner

    return train_beginner(tmp_path_factory.mktemp("beginner"), tiny_base)


@pytest.fixture(scope="session")
def masked_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a token that hides a word."""
    return write_base(tmp_path_factory.mktemp("masked-base"), mask=True)


def write_base(folder: Path, *, mask: bool = False) -> Path:
    """Write a random encoder and a tokenizer that knows the invented words."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder.mkdir(exist_ok=True)
    words = {word for text, _ in (*invented_sentiment(), *invented_topic()) for word in text.split()}
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *sorted(words), *(["[MASK]"] if mask else [])]
    special: dict[str, str] = {"unk_token": "[UNK]", "pad_token": "[PAD]"}
    special |= {"mask_token": "[MASK]"} if mask else {}
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=special["unk_token"]))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)])
    tokenizer.enable_padding(length=64, pad_id=0)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(pieces),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=48,
        pad_token_id=0,
    )
    BertModel(config).save_pretrained(folder)
    return folder
