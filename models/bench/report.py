"""The table that `python -m models.benchmark --device cuda` prints, and its JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from models.bench.ceiling import matmul_ceiling
from models.bench.shapes import SHAPES
from models.bench.throughput import VARIANTS, BusyClock, Throughput, load_variant, measure_engine
from models.files import DEFAULT_MODEL, TOKENIZER
from models.tokens import TextTokenizer

_MAX_LENGTH = 256


def measure_shapes(
    texts: Sequence[str],
    *,
    shapes: Sequence[str] | None,
    variants: Sequence[str] | None,
    device: torch.device,
    dtype: torch.dtype,
    kernel: str,
    call_messages: int,
    repeats: int,
    json_file: Path | None,
) -> None:
    """Measure shapes by all variants, or those named, and print a table each as soon as it is there."""
    chosen = list(shapes or ("minilm-l6", "bert-base"))
    ways = list(variants or (VARIANTS if device.type == "cuda" else VARIANTS[:2]))
    tokenizer = TextTokenizer(DEFAULT_MODEL / TOKENIZER, _MAX_LENGTH)
    ceiling = matmul_ceiling(device, dtype)
    kind = str(dtype).removeprefix("torch.")
    _say(
        f"{_device_name(device)}, {kind}, torch {torch.__version__}: "
        f"plain matrix products reach {ceiling / 1e12:,.2f} TFLOP/s"
    )
    found: dict[str, list[Throughput]] = {}
    for name in chosen:
        _say(f"\n{name}, random weights, {len(texts):,} messages in calls of {call_messages:,}")
        _say(_HEAD)
        for variant in ways:
            clock = BusyClock()
            engine = load_variant(variant, SHAPES[name], device=device, dtype=dtype, kernel=kernel, clock=clock)
            row = measure_engine(
                variant,
                engine,
                SHAPES[name],
                texts,
                tokenizer,
                device=device,
                ceiling=ceiling,
                clock=clock,
                call_messages=call_messages,
                repeats=repeats,
            )
            engine.close()
            found.setdefault(name, []).append(row)
            _say(_line(row))
    _say(_LEGEND)
    if json_file is not None:
        figures: dict[str, Any] = {
            "device": _device_name(device),
            "dtype": kind,
            "torch": torch.__version__,
            "ceiling_flop_per_s": ceiling,
            "shapes": {name: [asdict(row) for row in rows] for name, rows in found.items()},
        }
        json_file.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


_HEAD = f"{'':22}{'tokens/s':>14}{'messages/s':>13}{'of ceiling':>12}{'busy':>8}{'32 in ms':>10}{'texts/s':>12}"
_LEGEND = """
tokens/s, messages/s: token ids to logits in large calls, the median; without tokenising
of ceiling: arithmetic of the network without padding, by that of plain matrix products measured above
busy: at most this share of the time had work on the GPU, by its own clock; not known of padded rows
32 in ms: median time of a call with 32 messages; texts/s: tokenising included, on this machine's processor"""


def _line(row: Throughput) -> str:
    busy = "" if row.busy_share is None else f"{row.busy_share:.0%}"
    return (
        f"{row.variant:22}{row.tokens_per_s:>14,.0f}{row.messages_per_s:>13,.0f}{row.ceiling_share:>12.3f}{busy:>8}"
        f"{row.small_call_ms:>10.2f}{row.texts_per_s:>12,.0f}"
    )


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
