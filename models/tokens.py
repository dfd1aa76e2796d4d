"""From texts to token ids: preparation, tokenizer, windows of long texts, and truncation that is reported."""

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
from models.windows import Span, most_tokens, plan_windows

_CHARACTERS_PER_TOKEN = 64
"""Texts are cut to this many characters per token before tokenizing, which bounds the time one text can take."""
_CHARACTERS_PER_TOKEN_OF_MANY = 16
"""The same where many windows are read: still several times what real text needs."""


@dataclass(frozen=True, slots=True)
class TokenizedText:
    """Token ids of one text, special tokens included, and whether text was left out."""

    ids: tuple[int, ...]
    truncated: bool


@dataclass(frozen=True, slots=True)
class WindowedText:
    """One text, in as many windows as it takes.

    Attributes:
        windows: token ids of each window, special tokens included.
        spans: which of the text's tokens each window holds, special tokens not counted.
        tokens: tokens that are read, each once, and the special tokens of one window.
        truncated: whether text was left out.
    """

    windows: tuple[tuple[int, ...], ...]
    spans: tuple[Span, ...]
    tokens: int
    truncated: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Where a token stands in the prepared text: characters `start` up to `end`, and which of its words it is of."""

    start: int
    end: int
    word: int | None


class TextTokenizer:
    """The tokenizer of a model folder, without padding; it reads `max_length` tokens at once.

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
        # Files from the Hub may carry fixed padding (MiniLM's pads every text to 128 tokens), which would cost
        # several times the work and put pads into the mean.
        self._backend.no_padding()
        self._backend.no_truncation()  # what is too long is cut into windows here
        self._before, self._after = _special_tokens(self._backend)
        special = len(self._before) + len(self._after)
        if max_length <= special:
            raise ValueError(f"max_length must be above {special}, the number of special tokens, got {max_length}")
        self.max_length = max_length
        self._capacity = max_length - special

    @property
    def vocabulary(self) -> int:
        """One more than the largest token id that it can give."""
        return vocabulary_size(self._backend)

    def __call__(self, texts: Sequence[str]) -> list[TokenizedText]:
        """Tokenize the texts, in order, and read one window of each. Any string is accepted, the empty one included."""
        return [TokenizedText(text.windows[0], text.truncated) for text in self.windows(texts, 1)]

    def windows(self, texts: Sequence[str], max_windows: int) -> list[WindowedText]:
        """Tokenize the texts, in order, each into at most so many windows of at most `max_length` tokens.

        Raises:
            ValueError: `max_windows` is below 1.
        """
        most = most_tokens(self._capacity, max_windows)
        limit = self._limit(max_windows)
        prepared = [prepare(shorten(text)) for text in texts]
        encodings = self._backend.encode_batch([text[:limit] for text in prepared])
        result: list[WindowedText] = []
        for encoding, text, whole in zip(encodings, prepared, texts, strict=True):
            ids: list[int] = encoding.ids
            content = len(ids) - len(self._before) - len(self._after)
            truncated = content > most or len(text) > limit or is_shortened(whole)
            if content <= self._capacity:
                result.append(WindowedText((tuple(ids),), (Span(0, content),), len(ids), truncated))
                continue
            spans = plan_windows(content, self._capacity, max_windows)
            inner = ids[len(self._before) : len(self._before) + spans[-1].end]
            result.append(
                WindowedText(
                    tuple((*self._before, *inner[span.start : span.end], *self._after) for span in spans),
                    spans,
                    len(self._before) + len(inner) + len(self._after),
                    truncated,
                )
            )
        return result

    def places(self, prepared: str, max_windows: int) -> list[Place]:
        """Return where the tokens stand that `windows` reads of a text, special tokens left out.

        Args:
            prepared: the text as `models.spans.align` prepares it.
            max_windows: as `windows` takes it.
        """
        encoding = self._backend.encode(prepared[: self._limit(max_windows)])
        content = slice(len(self._before), len(encoding.ids) - len(self._after))
        found = zip(encoding.offsets[content], encoding.word_ids[content], strict=True)
        return [Place(start, end, word) for (start, end), word in found][: most_tokens(self._capacity, max_windows)]

    @property
    def before(self) -> int:
        """Special tokens before the text in each window."""
        return len(self._before)

    def token_id(self, names: Sequence[str]) -> int | None:
        """Return the id of the first of the names that is a token; None if none is."""
        ids = (self._backend.token_to_id(name) for name in names)
        return next((int(found) for found in ids if found is not None), None)

    def _limit(self, max_windows: int) -> int:
        """Return how many characters of a prepared text are tokenised."""
        return self.max_length * max(_CHARACTERS_PER_TOKEN, _CHARACTERS_PER_TOKEN_OF_MANY * max_windows)


def _special_tokens(backend: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the special tokens that a `tokenizers.Tokenizer` puts before and after a text."""
    encoding = backend.encode("a")
    mask: list[int] = encoding.special_tokens_mask
    before = next((place for place, special in enumerate(mask) if not special), len(mask))
    after = next((place for place, special in enumerate(reversed(mask)) if not special), 0)
    return tuple(encoding.ids[:before]), tuple(encoding.ids[len(mask) - after :])


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
