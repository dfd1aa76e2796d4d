"""The GPU's engine: rows without padding, several packs in flight, small ones as recorded CUDA graphs.

A pack is in one lane at a time: pinned memory, a stream, and results that are copied back while other lanes compute.
Rows of all batches in a call are packed anew, as without padding there is no reason to keep like lengths together.

The same code runs on the CPU with a reference attention, row by row: slowly, to be tested.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from itertools import chain, pairwise
from queue import Empty, SimpleQueue
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.engines import passes
from models.engines.base import Engine, Outputs, TokenBatch
from models.engines.packed import PackedBert, why_not_packed
from models.engines.packing import Pack, Shape, choose_shape, fill, pack, plan_packs
from models.engines.torch_engine import TorchEngine
from models.engines.varlen import Attention, reference_attention, varlen_attention, why_no_varlen
from models.network import ClassifierNetwork
from models.tokens import pad

log = logging.getLogger(__name__)

Rows = NDArray[np.float32]
"""What a pack's rows come to: logits of both heads, then pooled vectors; [rows, sentiments + topics + hidden]."""

_PACK_TOKENS = 16_384
"""Enough for the matrix products of a large GPU, little enough that several packs are in flight."""
_GRAPH_TOKENS = 4_096
"""Up to here launching kernels takes longer than computing them, and a recorded graph saves that."""
_LANES = 3
_RECORDING = threading.Lock()
"""One graph is recorded at a time."""
_AGREEMENT = 0.05
"""Packed and padded logits in bfloat16 differ by less than this; a kernel that is wrong, by whole units."""


class Lane(Protocol):
    """Computes one pack at a time."""

    def submit(self, packed: Pack) -> None:
        """Begin with a pack; the lane is free."""
        ...

    def collect(self) -> Rows:
        """Wait for the pack and return its rows, which stand until the next one is submitted."""
        ...


class DirectLane:
    """Computes at once, where it is called: on the CPU."""

    def __init__(self, network: PackedBert) -> None:
        self._network = network
        self._rows: Rows | None = None

    def submit(self, packed: Pack) -> None:
        """Compute a pack."""
        parts = (torch.from_numpy(part) for part in (packed.ids, packed.positions, packed.offsets))
        self._rows = self._network(*parts, packed.longest).numpy()
        passes.tell(packed.tokens, packed.tokens)

    def collect(self) -> Rows:
        """Return what `submit` computed."""
        rows, self._rows = self._rows, None
        assert rows is not None, "collect follows submit"  # noqa: S101 - a mistake of ours alone
        return rows


class PackedEngine:
    """A BERT classifier without padding; see the module. Made by `engine_on_cuda`, or directly to be tested.

    Answers agree with those of `TorchEngine` up to the rounding of the number format, and a row's last digits may
    depend on what it is packed with.

    Args:
        network: the packed network, on its device and in its number format.
        lanes: at least one.
        device: where it computes.
        dtype: number format of the encoder.
        pack_tokens: tokens that are computed together, at most; a longer row is computed alone.
    """

    name = "torch"

    def __init__(
        self,
        network: PackedBert,
        lanes: Sequence[Lane],
        *,
        device: torch.device,
        dtype: torch.dtype,
        pack_tokens: int = _PACK_TOKENS,
    ) -> None:
        self._network = network
        self._device = device
        self._dtype = dtype
        self._pack_tokens = pack_tokens
        self._free: SimpleQueue[Lane] = SimpleQueue()
        for lane in lanes:
            self._free.put(lane)

    @property
    def precision(self) -> str:
        """The encoder's number format: "float32" or "bfloat16"."""
        return str(self._dtype).removeprefix("torch.")

    @property
    def device(self) -> str:
        """Where it computes: "cuda", "cuda:0", "cpu"."""
        return str(self._device)

    @property
    def hidden_size(self) -> int:
        """Width of the pooled vectors."""
        return self._network.hidden_size

    @torch.inference_mode()
    def run(self, batches: Sequence[TokenBatch]) -> list[Outputs]:
        """Compute batches, in order; a pack is laid out while others are computed, those of other threads too."""
        rows = list(chain.from_iterable(batch.rows for batch in batches))
        # One array for all rows: pooled vectors are the bulk, and are copied once, out of pinned memory.
        logits = np.empty((len(rows), self._network.sentiments + self._network.topics))
        pooled = np.empty((len(rows), self.hidden_size), dtype=np.float32)
        in_flight: deque[tuple[Lane, slice]] = deque()

        def collect() -> None:
            lane, stretch = in_flight[0]
            found = lane.collect()
            logits[stretch], pooled[stretch] = np.split(found, [logits.shape[1]], axis=1)

        try:
            for stretch in plan_packs([len(row) for row in rows], self._pack_tokens):
                packed = pack(rows[stretch])
                lane = self._borrow(wait=not in_flight)
                if lane is None:
                    collect()
                    lane, _ = in_flight.popleft()
                in_flight.append((lane, stretch))  # before anything can fail, so that the lane is given back
                lane.submit(packed)
            while in_flight:
                collect()
                self._free.put(in_flight.popleft()[0])
        finally:
            for lane, _ in in_flight:
                self._free.put(lane)
        cut = self._network.sentiments
        ends = np.cumsum([0, *(len(batch.rows) for batch in batches)]).tolist()
        return [
            Outputs(logits[start:stop, :cut], logits[start:stop, cut:], pooled[start:stop])
            for start, stop in pairwise(ends)
        ]

    def close(self) -> None:
        """Let go of the lanes, with their graphs and memory."""
        self._free = SimpleQueue()

    def _borrow(self, *, wait: bool) -> Lane | None:
        try:
            return self._free.get(block=wait)
        except Empty:
            return None


