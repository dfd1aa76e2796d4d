"""The classifier: a model folder loaded once, and texts scored in batches of like length."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from models.batching import Batch, plan_batches
from models.device import choose_device, choose_dtype
from models.files import DEFAULT_MODEL, TOKENIZER, Manifest, read_manifest
from models.labels import SENTIMENTS, TOPICS
from models.network import ClassifierNetwork
from models.prediction import ModelId, Prediction, build_predictions, softmax
from models.storage import load_network
from models.tokens import TextTokenizer, pad


class Classifier:
    """Scores texts for sentiment and topic; made by `load`.

    A text's prediction depends on the text alone, bit for bit, whatever else is in the call or its batch, as long as
    machine, device, number format and number of threads stay the same. On the CPU that is tested (another number of
    threads changes bits that the rounding to four decimals nearly always hides); CUDA libraries may choose other
    kernels for other batch sizes, so there it holds up to rounding only.
    """

    def __init__(
        self,
        network: ClassifierNetwork,
        tokenizer: TextTokenizer,
        manifest: Manifest,
        *,
        device: torch.device,
        dtype: torch.dtype,
        max_tokens_per_batch: int,
    ) -> None:
        if max_tokens_per_batch < 1:
            raise ValueError(f"max_tokens_per_batch must be at least 1, got {max_tokens_per_batch}")
        self._network = network
        self._tokenizer = tokenizer
        self._manifest = manifest
        self._max_tokens = max_tokens_per_batch
        self.device = device
        self.dtype = dtype

    @classmethod
    def load(
        cls,
        path: Path | str | None = None,
        *,
        device: str = "auto",
        dtype: str = "auto",
        max_tokens_per_batch: int = 2048,
        max_length: int | None = None,
    ) -> Classifier:
        """Load a model folder without any network access, after checking its files.

        Args:
            path: the model folder; None is the model that ships with Squall.
            device: "auto", "cpu", "cuda" or "cuda:N".
            dtype: "auto" (bfloat16 where the device computes it fast), "float32" or "bfloat16".
            max_tokens_per_batch: tokens that go through the network at once, padding included.
            max_length: tokens of a text that are read; None is the model's own limit, more is refused.

        Raises:
            ModelFilesError: the folder is incomplete, altered, or made for another version of Squall.
            DeviceError: the device or the number format is unknown or not there.
            ValueError: a limit is too small, or `max_length` exceeds the model's.
        """
        folder = Path(path) if path is not None else DEFAULT_MODEL
        manifest = read_manifest(folder)
        length = manifest.max_length if max_length is None else max_length
        if length > manifest.max_length:
            raise ValueError(f"max_length may be at most {manifest.max_length} for {manifest.name}, got {length}")
        where = choose_device(device)
        kind = choose_dtype(dtype, where)
        network = load_network(folder).to(where)
        network.encoder.to(kind)
        tokenizer = TextTokenizer(folder / TOKENIZER, length)
        return cls(network, tokenizer, manifest, device=where, dtype=kind, max_tokens_per_batch=max_tokens_per_batch)

    @property
    def model(self) -> ModelId:
        """Name and version of the loaded model."""
        return self._manifest.model

    @property
    def manifest(self) -> Manifest:
        """What the model folder's manifest says."""
        return self._manifest

    @property
    def max_length(self) -> int:
        """Tokens of a text that are read, special tokens included."""
        return self._tokenizer.max_length

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens of each text would be read."""
        return [len(text.ids) for text in self._tokenizer(texts)]

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Return one prediction per text, in order. Any string is accepted, the empty one included.

        Safe to call from several threads.
        """
        if isinstance(texts, str):
            raise TypeError("predict takes a list of texts, got one string; write predict([text])")
        tokenized = self._tokenizer(texts)
        # Reposts within one call are computed once; that is free, as equal ids give equal answers.
        place = {ids: index for index, ids in enumerate(dict.fromkeys(text.ids for text in tokenized))}
        sentiment, topic = self._probabilities(list(place))
        rows = [place[text.ids] for text in tokenized]
        return build_predictions(
            sentiment[rows],
            topic[rows],
            [len(text.ids) for text in tokenized],
            [text.truncated for text in tokenized],
        )

    @torch.inference_mode()
    def _probabilities(self, rows: Sequence[tuple[int, ...]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return probabilities [rows, sentiments] and [rows, topics]."""
        sentiment = np.empty((len(rows), len(SENTIMENTS)))
        topic = np.empty((len(rows), len(TOPICS)))
        for batch in plan_batches([len(row) for row in rows], self._max_tokens):
            members = list(batch.indices)
            sentiment[members], topic[members] = self._run(batch, rows)
        return softmax(sentiment), softmax(topic)

    def _run(self, batch: Batch, rows: Sequence[tuple[int, ...]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the logits of one batch, [batch, sentiments] and [batch, topics]."""
        ids, mask = pad([rows[index] for index in batch.indices], batch.padded_length, self._manifest.pad_id)
        sentiment, topic = self._network(ids.to(self.device), mask.to(self.device))
        return sentiment.double().cpu().numpy(), topic.double().cpu().numpy()
