"""What every backend is: batches of token ids in, logits and pooled vectors out.

A backend decides nothing about texts: windows, calibration and rounding are the classifier's. So two backends of one
model differ by the rounding of their arithmetic and by nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


class TokenBatch(NamedTuple):
    """Rows that go through the network together."""

    rows: tuple[tuple[int, ...], ...]
    """Token ids of each text or window, special tokens included; not padded."""
    padded_length: int
    """What each row is filled up to; no row is longer."""


class Outputs(NamedTuple):
    """What the network says of one batch."""

    sentiment: NDArray[np.float64]
    """Logits; [rows, sentiments]."""
    topic: NDArray[np.float64]
    """Logits; [rows, topics]."""
    pooled: NDArray[np.float32]
    """The encoder's pooled vectors, before the heads; [rows, hidden]."""


class Engine(Protocol):
    """A model loaded into a backend. Safe to call from several threads."""

    @property
    def name(self) -> str:
        """The backend: "torch", "onnx" or "openvino"."""
        ...

    @property
    def precision(self) -> str:
        """How numbers are held: "float32", "bfloat16" or "int8"."""
        ...

    @property
    def device(self) -> str:
        """Where it computes: "cpu", "cuda:0", ..."""
        ...

    @property
    def hidden_size(self) -> int:
        """Width of the pooled vectors."""
        ...

    def run(self, batches: Sequence[TokenBatch]) -> list[Outputs]:
        """Compute batches, in order; several may be in flight at once."""
        ...

    def close(self) -> None:
        """Let go of memory and threads; the engine is not used afterwards."""
        ...