class CudaLane:
    """A stream with memory of its own.

    Args:
        network: the packed network on a CUDA device.
        compute: the network, or what torch.compile made of it; for packs that no graph is recorded for.
        device: the device.
        pad_id: token id that fills shapes up.
        graph_tokens: packs up to this size are computed by recorded graphs; 0 records none.
        note_busy: is given the two events around each pack, when somebody measures.
    """

    def __init__(
        self,
        network: PackedBert,
        compute: Callable[[Tensor, Tensor, Tensor, int], Tensor],
        *,
        device: torch.device,
        pad_id: int,
        graph_tokens: int = _GRAPH_TOKENS,
        note_busy: Callable[[torch.cuda.Event, torch.cuda.Event], None] | None = None,
    ) -> None:
        self._network = network
        self._compute = compute
        self._device = device
        self._pad_id = pad_id
        self._graph_tokens = graph_tokens
        self._note_busy = note_busy
        self._stream: Any = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._done = _event()
        self._graphs: dict[Shape, tuple[torch.cuda.CUDAGraph, Tensor, Tensor]] = {}
        self._staging = torch.empty(0, dtype=torch.int32)
        self._back = torch.empty(0, dtype=torch.float32)
        self._shape = (0, 0)

    def submit(self, packed: Pack) -> None:
        """Queue the copy to the device, the computation, and the copy back."""
        shape = choose_shape(packed, self._graph_tokens) if self._graph_tokens else None
        if shape is not None:
            recorded = self._graphs.get(shape) or self._record(shape)
            self._queue(fill(packed, shape, self._pad_id), packed.rows, recorded)
        else:
            self._queue(packed, packed.rows, None)
        passes.tell(packed.tokens, packed.tokens if shape is None else shape.tokens)

    def collect(self) -> Rows:
        """Wait for the copy back, and return the rows."""
        self._done.synchronize()
        rows, width = self._shape
        return self._back[: rows * width].view(rows, width).numpy()

    def _queue(self, packed: Pack, rows: int, recorded: tuple[torch.cuda.CUDAGraph, Tensor, Tensor] | None) -> None:
        self._done.synchronize()  # after an error the copy of an earlier pack may still be under way
        host = self._stage(packed)
        before, after = (_event(timed=self._note_busy is not None) for _ in range(2))
        with torch.cuda.device(self._device), torch.cuda.stream(self._stream):
            before.record()
            if recorded is None:
                on_device = host.to(self._device, non_blocking=True)
                out = self._compute(*_parts(on_device, packed.tokens), packed.longest)
            else:
                graph, into, out = recorded
                into.copy_(host, non_blocking=True)
                graph.replay()
            self._shape = (rows, out.shape[1])
            self._copy_back(out[:rows])
            after.record()
            self._done.record()
        if self._note_busy is not None:
            self._note_busy(before, after)

    def _stage(self, packed: Pack) -> Tensor:
        """Return a pack's numbers in pinned memory, one after the other."""
        count = 2 * packed.tokens + packed.rows + 1
        if len(self._staging) < count:
            self._staging = torch.empty(count, dtype=torch.int32, pin_memory=True)
        staged = self._staging[:count]
        np.concatenate((packed.ids, packed.positions, packed.offsets), out=staged.numpy())
        return staged

    def _copy_back(self, out: Tensor) -> None:
        if len(self._back) < out.numel():
            self._back = torch.empty(out.numel(), dtype=torch.float32, pin_memory=True)
        self._back[: out.numel()].copy_(out.reshape(-1), non_blocking=True)

    def _record(self, shape: Shape) -> tuple[torch.cuda.CUDAGraph, Tensor, Tensor]:
        """Record the computation of one shape; its inputs and outputs keep their place in memory."""
        example = fill(pack([[self._pad_id]]), shape, self._pad_id)
        staged = self._stage(example)
        with _RECORDING, torch.cuda.device(self._device), torch.cuda.stream(self._stream):
            into = staged.to(self._device)
            parts = _parts(into, shape.tokens)
            for _ in range(2):  # libraries make their plans and workspaces now, which a graph cannot record
                self._network(*parts, shape.longest)
            self._stream.synchronize()
            graph = torch.cuda.CUDAGraph()
            # Other threads may use the device meanwhile, for streams of their own.
            with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
                out = self._network(*parts, shape.longest)
        self._graphs[shape] = graph, into, out
        return self._graphs[shape]


