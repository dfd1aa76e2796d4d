"""The encoder and its pooling as a graph that other backends read: token ids and mask in, pooled vectors out."""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.network import ClassifierNetwork

IDS, MASK, POOLED = "input_ids", "attention_mask", "pooled"
"""Names of the graph's inputs [rows, tokens] int64 and of its output [rows, hidden] float32."""
_OPSET = 17


class PooledEncoder(nn.Module):
    """A network without its heads."""

    def __init__(self, network: ClassifierNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the pooled vectors [rows, hidden]."""
        return self.network.pool(input_ids, attention_mask)


def to_openvino(network: ClassifierNetwork) -> Any:
    """Return the graph as an `openvino.Model` with any number of rows and tokens; openvino must be there."""
    openvino: Any = importlib.import_module("openvino")
    with _traced():
        model = openvino.convert_model(PooledEncoder(network).eval(), example_input=dict(_example()))
    for found, name in zip(model.inputs, (IDS, MASK), strict=True):
        found.get_tensor().set_names({name})
    model.reshape({IDS: [-1, -1], MASK: [-1, -1]})
    return model


def to_onnx(network: ClassifierNetwork, file: Path) -> None:
    """Write the graph as an ONNX file with any number of rows and tokens; onnx must be there."""
    rows_and_tokens = {0: "rows", 1: "tokens"}
    with _traced():
        torch.onnx.export(
            PooledEncoder(network).eval(),
            tuple(value for _, value in _example()),
            str(file),
            input_names=[IDS, MASK],
            output_names=[POOLED],
            dynamic_axes={IDS: rows_and_tokens, MASK: rows_and_tokens, POOLED: {0: "rows"}},
            opset_version=_OPSET,
            dynamo=False,  # the other exporter needs one more package and gives the same graph
        )


def _example() -> tuple[tuple[str, Tensor], tuple[str, Tensor]]:
    """Return ids and mask to trace with: several rows, one with padding, lest the trace takes masks for absent."""
    ids = torch.ones((3, 24), dtype=torch.long)
    mask = torch.ones_like(ids)
    mask[0, 10:] = 0
    return (IDS, ids), (MASK, mask)


@contextmanager
def _traced() -> Iterator[None]:
    """Trace without gradients, and without remarks on tracing: the tests hold the graph against the network."""
    remarks = logging.getLogger("transformers")
    level = remarks.level
    remarks.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            yield
    finally:
        remarks.setLevel(level)
