"""The network in torch itself: on the CPU in float32 or bfloat16, or on a CUDA device."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from models.engines import passes
from models.engines.base import Outputs, TokenBatch
from models.network import ClassifierNetwork
from models.tokens import pad


class TorchEngine:
    """Runs a network of `models.storage.load_network`, which it moves to its device and number format.

    A row's numbers are the same bit for bit in every batch on the CPU (tested); CUDA libraries may choose other kernels
    for other batch sizes, so there it holds up to rounding only.

    Args:
        network: in evaluation mode; the engine owns it from now on.
        pad_id: token id that fills rows up.
        device: where it computes.
        dtype: number format of the encoder. Pooling and heads stay in float32.
    """

    name = "torch"

    def __init__(self, network: ClassifierNetwork, pad_id: int, *, device: torch.device, dtype: torch.dtype) -> None:
        self._network = network.to(device)
        self._network.encoder.to(dtype)
        self._pad_id = pad_id
        self._device = device
        self._dtype = dtype

    @property
    def precision(self) -> str:
        """The encoder's number format: "float32" or "bfloat16"."""
        return str(self._dtype).removeprefix("torch.")

    @property
    def device(self) -> str:
        """Where it computes: "cpu", "cuda", "cuda:0", ..."""
        return str(self._device)

    @property
    def hidden_size(self) -> int:
        """Width of the pooled vectors."""
        return self._network.sentiment.in_features

    @torch.inference_mode()
    def run(self, batches: Sequence[TokenBatch]) -> list[Outputs]:
        """Compute batches, in order. On CUDA all are queued before the first result is fetched."""
        on_device = [self._compute(batch) for batch in batches]
        return [
            Outputs(sentiment.double().cpu().numpy(), topic.double().cpu().numpy(), pooled.cpu().numpy())
            for sentiment, topic, pooled in on_device
        ]

    def close(self) -> None:
        """Nothing to do: the memory goes with the engine."""

    def _compute(self, batch: TokenBatch) -> tuple[Tensor, Tensor, Tensor]:
        ids, mask = pad(batch.rows, batch.padded_length, self._pad_id)
        if self._device.type == "cuda":
            # Pinned memory is copied while the device still computes the batch before.
            ids, mask = ids.pin_memory(), mask.pin_memory()
        ids, mask = (part.to(self._device, non_blocking=True) for part in (ids, mask))
        pooled = self._network.pool(ids, mask)
        passes.tell_padded(batch.rows, batch.padded_length)
        return *self._network.heads(pooled), pooled
