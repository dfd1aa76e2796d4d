"""How fast an engine computes rows: in large calls, in small ones, and from texts.

Busy is the share of the time in which at least one pack was on the device, between its copy there and its copy back, by
the device's own clock. Gaps between the kernels of a pack count as busy, so the share is an upper bound; the fraction
of the matrix products' ceiling is what says how well the time was used.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch

from models.batching import plan_batches
from models.bench.ceiling import synchronise
from models.bench.shapes import NetworkShape, build_network
from models.engines.base import Engine, TokenBatch
from models.engines.cuda import engine_on_cuda
from models.engines.torch_engine import TorchEngine
from models.tokens import TextTokenizer

T = TypeVar("T")

VARIANTS = ("padded", "packed", "packed without graphs", "packed and compiled")
"""How rows can be computed; the last two only on CUDA."""

_BATCH_TOKENS = {"cuda": 16_384, "cpu": 2_048}
_SMALL_CALL = 32
_LEAST_S = {"cuda": 2.0, "cpu": 0.0}
"""A device that needs milliseconds for all texts computes them again and again for so long."""


@dataclass(frozen=True, slots=True)
class Throughput:
    """What one variant comes to.

    Attributes:
        messages_per_s, tokens_per_s: in large calls, rows of token ids given; the median of the repeats.
        ceiling_share: its arithmetic, without padding, by that of plain matrix products.
        busy_share: see the module; None where no device keeps the time.
        small_call_ms: median time of a call with 32 messages.
        texts_per_s: tokenising included, one stretch of texts ahead of the engine.
    """

    variant: str
    messages_per_s: float
    tokens_per_s: float
    ceiling_share: float
    busy_share: float | None
    small_call_ms: float
    texts_per_s: float


class BusyClock:
    """Adds up the time in which anything was on a device. Given to the engine as `note_busy`."""

    def __init__(self) -> None:
        self._spans: list[tuple[Any, Any]] = []

    def note(self, before: Any, after: Any) -> None:
        """Remember the events around a pack."""
        self._spans.append((before, after))

    def begin(self) -> Any:
        """Forget all, and return the event from which times are counted."""
        self._spans.clear()
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event

    def busy_s(self, origin: Any) -> float:
        """Return the seconds in which at least one pack was there; all have been collected."""
        return covered(
            [(origin.elapsed_time(before) / 1e3, origin.elapsed_time(after) / 1e3) for before, after in self._spans]
        )


def covered(spans: Sequence[tuple[float, float]]) -> float:
    """Return the length of the union of intervals."""
    total, until = 0.0, float("-inf")
    for start, stop in sorted(spans):
        total += max(0.0, stop - max(start, until))
        until = max(until, stop)
    return total


def load_variant(
    variant: str, shape: NetworkShape, *, device: torch.device, dtype: torch.dtype, kernel: str, clock: BusyClock
) -> Engine:
    """Return an engine with random weights.

    Raises:
        ValueError: the variant is unknown.
    """
    if variant not in VARIANTS:
        raise ValueError(f"unknown variant {variant!r}; choose {', '.join(VARIANTS)}")
    network = build_network(shape)
    if variant == "padded":
        return TorchEngine(network, 0, device=device, dtype=dtype)
    changes: dict[str, Any] = {"graph_tokens": 0} if variant != "packed" else {}
    return engine_on_cuda(
        network,
        0,
        device=device,
        dtype=dtype,
        kernel=kernel,
        compiled=variant == "packed and compiled",
        note_busy=clock.note if device.type == "cuda" else None,
        **changes,
    )


def measure_engine(
    variant: str,
    engine: Engine,
    shape: NetworkShape,
    texts: Sequence[str],
    tokenizer: TextTokenizer,
    *,
    device: torch.device,
    ceiling: float,
    clock: BusyClock,
    call_messages: int,
    repeats: int,
) -> Throughput:
    """Measure an engine over texts, each variant on the same ones; the first pass warms up and is not counted."""
    rows = [text.ids for text in tokenizer(texts)]
    lengths = [len(row) for row in rows]
    calls = [_batches(part, _BATCH_TOKENS[device.type]) for part in _stretches(rows, call_messages)]
    _run(engine, calls)
    seconds: list[float] = []
    busy: list[float] = []
    began_all = time.perf_counter()
    while len(seconds) < repeats or time.perf_counter() - began_all < _LEAST_S[device.type]:
        synchronise(device)
        origin = clock.begin() if device.type == "cuda" else None
        began = time.perf_counter()
        _run(engine, calls)
        seconds.append(time.perf_counter() - began)
        if origin is not None:
            busy.append(clock.busy_s(origin) / seconds[-1])
    median_s = statistics.median(seconds)
    small = [_batches(part, _BATCH_TOKENS[device.type]) for part in list(_stretches(rows, _SMALL_CALL))[:64]]
    _run(engine, small)
    small_s = statistics.median([_timed(partial(engine.run, call)) for call in small])
    texts_s = statistics.median(
        [_timed(lambda: _from_texts(engine, texts, tokenizer, call_messages, device)) for _ in range(repeats)]
    )
    return Throughput(
        variant=variant,
        messages_per_s=len(rows) / median_s,
        tokens_per_s=sum(lengths) / median_s,
        ceiling_share=shape.flop(lengths) / median_s / ceiling,
        # The padded engine keeps no time of its own.
        busy_share=statistics.median(busy) if busy and max(busy) > 0 else None,
        small_call_ms=small_s * 1e3,
        texts_per_s=len(texts) / texts_s,
    )


def _run(engine: Engine, calls: Sequence[Sequence[TokenBatch]]) -> None:
    for call in calls:
        engine.run(call)


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _from_texts(
    engine: Engine, texts: Sequence[str], tokenizer: TextTokenizer, call_messages: int, device: torch.device
) -> None:
    """Score texts; the next stretch is tokenised while the engine computes (both let go of the interpreter)."""

    def prepared(part: Sequence[str]) -> list[TokenBatch]:
        return _batches([text.ids for text in tokenizer(part)], _BATCH_TOKENS[device.type])

    with ThreadPoolExecutor(1) as ahead:
        stretches = list(_stretches(texts, call_messages))
        coming = ahead.submit(prepared, stretches[0])
        for following in [*stretches[1:], None]:
            call = coming.result()
            if following is not None:
                coming = ahead.submit(prepared, following)
            engine.run(call)


def _stretches(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]


def _batches(rows: Sequence[tuple[int, ...]], max_tokens: int) -> list[TokenBatch]:
    plan = plan_batches([len(row) for row in rows], max_tokens)
    return [TokenBatch(tuple(rows[place] for place in batch.indices), batch.padded_length) for batch in plan]
