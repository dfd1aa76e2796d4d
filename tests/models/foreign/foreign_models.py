"""Small text classifiers with random weights, saved as Hugging Face saves them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from tests.models.tiny_model import build_tokenizer

NAMED = ("Bearish", "Neutral", "Bullish")
UNNAMED = ("LABEL_0", "LABEL_1", "LABEL_2")
CHINESE = "银行股价下跌亏损扩大盈利上升公司今日宣布裁员违约风险，。"


def write_classifier(
    folder: Path,
    labels: Sequence[str] = NAMED,
    *,
    architecture: str = "bert",
    seed: int = 5,
    tokenizer: bool = True,
) -> Path:
    """Write a classifier with these labels into a folder, which is made, and return the folder."""
    from transformers import AutoConfig, AutoModelForSequenceClassification

    torch.manual_seed(seed)
    config = AutoConfig.for_model(
        architecture,
        vocab_size=120,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        pad_token_id=0,
        id2label=dict(enumerate(labels)),
        label2id={label: number for number, label in enumerate(labels)},
    )
    network = AutoModelForSequenceClassification.from_config(config)
    with torch.no_grad():  # else all answers are nearly alike
        for parameter in network.parameters():
            parameter.mul_(6.0 if parameter.ndim > 1 else 1.0)
    folder.mkdir(parents=True, exist_ok=True)
    network.save_pretrained(folder)
    if tokenizer:
        build_tokenizer(folder / "tokenizer.json")
    return folder


def write_chinese_classifier(folder: Path, labels: Sequence[str] = ("消极", "中性", "积极")) -> Path:
    """Write a classifier whose vocabulary is Chinese characters."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    write_classifier(folder, labels, seed=8, tokenizer=False)
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *dict.fromkeys(CHINESE)]
    tokenizer = Tokenizer(
        models.WordPiece({piece: index for index, piece in enumerate(pieces)}, unk_token="[UNK]")  # noqa: S106
    )
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)])
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder
