"""One foreign network with its tokenizer: texts in, probabilities of its own labels out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.batching import plan_batches
from models.bounds import is_shortened, shorten
from models.device import choose_device, choose_dtype
from models.engines import passes
from models.errors import ModelFilesError
from models.files import CONFIG, TOKENIZER
from models.foreign.files import ForeignFiles
from models.prediction import softmax
from models.text import prepare
from models.tokens import pad, vocabulary_size

DEFAULT_LENGTH = 256
"""Tokens of a text that are read, where the model reads as many and the user says nothing else."""

_CHARACTERS_PER_TOKEN = 64
_NO_LIMIT = 1_000_000
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb]"
)
"""Zero-width and direction marks: foreign tokenizers keep them, so one within a word would hide it."""


@dataclass(frozen=True, slots=True)
class ForeignOutputs:
    """What a foreign network says: probabilities [rows, labels], tokens that were read, and whether text was left."""

    probabilities: NDArray[np.float64]
    tokens: list[int]
    truncated: list[bool]


class ForeignNetwork:
    """A sequence classifier of transformers, as its files describe it.

    A row's numbers do not depend on its batch, bit for bit, for architectures that run on torch's own attention on the
    CPU (BERT, RoBERTa, DistilBERT, ...); for others up to rounding. Safe to call from several threads.

    Args:
        files: checked by `find_model`.
        labels: how many labels its configuration names.
        device, dtype: as `Classifier.load` takes them. The heads stay in float32.
        max_length: tokens of a text that are read; None is 256, or what the model reads if that is less.
        max_tokens_per_batch: tokens that go through the network at once, padding included.

    Raises:
        ModelFilesError: the files do not fit each other, or weights are missing or not finite.
        DeviceError: the device or the number format is unknown or not there.
        ValueError: a limit is too small, or above what the model reads.
    """

    def __init__(
        self,
        files: ForeignFiles,
        labels: int,
        *,
        device: str = "auto",
        dtype: str = "auto",
        max_length: int | None = None,
        max_tokens_per_batch: int = 2048,
    ) -> None:
        if max_tokens_per_batch < 1:
            raise ValueError(f"max_tokens_per_batch must be at least 1, got {max_tokens_per_batch}")
        self._device = choose_device(device)
        self._max_tokens = max_tokens_per_batch
        self._tokenizer, token_limit = _load_tokenizer(files)
        self._network = _load_network(files, labels)
        self._pad_id = _pad_id(self._network, self._tokenizer, files)
        longest = min(token_limit, _positions(self._network))
        special = int(self._tokenizer.num_special_tokens_to_add(False))
        self.max_length = min(DEFAULT_LENGTH, longest) if max_length is None else max_length
        if not special < self.max_length <= longest:
            raise ValueError(f"{files.name}: max_length must be {special + 1} to {longest}, got {self.max_length}")
        self._tokenizer.enable_truncation(max_length=self.max_length)
        _settle(self._network, choose_dtype(dtype, self._device), self._device)
        self._try_out(files)

    def __call__(self, texts: Sequence[str]) -> ForeignOutputs:
        """Return probabilities for the texts, in order. Any string is accepted, the empty one included."""
        limit = self.max_length * _CHARACTERS_PER_TOKEN
        read = [_INVISIBLE.sub("", prepare(shorten(text))) for text in texts]
        encodings = self._tokenizer.encode_batch([text[:limit] for text in read])
        rows = [tuple(encoding.ids) or (self._pad_id,) for encoding in encodings]  # not every tokenizer frames a text
        truncated = [
            bool(encoding.overflowing) or len(text) > limit or is_shortened(whole)
            for encoding, text, whole in zip(encodings, read, texts, strict=True)
        ]
        return ForeignOutputs(softmax(self._logits(rows)), [len(row) for row in rows], truncated)

    @torch.inference_mode()
    def _logits(self, rows: Sequence[tuple[int, ...]]) -> NDArray[np.float64]:
        """Return logits [rows, labels]."""
        place = {ids: index for index, ids in enumerate(dict.fromkeys(rows))}
        distinct = list(place)
        logits = np.empty((len(distinct), int(self._network.config.num_labels)))
        for batch in plan_batches([len(row) for row in distinct], self._max_tokens):
            # The last step of lengths may exceed what the network has positions for.
            length = min(batch.padded_length, self.max_length)
            members = [distinct[at] for at in batch.indices]
            ids, mask = pad(members, length, self._pad_id)
            answer = self._network(input_ids=ids.to(self._device), attention_mask=mask.to(self._device)).logits
            logits[list(batch.indices)] = answer.double().cpu().numpy()
            passes.tell_padded(members, length)
        return logits[[place[row] for row in rows]]

    def _try_out(self, files: ForeignFiles) -> None:
        """Score the shortest and the longest text: what does not fit together shows here, and not in the stream."""
        try:
            rows = [tuple(self._tokenizer.encode(text).ids) for text in ("", "a " * self.max_length)]
            logits = self._logits([row or (self._pad_id,) for row in rows])
        except Exception as error:  # an index beyond a table, or whatever an architecture makes of it
            raise ModelFilesError(
                f"{files.folder}: the network cannot read a text ({error!r}); take another model"
            ) from None
        if not np.isfinite(logits).all():
            raise ModelFilesError(f"{files.folder}: the network's answers are not finite; fetch the folder again")


class _RowByRow(nn.Linear):
    """A linear layer that computes vectors one by one; [batch, tokens, width] as ever.

    The matrix product of few rows takes other kernels for other numbers of rows, with other last bits. Only pooler and
    heads see two dimensions, so that it costs little.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        if input.ndim != 2 or input.shape[0] == 1:
            return super().forward(input)
        return torch.cat([nn.functional.linear(row, self.weight, self.bias) for row in torch.split(input, 1)])


def _settle(network: Any, dtype: torch.dtype, device: torch.device) -> None:
    """Move the network to its device and number format, in place; heads stay in float32."""
    encoder = network.base_model
    network.to(device)
    encoder.to(dtype)
    for module in network.modules():
        if type(module) is nn.Linear:
            module.__class__ = _RowByRow
    if encoder is network or dtype == torch.float32:
        return
    for head in network.children():
        if head is not encoder:
            head.register_forward_pre_hook(_in_float32)


def _in_float32(_: nn.Module, values: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(
        value.float() if isinstance(value, Tensor) and value.is_floating_point() else value for value in values
    )


def _load_tokenizer(files: ForeignFiles) -> tuple[Any, int]:
    """Return the tokenizer without padding and truncation, and how many tokens it says that the model reads.

    `tokenizer.json` is taken as it is; only from older files (vocab.txt, ...) transformers builds one.
    """
    from tokenizers import Tokenizer
    from transformers import AutoTokenizer

    load: Any = AutoTokenizer.from_pretrained
    try:
        if (files.folder / TOKENIZER).is_file():
            backend = Tokenizer.from_file(str(files.folder / TOKENIZER))
            settings = files.folder / "tokenizer_config.json"
            content = json.loads(settings.read_text(encoding="utf-8")) if settings.is_file() else {}
            limit = content.get("model_max_length") or _NO_LIMIT
        else:
            tokenizer = load(str(files.folder), use_fast=True, local_files_only=True, trust_remote_code=False)
            backend, limit = tokenizer.backend_tokenizer, tokenizer.model_max_length
    except Exception as error:  # each kind of tokenizer fails in its own way, a missing library included
        raise ModelFilesError(
            f"{files.folder}: its tokenizer cannot be loaded ({error}); save a fast one there (tokenizer.json) with "
            "tokenizer.save_pretrained(folder)"
        ) from None
    backend.no_padding()
    backend.no_truncation()
    return backend, int(min(limit, _NO_LIMIT))


def _load_network(files: ForeignFiles, labels: int) -> Any:
    from transformers import AutoModelForSequenceClassification

    load: Any = AutoModelForSequenceClassification.from_pretrained
    try:
        with _quiet(), torch.random.fork_rng(devices=[]):
            network, report = load(
                str(files.folder),
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
            )
    except Exception as error:  # transformers raises whatever its architectures do
        raise ModelFilesError(
            f"{files.folder}: its weights do not make the network of {CONFIG} ({_first_line(error)}); "
            "fetch the folder again, or take another model"
        ) from None
    missing = sorted(report["missing_keys"])
    if missing:
        # They would be random numbers: a language model without a trained head answers anything.
        raise ModelFilesError(
            f"{files.folder}: {len(missing)} weights are missing, such as {missing[0]}; it is no trained classifier, "
            "fine-tune it or take another one"
        )
    if int(network.config.num_labels) != labels:
        raise ModelFilesError(
            f"{files.folder / CONFIG}: {labels} labels, and {network.config.num_labels} outputs; take another model"
        )
    broken = next((name for name, value in network.state_dict().items() if not torch.isfinite(value).all()), None)
    if broken is not None:
        raise ModelFilesError(f"{files.folder}: {broken} holds values that are not finite; fetch the folder again")
    return network.float().eval()


def _pad_id(network: Any, tokenizer: Any, files: ForeignFiles) -> int:
    known = network.get_input_embeddings().num_embeddings
    wanted = vocabulary_size(tokenizer)
    if wanted > known:
        raise ModelFilesError(
            f"{files.folder}: the network knows {known} tokens, and the tokenizer beside it has {wanted}: they belong "
            "to different models; fetch the folder again"
        )
    pad_id = network.config.pad_token_id
    if pad_id is None or not 0 <= pad_id < known:
        raise ModelFilesError(
            f"{files.folder / CONFIG}: pad_token_id is {pad_id}, so texts cannot go through in batches; set it to the "
            "id of the tokenizer's padding token"
        )
    return int(pad_id)


def _positions(network: Any) -> int:
    """Return how many tokens the network has positions for; RoBERTa and its kin count from behind the padding's id."""
    stated = getattr(network.config, "max_position_embeddings", None)
    if not isinstance(stated, int) or stated < 1:
        return _NO_LIMIT
    for module in network.modules():
        table = getattr(module, "position_embeddings", None)
        if isinstance(table, nn.Embedding) and table.padding_idx is not None:
            return stated - int(table.padding_idx) - 1
    return stated


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0][:300]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep progress bars and reports of transformers out of the log: what matters of them is raised."""
    import logging as levels

    from transformers.utils import logging as transformers_logging

    logging: Any = transformers_logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(levels.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