def engine_on_cuda(
    network: ClassifierNetwork,
    pad_id: int,
    *,
    device: torch.device,
    dtype: torch.dtype,
    compiled: bool = False,
    graph_tokens: int = _GRAPH_TOKENS,
    pack_tokens: int = _PACK_TOKENS,
    kernel: str = "flash",
    note_busy: Callable[[torch.cuda.Event, torch.cuda.Event], None] | None = None,
) -> Engine:
    """Return the fastest engine for a network on a device: without padding where that works, else `TorchEngine`.

    Why it does not work is logged. On a CUDA device a few rows are computed both ways first, and where the answers
    differ the padded network is taken.

    Args:
        network: in evaluation mode, on the CPU in float32; the engine owns it from now on.
        pad_id: token id that fills shapes up.
        device: a CUDA device; on the CPU the reference attention is taken.
        dtype: number format of the encoder.
        compiled: compile the network for packs that no graph is recorded for; the first of them take a minute.
        graph_tokens, pack_tokens, note_busy: as for `CudaLane` and `PackedEngine`.
        kernel: as for `models.engines.varlen.varlen_attention`.
    """
    on_cuda = device.type == "cuda"
    reason = why_not_packed(network) or (why_no_varlen(device, dtype) if on_cuda else None)
    if reason is None:
        attention: Attention = varlen_attention(kernel) if on_cuda else reference_attention
        packed = PackedBert(network, attention).to_dtype(dtype).to(device).eval()
        reason = _disagreement(network, packed, device, dtype, pad_id) if on_cuda else None
    if reason is not None:
        log.warning("texts are padded on %s: %s", device, reason)
        return TorchEngine(network, pad_id, device=device, dtype=dtype)
    if not on_cuda:
        if compiled or graph_tokens != _GRAPH_TOKENS:
            log.warning("torch.compile and CUDA graphs are for CUDA devices; on %s the network runs as it is", device)
        return PackedEngine(packed, [DirectLane(packed)], device=device, dtype=dtype, pack_tokens=pack_tokens)
    compute: Any = torch.compile(packed, dynamic=True) if compiled else packed
    lanes = [
        CudaLane(packed, compute, device=device, pad_id=pad_id, graph_tokens=graph_tokens, note_busy=note_busy)
        for _ in range(_LANES)
    ]
    return PackedEngine(packed, lanes, device=device, dtype=dtype, pack_tokens=pack_tokens)


@torch.inference_mode()
def _disagreement(
    network: ClassifierNetwork, packed: PackedBert, device: torch.device, dtype: torch.dtype, pad_id: int
) -> str | None:
    """Say how the packed network differs from the padded one on a few rows; None if it does not."""
    config: Any = network.encoder.config
    words = int(config.vocab_size)
    rows = [[(17 * place + length) % words for place in range(length)] for length in (2, 9, 31, 5, 64)]
    reference = network.to(device)
    reference.encoder.to(dtype)
    ids, mask = pad(rows, max(map(len, rows)), pad_id)
    wanted = torch.cat(reference(ids.to(device), mask.to(device)), dim=1)
    laid = pack(rows)
    parts = (torch.from_numpy(part).to(device) for part in (laid.ids, laid.positions, laid.offsets))
    try:
        found = packed(*parts, laid.longest)[:, : wanted.shape[1]]
    except RuntimeError as error:
        return f"torch's padding-free attention does not run here ({str(error).splitlines()[0]})"
    worst = float((found - wanted).abs().max() / wanted.abs().max().clamp(min=1.0))
    return f"packed and padded logits differ by {worst:.3g}" if not worst <= _AGREEMENT else None


def _event(*, timed: bool = False) -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=timed)  # type: ignore[no-untyped-call]


def _parts(numbers: Tensor, tokens: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return ids, positions and offsets of a staged pack."""
    return numbers[:tokens], numbers[tokens : 2 * tokens], numbers[2 * tokens :]
