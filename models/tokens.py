"""From texts to token ids: preparation, tokenizer, and truncation that is reported instead of silent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from models.bounds import is_shortened, shorten
from models.errors import ModelFilesError
from models.text import prepare

_CHARACTERS_PER_TOKEN = 64
"""Texts are cut to this many characters per token before tokenizing, which bounds the time one text can take."""


@dataclass(frozen=True, slots=True)
class TokenizedText:
    """Token ids of one text, special tokens included, and whether text was left out."""

    ids: tuple[int, ...]
    truncated: bool


class TextTokenizer:
    """The tokenizer of a model folder, without padding and with truncation at `max_length` tokens.

    Raises:
        ModelFilesError: `tokenizer.json` is missing or cannot be read.
        ValueError: `max_length` leaves no room for text beside the special tokens.
    """

    def __init__(self, tokenizer_file: Path, max_length: int) -> None:
        if not tokenizer_file.is_file():
            raise ModelFilesError(f"{tokenizer_file}: missing; the folder is no complete model folder")
        try:
            build: Any = PreTrainedTokenizerFast
            fast = build(tokenizer_file=str(tokenizer_file))
        except Exception as error:  # the tokenizers library raises bare Exception on a bad file
            raise ModelFilesError(f"{tokenizer_file}: not a tokenizer file ({error})") from None
        self._backend: Any = fast.backend_tokenizer
        special = self._backend.num_special_tokens_to_add(False)
        if max_length <= special:
            raise ValueError(f"max_length must be above {special}, the number of special tokens, got {max_length}")
        # Files from the Hub may carry fixed padding (MiniLM's pads every text to 128 tokens), which would cost
        # several times the work and put pads into the mean.
        self._backend.no_padding()
        self._backend.no_truncation()
        self._backend.enable_truncation(max_length=max_length)
        self.max_length = max_length

    def __call__(self, texts: Sequence[str]) -> list[TokenizedText]:
        """Tokenize the texts, in order. Any string is accepted, the empty one included."""
        limit = self.max_length * _CHARACTERS_PER_TOKEN
        prepared = [prepare(shorten(text)) for text in texts]
        encodings = self._backend.encode_batch([text[:limit] for text in prepared])
        return [
            TokenizedText(tuple(encoding.ids), bool(encoding.overflowing) or len(text) > limit or is_shortened(whole))
            for encoding, text, whole in zip(encodings, prepared, texts, strict=True)
        ]


def pad(rows: Sequence[Sequence[int]], length: int, pad_id: int) -> tuple[Tensor, Tensor]:
    """Return ids and attention mask, both [rows, length] int64; each row is filled up with `pad_id`."""
    ids = torch.full((len(rows), length), pad_id, dtype=torch.long)
    mask = torch.zeros((len(rows), length), dtype=torch.long)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = torch.tensor(row, dtype=torch.long)
        mask[index, : len(row)] = 1
    return ids, mask
