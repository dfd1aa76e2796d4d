"""The two heads outside the network: exact, and for each row alone.

Backends other than torch compute the pooled vector only. The heads cost nothing, keep full precision this way, and
escape two defects seen in 2026.4 and 1.31: OpenVINO's CPU plugin answers wrongly for more than one row when heads are
computed by `models.network.apply_by_row`, and a backend may choose another kernel for one row than for many.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from models.engines.base import Outputs
from models.errors import ModelFilesError
from models.files import WEIGHTS
from models.labels import SENTIMENTS, TOPICS

Layer = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Weights [classes, hidden] and biases [classes]."""


class Heads:
    """Sentiment and topic logits from pooled vectors, in float64.

    Args:
        sentiment, topic: the layer of each head.

    Raises:
        ModelFilesError: the shapes are not those of two heads on one pooled vector.
    """

    def __init__(self, sentiment: Layer, topic: Layer) -> None:
        weights, biases = zip(sentiment, topic, strict=True)
        try:
            self._weights = np.concatenate(weights).astype(np.float64)
            self._bias = np.concatenate(biases).astype(np.float64)
        except ValueError as error:
            raise ModelFilesError(f"the heads do not fit each other ({error}); fetch the model again") from None
        wanted = (len(SENTIMENTS) + len(TOPICS),)
        if self._bias.shape != wanted or self._weights.shape[:1] != wanted or self._weights.ndim != 2:
            raise ModelFilesError(f"the heads have {self._bias.shape} outputs and {wanted} are needed; train again")

    @classmethod
    def load(cls, folder: Path) -> Heads:
        """Read the heads from a model folder.

        Raises:
            ModelFilesError: they are not there or of other shapes.
        """
        try:
            stored = load_file(folder / WEIGHTS)
            pairs = [(stored[f"{head}.weight"], stored[f"{head}.bias"]) for head in ("sentiment", "topic")]
        except (OSError, SafetensorError, KeyError) as error:
            raise ModelFilesError(f"{folder / WEIGHTS}: has no heads ({error}); fetch the folder again") from None
        return cls(*pairs)

    @property
    def hidden_size(self) -> int:
        """Width of the pooled vectors."""
        return int(self._weights.shape[1])

    def __call__(self, pooled: NDArray[np.float32]) -> Outputs:
        """Return the logits of pooled vectors [rows, hidden], together with those vectors.

        A stack of products of one row each: a row's bits do not depend on the number of rows.
        """
        columns = pooled.astype(np.float64)[:, :, np.newaxis]
        logits = np.matmul(self._weights, columns)[:, :, 0] + self._bias
        return Outputs(logits[:, : len(SENTIMENTS)], logits[:, len(SENTIMENTS) :], pooled)
