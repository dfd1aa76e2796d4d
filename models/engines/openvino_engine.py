"""OpenVINO on the CPU: float32, bfloat16, or 8-bit integers in the matrix products.

    pip install nncf openvino

8 bits: post-training quantisation with SmoothQuant by NNCF, with fixed ranges for activations. A row's numbers then
depend on nothing but the row: its pooled vector has the same bits in every batch of its padded length (tested in all
three precisions), as with torch.
"""

from __future__ import annotations

import importlib
import io
import logging
import threading
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.engines import passes
from models.engines.artefacts import obtain, recipe_for
from models.engines.base import Outputs, TokenBatch
from models.engines.graph import IDS, MASK, to_openvino
from models.engines.heads import Heads
from models.engines.samples import calibration_batches, calibration_digest, calibration_texts
from models.engines.telemetry import refuse_telemetry
from models.errors import INSTALL, BackendMissingError, ModelFilesError
from models.files import TOKENIZER, Manifest
from models.storage import load_network
from models.tokens import TextTokenizer, pad

PRECISIONS = ("float32", "bfloat16", "int8")
"""What `OpenVinoEngine.load` takes."""

_GRAPH, _WEIGHTS = "graph.xml", "graph.bin"
_TYPES = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}
"""What is not in 8 bits in "int8" is in float32: bfloat16 there was 5 % slower, and not every CPU has it."""


def import_openvino(name: str = "openvino") -> Any:
    """Import OpenVINO or NNCF, and keep them from reporting their use.

    Raises:
        BackendMissingError: it is not installed.
    """
    refuse_telemetry()
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise BackendMissingError(f"{name} is not installed: {INSTALL['openvino']} ({error})") from None


class OpenVinoEngine:
    """Runs the encoder asynchronously, one request per stream of the CPU; one call at a time, others wait.

    Args:
        graph: the encoder as `openvino.Model`.
        heads: the model's heads.
        pad_id: token id that fills rows up.
        precision: one of `PRECISIONS`.
    """

    name = "openvino"
    device = "cpu"

    def __init__(self, graph: Any, heads: Heads, pad_id: int, *, precision: str) -> None:
        openvino = import_openvino()
        self.precision = precision
        self._heads = heads
        self._pad_id = pad_id
        options = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "INFERENCE_PRECISION_HINT": _TYPES[precision],
            # As many as torch would use, so that whoever limits the one limits the other (a pool of processes does).
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            # Threads bound to cores stand in each other's way when several processes score.
            "ENABLE_CPU_PINNING": False,
        }
        self._compiled: Any = openvino.Core().compile_model(graph, "CPU", options)
        self._queue: Any = openvino.AsyncInferQueue(self._compiled)
        self._running = threading.Lock()

    @classmethod
    def load(
        cls, folder: Path, manifest: Manifest, *, precision: str, cache: Path, calibration: Path | None = None
    ) -> OpenVinoEngine:
        """Load a checked model folder; what has been converted before comes from the cache folder.

        Args:
            folder, manifest: the model.
            precision: one of `PRECISIONS`.
            cache: where converted models are kept.
            calibration: texts for "int8", one a line; None takes generated ones.

        Raises:
            BackendMissingError: OpenVINO is not installed, or NNCF where something is to be quantised.
            ModelFilesError: the model, the cache folder or the texts cannot be used.
        """
        openvino = import_openvino()
        if precision == "int8":
            recipe = recipe_for(manifest, "openvino", "int8", ("openvino", "nncf"), calibration_digest(calibration))
        else:
            recipe = recipe_for(manifest, "openvino", "float32", ("openvino",))

        def build(into: Path) -> None:
            graph = to_openvino(load_network(folder))
            if precision == "int8":
                texts = calibration_texts(calibration, folder / TOKENIZER)
                tokenizer = TextTokenizer(folder / TOKENIZER, manifest.max_length)
                graph = _quantised(graph, calibration_batches(texts, tokenizer), manifest.pad_id)
            openvino.save_model(graph, into / _GRAPH, compress_to_fp16=False)

        files = obtain(recipe, (_GRAPH, _WEIGHTS), cache, build)
        try:
            graph = openvino.Core().read_model(model=files[_GRAPH], weights=files[_WEIGHTS])
        except RuntimeError as error:
            raise ModelFilesError(f"{recipe.folder(cache)}: OpenVINO cannot read it ({error}); remove it") from None
        return cls(graph, Heads.load(folder), manifest.pad_id, precision=precision)

    @property
    def hidden_size(self) -> int:
        """Width of the pooled vectors."""
        return self._heads.hidden_size

    def run(self, batches: Sequence[TokenBatch]) -> list[Outputs]:
        """Compute batches, in order; several are in flight at once."""
        pooled: dict[int, NDArray[np.float32]] = {}

        def keep(request: Any, index: int) -> None:
            pooled[index] = np.array(request.get_output_tensor(0).data, dtype=np.float32)

        with self._running:
            self._queue.set_callback(keep)
            for index, batch in enumerate(batches):
                ids, mask = pad(batch.rows, batch.padded_length, self._pad_id)
                self._queue.start_async({IDS: ids.numpy(), MASK: mask.numpy()}, index)
            self._queue.wait_all()
        for batch in batches:
            passes.tell_padded(batch.rows, batch.padded_length)
        return [self._heads(pooled[index]) for index in range(len(batches))]

    def close(self) -> None:
        """Let go of the compiled model and its threads."""
        with self._running:
            self._queue = self._compiled = None


def _quantised(graph: Any, batches: Sequence[TokenBatch], pad_id: int) -> Any:
    """Return the graph with matrix products in 8 bits, the ranges taken from the batches."""
    # NNCF shows its progress on standard output, which belongs to the command that runs.
    with redirect_stdout(io.StringIO()):
        nncf = import_openvino("nncf")
        nncf.set_log_level(logging.ERROR)

        def inputs(batch: TokenBatch) -> dict[str, NDArray[np.int64]]:
            ids, mask = pad(batch.rows, batch.padded_length, pad_id)
            return {IDS: ids.numpy(), MASK: mask.numpy()}

        return nncf.quantize(
            graph,
            nncf.Dataset([inputs(batch) for batch in batches]),
            model_type=nncf.ModelType.TRANSFORMER,  # SmoothQuant comes with it
            subset_size=len(batches),
        )
