"""From texts to token ids: preparation, tokenizer, and truncation that is reported instead of silent."""

from __future__ import annotations

import json
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
            raise ModelFilesError(f"{tokenizer_file}: missing; fetch the folder again")
        try:
            build: Any = PreTrainedTokenizerFast
            fast = build(tokenizer_file=str(tokenizer_file))
        except Exception as error:  # the tokenizers library raises bare Exception on a bad file
            raise ModelFilesError(f"{tokenizer_file}: not a tokenizer file ({error}); fetch the folder again") from None
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

    @property
    def vocabulary(self) -> int:
        """One more than the largest token id that it can give."""
        return vocabulary_size(self._backend)

    def __call__(self, texts: Sequence[str]) -> list[TokenizedText]:
        """Tokenize the texts, in order. Any string is accepted, the empty one included."""
        limit = self.max_length * _CHARACTERS_PER_TOKEN
        prepared = [prepare(shorten(text)) for text in texts]
        encodings = self._backend.encode_batch([text[:limit] for text in prepared])
        return [
            TokenizedText(tuple(encoding.ids), bool(encoding.overflowing) or len(text) > limit or is_shortened(whole))
            for encoding, text, whole in zip(encodings, prepared, texts, strict=True)
        ]


def vocabulary_size(backend: Any) -> int:
    """Return one more than the largest token id of a `tokenizers.Tokenizer`."""
    ids: dict[str, int] = backend.get_vocab(with_added_tokens=True)
    return max(ids.values(), default=-1) + 1


def check_fit(tokenizer: TextTokenizer, config_file: Path) -> None:
    """Check that the network can take whatever the tokenizer gives; else some text would fail its batch one day.

    Raises:
        ModelFilesError: the tokenizer has more tokens than the network, or reads longer texts, or the configuration
            does not say.
    """
    try:
        config = json.loads(config_file.read_text(encoding="utf-8"))
        known, longest = int(config["vocab_size"]), int(config.get("max_position_embeddings") or tokenizer.max_length)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelFilesError(
            f"{config_file}: not the configuration of an encoder ({error!r}); fetch or train the model again"
        ) from None
    if tokenizer.vocabulary > known:
        raise ModelFilesError(
            f"{config_file}: the network knows {known} tokens, and the tokenizer beside it has {tokenizer.vocabulary}: "
            "they belong to different models; fetch or train the model again"
        )
    if tokenizer.max_length > longest:
        raise ModelFilesError(
            f"{config_file}: the network reads {longest} tokens, and max_length is {tokenizer.max_length}; "
            "fetch or train the model again"
        )


def pad(rows: Sequence[Sequence[int]], length: int, pad_id: int) -> tuple[Tensor, Tensor]:
    """Return ids and attention mask, both [rows, length] int64; each row is filled up with `pad_id`."""
    ids = torch.full((len(rows), length), pad_id, dtype=torch.long)
    mask = torch.zeros((len(rows), length), dtype=torch.long)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = torch.tensor(row, dtype=torch.long)
        mask[index, : len(row)] = 1
    return ids, mask
