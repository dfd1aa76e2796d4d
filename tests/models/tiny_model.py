"""A small model folder with random weights: the code paths of the shipped one in a fraction of the time."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import torch

from models.files import TOKENIZER, Manifest, write_manifest
from models.network import ClassifierNetwork
from models.storage import save_network


def write_tiny_model(
    folder: Path, *, seed: int = 3, name: str = "tiny", learned_at: datetime | None = None
) -> Manifest:
    """Write a model into an existing folder; another seed makes another version."""
    torch.manual_seed(seed)
    save_network(ClassifierNetwork(build_encoder(), 32), folder)
    build_tokenizer(folder / TOKENIZER)
    return write_manifest(folder, name=name, max_length=32, pad_id=0, base={}, training_data=[], learned_at=learned_at)


def build_tokenizer(path: Path) -> None:
    """Write a small word-piece tokenizer with the fixed padding that some files from the Hub carry."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = ["shares", "of", "fall", "rise", "profit", "loss", "the", "bank", "http", "$", "%", ".", ",", "!"]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words, *letters, *(f"##{letter}" for letter in letters)]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))  # noqa: S106 - a word piece, no password
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)])
    tokenizer.enable_padding(length=128, pad_id=0)
    tokenizer.enable_truncation(16)
    tokenizer.save(str(path))


def build_encoder() -> torch.nn.Module:
    """Return a tiny encoder with random weights."""
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=80,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        attn_implementation="sdpa",
    )
    return BertModel(config, add_pooling_layer=False)
