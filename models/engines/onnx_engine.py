"""ONNX Runtime on the CPU: float32, or 8-bit integers in the matrix products, in whichever range each text needs.

    pip install onnx onnxruntime

8 bits, "dynamic": the range of the activations is that of the numbers at hand. In a batch these are everyone's, and a
text's probabilities were seen to move by 0.3 with its company. So here each row runs alone, without padding, one per
thread: a fourth slower, and a row's answer depends on the row by construction. With ranges fixed beforehand, ONNX
Runtime was slower than that.

float32: rows run in batches, and have the same bits in every batch of their padded length (tested).
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.engines import passes
from models.engines.artefacts import obtain, recipe_for
from models.engines.base import Outputs, TokenBatch
from models.engines.graph import IDS, MASK, POOLED, to_onnx
from models.engines.heads import Heads
from models.errors import INSTALL, BackendMissingError, ModelFilesError
from models.files import Manifest
from models.storage import load_network
from models.tokens import pad

PRECISIONS = ("float32", "int8")
"""What `OnnxEngine.load` takes."""

_GRAPH = "graph.onnx"
_DISTRIBUTIONS = ("onnx", "onnxruntime")


def import_onnx(name: str = "onnxruntime") -> Any:
    """Import ONNX Runtime, a part of it, or onnx.

    Raises:
        BackendMissingError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise BackendMissingError(f"{name} is not installed: {INSTALL['onnx']} ({error})") from None


class OnnxEngine:
    """Runs the encoder on as many threads as torch would use, each with a batch ("int8": a row) of its own.

    Args:
        graph: the encoder as an ONNX file.
        heads: the model's heads.
        pad_id: token id that fills rows up.
        precision: one of `PRECISIONS`.
    """

    name = "onnx"
    device = "cpu"

    def __init__(self, graph: bytes, heads: Heads, pad_id: int, *, precision: str) -> None:
        runtime = import_onnx()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3  # errors
        self.precision = precision
        self._heads = heads
        self._pad_id = pad_id
        self._session: Any = runtime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._threads = ThreadPoolExecutor(torch.get_num_threads(), thread_name_prefix="onnx")

    @classmethod
    def load(cls, folder: Path, manifest: Manifest, *, precision: str, cache: Path) -> OnnxEngine:
        """Load a checked model folder; what has been converted before comes from the cache folder.

        Args:
            folder, manifest: the model.
            precision: one of `PRECISIONS`.
            cache: where converted models are kept.

        Raises:
            BackendMissingError: onnx or ONNX Runtime is not installed.
            ModelFilesError: the model or the cache folder cannot be used.
        """
        for name in _DISTRIBUTIONS:
            import_onnx(name)
        recipe = recipe_for(manifest, "onnx", precision, _DISTRIBUTIONS)

        def build(into: Path) -> None:
            graph = into / _GRAPH
            if precision == "float32":
                to_onnx(load_network(folder), graph)
            else:
                whole = into / "float32.onnx"
                to_onnx(load_network(folder), whole)
                _quantise(whole, graph)

        graph = obtain(recipe, (_GRAPH,), cache, build)[_GRAPH]
        try:
            return cls(graph, Heads.load(folder), manifest.pad_id, precision=precision)
        except RuntimeError as error:
            raise ModelFilesError(f"{recipe.folder(cache)}: ONNX Runtime cannot read it ({error}); remove it") from None

    @property
    def hidden_size(self) -> int:
        """Width of the pooled vectors."""
        return self._heads.hidden_size

    def run(self, batches: Sequence[TokenBatch]) -> list[Outputs]:
        """Compute batches, in order; as many at once as there are threads."""
        if self.precision == "int8":
            rows = [TokenBatch((row,), len(row)) for batch in batches for row in batch.rows]
            alone = iter(list(self._threads.map(self._pooled, rows)))
            pooled = [np.concatenate([next(alone) for _ in batch.rows]) for batch in batches]
        else:
            pooled = list(self._threads.map(self._pooled, batches))
        return [self._heads(vectors) for vectors in pooled]

    def close(self) -> None:
        """End the threads and let go of the graph."""
        self._threads.shutdown()
        self._session = None

    def _pooled(self, batch: TokenBatch) -> NDArray[np.float32]:
        rows = batch.rows
        if self.precision == "float32" and len(rows) == 1:
            # One row alone takes another kernel, with other last bits than the same row among others.
            rows *= 2
        ids, mask = pad(rows, batch.padded_length, self._pad_id)
        (pooled,) = self._session.run([POOLED], {IDS: ids.numpy(), MASK: mask.numpy()})
        passes.tell_padded(batch.rows, batch.padded_length, repeated=len(rows) // len(batch.rows))
        return np.asarray(pooled[: len(batch.rows)], dtype=np.float32)


def _quantise(source: Path, target: Path) -> None:
    """Write the graph with matrix products in 8 bits."""
    quantization = import_onnx("onnxruntime.quantization")
    remarks = logging.getLogger()
    level = remarks.level
    # It advises on the root logger to optimise the graph first; ONNX Runtime does so when it loads it.
    remarks.setLevel(logging.ERROR)
    try:
        quantization.quantize_dynamic(source, target, per_channel=True, weight_type=quantization.QuantType.QInt8)
    finally:
        remarks.setLevel(level)
