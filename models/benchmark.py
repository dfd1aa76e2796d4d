"""How fast the classifier alone is on this machine: `python -m models.benchmark`; on a GPU, with `--device cuda`.

The texts are put together from invented companies and events; the mean is near 28 tokens, that of real
financial tweets, and lengths vary as theirs do. No text occurs twice, so nothing is answered from a repeat.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from models.bench.shapes import SHAPES
from models.bench.throughput import VARIANTS
from models.classifier import Classifier
from models.device import choose_device, choose_dtype

_COMPANIES = (
    "Alderney Foods", "Bracken Motors", "Cobalt Ridge Mining", "Dunmore Bank", "Eastwater Energy", "Fennick Labs",
    "Glasswing Air", "Harrowgate Insurance", "Ironfield Steel", "Juniper Lane Stores", "Kestrel Telecom",
    "Larkspur Pharma",
)  # fmt: skip
_EVENTS = (
    "cuts its outlook for the full year", "opens a second plant in the north", "is sued over late deliveries",
    "reports sales ahead of plan", "names a new head of finance", "sells its logistics arm to a rival",
    "halts a trial after side effects", "raises the quarterly dividend", "delays the launch of its flagship product",
    "wins a large public order", "says demand stayed flat", "faces an inquiry into its accounts",
)  # fmt: skip
_DETAILS = (
    "after a difficult spring", "while costs for freight keep rising", "and shares fall {number}% in early trading",
    "as the board reviews {number} sites", "according to people close to the talks", "in a deal worth {number} million",
    "beating what {number} analysts had expected", "with {number} jobs at stake", "though margins stay under pressure",
    "and the stock gains {number}% before the bell", "the company told investors on a call",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class BenchmarkResult:
    """Speed of one classifier: the median over the repeats, and what was measured."""

    messages_per_s: float
    tokens_per_s: float
    mean_tokens: float
    messages: int
    repeats: int
    device: str
    dtype: str


def generate_texts(count: int, seed: int = 7) -> list[str]:
    """Return `count` different texts of about 28 tokens on average, the same for the same seed."""
    pick = random.Random(seed)  # noqa: S311 - benchmark texts, nothing secret
    texts: list[str] = []
    for serial in range(count):
        details = " ".join(
            pick.choice(_DETAILS).format(number=pick.randint(2, 99)) for _ in range(pick.choice((0, 1, 2, 2, 3, 3)))
        )
        text = f"{pick.choice(_COMPANIES)} {pick.choice(_EVENTS)} {details}".strip()
        texts.append(f"${pick.choice('BCDFGHKLMPRT')}{pick.choice('AEIOU')}XQ {text} {serial}")
    return texts


def measure(
    classifier: Classifier, texts: Sequence[str], *, batch_messages: int = 1024, repeats: int = 3
) -> BenchmarkResult:
    """Score the texts `repeats` times, `batch_messages` per call as the stream does, and take the median time."""
    tokens = sum(classifier.count_tokens(texts))
    classifier.predict(texts[:batch_messages])  # the first call sets kernels up
    seconds: list[float] = []
    for _ in range(repeats):
        started = time.perf_counter()
        for start in range(0, len(texts), batch_messages):
            classifier.predict(texts[start : start + batch_messages])
        seconds.append(time.perf_counter() - started)
    median = statistics.median(seconds)
    return BenchmarkResult(
        messages_per_s=len(texts) / median,
        tokens_per_s=tokens / median,
        mean_tokens=tokens / len(texts),
        messages=len(texts),
        repeats=repeats,
        device=classifier.device,
        dtype=classifier.precision,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the speed of a model folder (the shipped one by default), or of networks of given shapes."""
    parser = argparse.ArgumentParser(
        prog="python -m models.benchmark",
        description="Speed of the classifier alone. On CUDA, or with --shape: of networks with random weights, "
        "against the speed of plain matrix products on the same device.",
    )
    parser.add_argument("--model", help="model folder (default: the shipped model)")
    parser.add_argument("--messages", type=int, default=None, help="texts (default: 4,096; 65,536 on CUDA)")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--batch-messages", type=int, default=None, help="messages per call (default: 1,024; CUDA 16,384)"
    )
    parser.add_argument("--max-tokens", type=int, default=2048, help="tokens per batch inside a call of a model folder")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--shape", nargs="+", choices=list(SHAPES), help="default on CUDA: minilm-l6 bert-base")
    parser.add_argument(
        "--variant", nargs="+", choices=VARIANTS, help="ways to compute a shape (default: all that the device has)"
    )
    parser.add_argument("--attention", default="flash", help="padding-free attention on CUDA: flash, cudnn or auto")
    parser.add_argument("--json", help="also write the figures of the shapes here")
    options = parser.parse_args(arguments)
    where = choose_device(options.device)
    if options.shape or (where.type == "cuda" and options.model is None):
        _measure_shapes(options, where)
    else:
        _measure_model(options)


def _measure_model(options: argparse.Namespace) -> None:
    classifier = Classifier.load(
        options.model, device=options.device, dtype=options.dtype, max_tokens_per_batch=options.max_tokens
    )
    result = measure(
        classifier,
        generate_texts(options.messages or 4096),
        batch_messages=options.batch_messages or 1024,
        repeats=options.repeats,
    )
    sys.stdout.write(
        f"{classifier.model.name} {classifier.model.version} on {result.device} in {result.dtype}: "
        f"{result.messages_per_s:,.0f} messages/s, {result.tokens_per_s:,.0f} tokens/s "
        f"({result.messages} messages of {result.mean_tokens:.1f} tokens, median of {result.repeats} runs)\n"
    )


def _measure_shapes(options: argparse.Namespace, device: torch.device) -> None:
    from models.bench.report import measure_shapes

    on_cuda = device.type == "cuda"
    measure_shapes(
        generate_texts(options.messages or (65_536 if on_cuda else 4096)),
        shapes=options.shape,
        variants=options.variant,
        device=device,
        dtype=choose_dtype(options.dtype, device),
        kernel=options.attention,
        call_messages=options.batch_messages or (16_384 if on_cuda else 1024),
        repeats=options.repeats,
        json_file=Path(options.json) if options.json else None,
    )


if __name__ == "__main__":
    main()
